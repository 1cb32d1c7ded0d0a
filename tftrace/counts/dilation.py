"""Dilated convolutions that run on rearranged input, and compute more than they keep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction

from tftrace.counts.flow import Flow
from tftrace.counts.traffic import FREE
from tftrace.graph import Edge, FlatOp

_CONVOLUTIONS = frozenset(["Conv2D", "Conv3D", "Conv", "DepthwiseConv2dNative"])


def kept_shares(flow: Flow) -> dict[str, Fraction]:
    """Share of its outputs that a convolution in space-to-batch form keeps, by key.

    ``SpaceToBatchND -> convolution -> BatchToSpaceND`` computes whole blocks and crops; where
    there are strides too, Keras picks every other position behind it. The dilated convolution
    itself has as many outputs as are left in the end, each with the same window:
    ``needed = executed * elements left / elements computed``.
    """
    consumers = _consumers(flow)
    shares: dict[str, Fraction] = {}
    for op in flow.ops.values():
        if op.node.type not in _CONVOLUTIONS or not op.live:
            continue
        origin = flow.ops[flow.behind_views(op.inputs[0]).name]
        kept = _only(consumers, op, "BatchToSpaceND")
        if origin.node.type != "SpaceToBatchND" or kept is None:
            continue
        kept = _only(consumers, kept, "StridedSlice") or kept
        computed, left = op.node.outputs[0].size, kept.node.outputs[0].size
        if computed and left is not None:
            shares[op.key] = Fraction(left, computed)
    return shares


def _only(consumers: Mapping[Edge, list[FlatOp]], op: FlatOp, op_type: str) -> FlatOp | None:
    """The one operation that uses the result of ``op``, if it is of this type."""
    users = consumers.get(Edge(op.key, 0), [])
    return users[0] if len(users) == 1 and users[0].node.type == op_type else None


def _consumers(flow: Flow) -> dict[Edge, list[FlatOp]]:
    """Live operations that use each tensor, views left out."""
    consumers: dict[Edge, list[FlatOp]] = defaultdict(list)
    for op in flow.ops.values():
        if op.live and op.node.type not in FREE:
            for edge in op.inputs:
                consumers[flow.behind_views(edge)].append(op)
    return consumers
