"""What an optimized graph takes time with, in order: timed kernels, and what hands tensors on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tftrace.estimation.schedule import Ran, Task, order_of, scheduled
from tftrace.graph import Graph
from tftrace.graph.flatten import live_names
from tftrace.machine.bench.alone import Unit
from tftrace.machine.bench.timing import Measured

_NEVER_RUN = ("Const", "Placeholder", "NoOp", "VarHandleOp")
_WORTH = 0.002
"""Of the time of all: what takes less need not be timed beside itself."""
_OVERLAP = 0.1
"""Of its own time: the least that a kernel has to run beside others."""


@dataclass(frozen=True)
class Piece:
    """What runs as one.

    Attributes:
        names: of its nodes in the graph.
        time: seconds alone; None where that is not known.
        unit: that is timed; None for what only hands a tensor on, and what must not run alone.
    """

    names: tuple[str, ...]
    time: Measured | None
    unit: Unit | None = None


@dataclass(frozen=True)
class Beside:
    """How kernels run beside one another.

    Attributes:
        threads: that take kernels from the graph.
        lanes: how many runs of a unit were timed beside one another.
        times: seconds in which they all end, by digest; a unit that is not in it is taken to keep
            the whole machine busy.
    """

    threads: int
    lanes: int
    times: Mapping[str, Measured]


ALONE = Beside(threads=1, lanes=1, times={})
"""One kernel after the other."""


def pieces_of(
    graph: Graph,
    units: Sequence[Unit],
    left: Sequence[str],
    times: Mapping[str, Measured],
    dispatch: Measured,
) -> list[Piece]:
    """All that runs, each behind what it waits for.

    Args:
        graph: the outermost one of what TensorFlow's optimizer makes.
        units: of the kernels, those that may be timed alone.
        left: names of the others that take time.
        times: seconds of the units, by digest; without those that could not be timed.
        dispatch: seconds that an operation costs which only hands a tensor on.
    """
    found = [Piece(unit.names, times.get(unit.digest), unit) for unit in units]
    found += [Piece((name,), None) for name in left]
    priced = {name for piece in found for name in piece.names}
    found += [
        Piece((name,), dispatch)
        for name in live_names(graph) - priced
        if graph.nodes[name].type not in _NEVER_RUN
    ]
    position = {name: i for i, name in enumerate(graph.nodes)}
    return sorted(found, key=lambda piece: max(position[name] for name in piece.names))


def side_by_side(graph: Graph, pieces: Sequence[Piece], beside: Beside) -> list[Ran]:
    """What becomes of the pieces."""
    shares = [_share(piece, beside) for piece in pieces]
    return scheduled(_tasks(graph, pieces, shares), beside.threads)


def worth_timing_beside(graph: Graph, pieces: Sequence[Piece], beside: Beside) -> list[Unit]:
    """Units that would run beside others for a while, if they left room for that."""
    shares = [1 / beside.lanes] * len(pieces)
    ran = scheduled(_tasks(graph, pieces, shares), beside.threads)
    least = _WORTH * sum(_seconds(piece) for piece in pieces)
    return [
        piece.unit
        for piece, of in zip(pieces, ran, strict=True)
        if piece.unit is not None
        and _seconds(piece) > least
        and of.beside > _OVERLAP * _seconds(piece)
    ]


def _share(piece: Piece, beside: Beside) -> float:
    """Of the machine that the piece keeps busy."""
    together = beside.times.get(piece.unit.digest) if piece.unit is not None else None
    if together is None or not _seconds(piece):
        return 1.0
    return min(1.0, max(1.0, together.median / _seconds(piece)) / beside.lanes)


def _tasks(graph: Graph, pieces: Sequence[Piece], shares: Sequence[float]) -> list[Task]:
    order = order_of(graph, [piece.names for piece in pieces])
    return [
        Task(_seconds(piece), after, share)
        for piece, after, share in zip(pieces, order, shares, strict=True)
    ]


def _seconds(piece: Piece) -> float:
    return piece.time.median if piece.time is not None else 0.0
