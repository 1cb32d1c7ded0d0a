"""Dilated convolutions that run on rearranged input, and compute more than they keep."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

from tftrace.counts.flow import Flow
from tftrace.graph import Edge, FlatOp

_CONVOLUTIONS = frozenset(["Conv2D", "Conv3D", "Conv", "DepthwiseConv2dNative"])


def kept_shares(flow: Flow) -> dict[str, Fraction]:
    """Share of its outputs that a convolution in space-to-batch form keeps, by key.

    ``SpaceToBatchND -> convolution -> BatchToSpaceND`` computes whole blocks and crops. The
    dilated convolution itself has as many outputs as BatchToSpaceND leaves, each with the same
    window: ``needed = executed * elements after cropping / elements of the convolution``.
    """
    consumers: dict[Edge, list[FlatOp]] = defaultdict(list)
    for op in flow.ops.values():
        if op.node.type == "BatchToSpaceND" and op.live:
            consumers[flow.behind_views(op.inputs[0])].append(op)
    shares: dict[str, Fraction] = {}
    for edge, ops in consumers.items():
        convolution = flow.ops[edge.name]
        if convolution.node.type not in _CONVOLUTIONS or len(ops) != 1:
            continue
        origin = flow.ops[flow.behind_views(convolution.inputs[0]).name]
        computed, kept = convolution.node.outputs[0].size, ops[0].node.outputs[0].size
        if origin.node.type == "SpaceToBatchND" and computed and kept is not None:
            shares[convolution.key] = Fraction(kept, computed)
    return shares
