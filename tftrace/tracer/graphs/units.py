"""An optimized graph cut into what is timed alone: kernels, and what cannot be taken apart."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tftrace.counts.flow import Flow
from tftrace.counts.traffic import FREE
from tftrace.graph import Edge, FlatOp
from tftrace.graph.types import BRANCHES, CALLS, LOOPS
from tftrace.machine.bench.alone import Unit
from tftrace.tracer.graphs.optimized import Optimized
from tftrace.tracer.graphs.unit_graphs import EMPTY_LISTS, STORED, Origin, unit_of

_NEVER_ALONE = re.compile(r"PyFunc|Print|Write|Save|Where$|^Unique|NonMaxSuppression")
"""A user's own Python, what leaves something behind, and what takes as long as the data say."""


@dataclass(frozen=True)
class Pieces:
    """What of a graph takes time: what can be timed alone, and the names of what cannot."""

    units: list[Unit]
    left: list[str]


def units_of(optimized: Optimized, flow: Flow) -> Pieces:
    """What of the graph takes time, in pieces that each can run alone.

    A piece is one operation; operations that pass a list or another handle stay together, as a loop
    and what fills and empties its lists, or a sum and the variable that lives as long as it, and so
    do a gate and the product it ends in, which
    oneDNN makes one kernel of. What depends on the data (a branch, a loop that ends when they say),
    what has an open size, and what is more than arithmetic (a user's Python) is not timed alone.

    Args:
        flow: of the optimized graph's program.
    """
    origin = Origin(optimized.definition, flow)
    root = optimized.program.root
    works = [op for op in flow.ops.values() if op.function == root and _takes_time(op)]
    unfit = _unfit(flow.ops.values())
    found = Pieces([], [])
    for group in _groups(works, flow):
        fit = not any(op.key in unfit for op in group)
        unit = unit_of(group, origin) if fit else None
        if unit is None:
            found.left.extend(op.key for op in group)
        else:
            found.units.append(unit)
    return found


def _takes_time(op: FlatOp) -> bool:
    runs_others = op.node.type in (*LOOPS, *CALLS, *BRANCHES)
    lists = any(spec.dtype == "variant" for spec in (*op.sources, *op.node.outputs))
    works = runs_others or lists or op.node.type not in FREE
    return op.live and works and op.node.type not in (*STORED, *EMPTY_LISTS)


def _unfit(ops: Iterable[FlatOp]) -> set[str]:
    """Keys of what must not run alone, and of all calls and loops around it."""
    found: set[str] = set()
    for op in ops:
        if op.live and (op.times is None or _NEVER_ALONE.search(op.node.type)):
            parts = op.key.split("/")
            found.update("/".join(parts[: i + 1]) for i in range(len(parts)))
    return found


def _groups(works: list[FlatOp], flow: Flow) -> list[list[FlatOp]]:
    """Each in the order of the graph."""
    inside = {op.key: op.key for op in works}

    def first(key: str) -> str:
        while inside[key] != key:
            key = inside[key]
        return key

    for op in works:
        for edge, spec in zip(op.inputs, op.sources, strict=True):
            source = flow.resolve(edge).name
            hands_on = spec.dtype == "variant" or spec.dtype.endswith("_ref")
            if source in inside and (hands_on or _gates(op, source, flow)):
                inside[first(op.key)] = first(source)
    groups: dict[str, list[FlatOp]] = {}
    for op in works:
        groups.setdefault(first(op.key), []).append(op)
    return list(groups.values())


def _gates(op: FlatOp, source: str, flow: Flow) -> bool:
    """Whether ``op`` multiplies a tensor by the sigmoid of the same that ``source`` makes."""
    gate = flow.ops[source]
    if op.node.type != "Mul" or gate.node.type != "Sigmoid":
        return False
    origins = {flow.resolve(edge) for edge in op.inputs}
    return origins == {flow.resolve(gate.inputs[0]), Edge(source, 0)}
