"""Bytes that a call site needs to move at least: inputs, outputs and weights once.

A tensor made and used inside counts nothing; one that several operations read counts once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from tftrace.counts.flow import Flow
from tftrace.counts.traffic import FREE, HANDLES, read_bytes, written_bytes
from tftrace.graph import Edge, FlatOp, TensorSpec
from tftrace.graph.phases import BACKWARD, OPTIMIZER, phase_of
from tftrace.graph.types import BRANCHES, LOOPS

Owner = str | None


class _Source(NamedTuple):
    """What an input really is: a tensor that an operation made, or a weight's handle."""

    edge: Edge
    spec: TensorSpec
    weight: bool


def boundary_bytes(flow: Flow) -> dict[Owner, int | None]:
    """Least traffic of every owner's forward pass over the whole batch; None where a size is not
    known."""
    after = (BACKWARD, OPTIMIZER)
    live = [op for op in flow.ops.values() if op.live and phase_of(op.phase) not in after]
    totals: dict[Owner, int | None] = defaultdict(int)
    for (owner, source), amount in _inward(flow, live).items():
        totals[owner] = _plus(totals[owner], _at_most(amount, _whole(flow, source)))
    readers = _readers(flow, live)
    ends = {flow.behind_views(edge) for edge in flow.outputs}
    for op in live:
        for index, size in enumerate(_written(op)):
            made = Edge(op.key, index)
            if size != 0 and (made in ends or readers[made] - {op.owner}):
                totals[op.owner] = _plus(totals[op.owner], _times(size, op.times))
    return totals


def _inward(flow: Flow, live: list[FlatOp]) -> dict[tuple[Owner, _Source], int | None]:
    """Bytes that each owner reads of each tensor from outside, all its readings added."""
    read: dict[tuple[Owner, _Source], int | None] = defaultdict(int)
    for op in live:
        for edge, spec, extent in _readings(flow, op):
            source = _source(flow, edge, spec)
            if _crosses(flow, op, source):
                amount = _plus(read[op.owner, source], _times(extent, op.times))
                read[op.owner, source] = amount
    return read


def _readings(flow: Flow, op: FlatOp) -> Iterator[tuple[Edge, TensorSpec, int | None]]:
    """Inputs whose data the operation reads, with the bytes of one execution."""
    if op.node.type in LOOPS:
        for index, (edge, spec) in enumerate(zip(op.inputs, op.sources, strict=True)):
            if Edge(op.key, index) in flow.carried and spec.dtype not in HANDLES:
                yield edge, spec, spec.bytes
    elif op.node.type not in FREE:
        extents = read_bytes(op.node.type, op.sources, op.node.outputs)
        yield from zip(op.inputs, op.sources, extents, strict=True)


def _written(op: FlatOp) -> tuple[int | None, ...]:
    """Bytes of each output; what a loop or branch hands out counts as its own."""
    if op.node.type in LOOPS or op.node.type in BRANCHES:
        return tuple(0 if s.dtype in HANDLES else s.bytes for s in op.node.outputs)
    return written_bytes(op.node.type, op.sources, op.node.outputs)


def _readers(flow: Flow, live: list[FlatOp]) -> dict[Edge, set[Owner]]:
    """Owners that use each tensor, views left out and lists taken in."""
    readers: dict[Edge, set[Owner]] = defaultdict(set)
    for op in live:
        edges = list(flow.results.get(op.key, ()))
        if op.node.type not in FREE or op.node.type.startswith("TensorList"):
            edges += op.inputs
        elif op.node.type in LOOPS:
            edges += [e for i, e in enumerate(op.inputs) if Edge(op.key, i) in flow.carried]
        for edge in edges:
            readers[flow.behind_views(edge)].add(op.owner)
    return readers


def _source(flow: Flow, edge: Edge, spec: TensorSpec) -> _Source:
    origin = flow.behind_views(edge)
    maker = flow.ops[origin.name]
    if maker.node.type == "ReadVariableOp":
        return _Source(flow.behind_views(maker.inputs[0]), maker.node.outputs[0], True)
    if origin.output < len(maker.node.outputs):
        spec = maker.node.outputs[origin.output]
    return _Source(origin, spec, spec.dtype == "resource")


def _crosses(flow: Flow, op: FlatOp, source: _Source) -> bool:
    """Whether the tensor comes into the owner of ``op`` from outside."""
    if source.weight:
        return True
    maker = flow.ops[source.edge.name]
    if maker.node.type in ("Const", "HostConst"):
        # Numbers in the code (an epsilon, axes, a permutation) are no traffic; tables are.
        return source.spec.shape != () and source.spec.dtype.startswith(("float", "bfloat"))
    given = maker.node.type == "Placeholder" and maker.key == maker.node.name
    return given or maker.owner != op.owner


def _whole(flow: Flow, source: _Source) -> int | None:
    """Bytes of the whole tensor, as often as it is made."""
    if source.weight:
        return source.spec.bytes
    return _times(source.spec.bytes, flow.ops[source.edge.name].times)


def _times(size: int | None, times: int | None) -> int | None:
    if size == 0:
        return 0
    return None if size is None or times is None else size * times


def _plus(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left + right


def _at_most(amount: int | None, whole: int | None) -> int | None:
    return amount if amount is None or whole is None else min(amount, whole)
