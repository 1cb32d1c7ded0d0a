"""What the stages of a tf.data pipeline did: map, batch, prefetch and the like.

tf.data marks every call of an iterator by the path of its stage (`Iterator::Root::Prefetch::Map`).
A stage whose calls do its work (Map, Batch, Shuffle) has inside them, on the same thread, the calls
of the stage before it and runs of its function; the rest is its own. One that works ahead on
threads of its own (Prefetch, ParallelMap) is waited for in its calls; its work is what its threads
do between the calls of the stage before it, and the runs of its function, which other threads
execute. A stage may make the iterators behind it in its first call, once for all elements: that is
nobody's work on an element. One that makes an iterator for each element (Interleave) works by that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

import numpy as np
import numpy.typing as npt

from tftrace.parsers import MISSING, Plane
from tftrace.timeline.arithmetic.intervals import nesting_parent, self_segments
from tftrace.timeline.arithmetic.spans import length, spans
from tftrace.timeline.marks import Mark, Marks
from tftrace.timeline.window import Window, look_up

Int = npt.NDArray[np.int64]

_CALL, _RUN, _MAKE = "Iterator::Root::", "InstantiatedCapturedFunction::", "MakeIterator::"
_AHEAD = ("LegacyParallel", "MapAndBatch", "Parallel", "ParseExample", "Prefetch")
_OF_ONE_INPUT = re.compile(r"(\w*(?:Interleave|FlatMap|Repeat)\w*)\[\d+\]")
_ONE_EACH = re.compile("Interleave|FlatMap")
_NUMBER = re.compile(r"\[(\d+)\]$")
_OTHER, _FUNCTION, _PRODUCE, _MAKING = -1, -2, -3, -4


@dataclass(frozen=True)
class Stage:
    """One stage; times in ps inside the window.

    ``path`` names the stages from the last one, which predict asks, to this one; stages that a
    function made one after the other (of an interleave, say) are one. ``calls`` are how often an
    element was asked for, the end included. ``busy`` is the time that threads worked for it, None
    where its threads leave no events; ``active`` that in which at least one did. ``waited`` is the
    time of its calls in which it did not work: it was waited for. ``made`` is the time of its calls
    in which it made the iterators behind it, which is neither. ``ahead`` says that it works on
    threads of its own.
    """

    path: tuple[str, ...]
    dataset: str | None
    calls: int
    busy: int | None
    active: int | None
    waited: int
    made: int
    ahead: bool
    parallelism: int | None


def pipeline_stages(marks: Marks, window: Window) -> list[Stage]:
    """The stages of the pipelines that ran in the window, in the order that data passes them."""
    trace, events = marks.trace, marks.trace.events
    found = marks.of(Mark.STAGE)
    start = events.start_ps[found]
    found = found[(start >= window.start) & (start < window.end)]
    paths: dict[tuple[str, ...], int] = {}

    def code(_: Plane, name: str) -> int:
        if name.startswith(_CALL):
            return paths.setdefault(_path(name), len(paths))
        if name.startswith(_RUN):
            return _FUNCTION
        if name.startswith(_MAKE):
            return _MAKING
        return _PRODUCE if name.endswith("Produce") else _OTHER

    kind = trace.codes(found, code).astype(np.int64)
    found, kind = found[kind != _OTHER], kind[kind != _OTHER]
    if not (kind >= 0).any():
        return []
    known = list(paths)
    before = np.array([paths.get(_asking(path), _OTHER) for path in known], np.int64)
    ahead = np.array([path[-1].startswith(_AHEAD) for path in known])
    line, start = events.line[found], events.start_ps[found]
    end = np.minimum(start + events.duration_ps[found], window.end)
    inside = nesting_parent(line, start, end)
    owner = _owners(kind, line, start, inside, before)

    one_each = np.array([bool(_ONE_EACH.search(path[-1])) for path in known])
    making = _making(kind, inside) & (owner >= 0) & ~one_each[owner]

    work, wait, made = _Pieces(len(known)), _Pieces(len(known)), _Pieces(len(known))
    segments = self_segments(line, start, end)
    of, low, high = owner[segments.owner], segments.start, segments.end
    # Inside a call a function is run for it, and the call waits; a thread that works ahead only
    # starts it.
    waits = (kind[segments.owner] == _FUNCTION) & ~ahead[of]
    waits |= (kind[segments.owner] >= 0) & ahead[of]
    makes = making[segments.owner]
    works, waits = ~waits & ~makes, waits & ~makes
    for pieces, mine in ((work, works), (wait, waits), (made, makes)):
        pieces.add(of[mine], low[mine], high[mine])

    runs = np.flatnonzero((kind == _FUNCTION) & ~making)
    ran = marks.processes
    of_run = look_up(ran.id, events.stats["id"].at(found[runs]))
    mine = (of_run >= 0) & (ran.start < window.end) & (ran.end > window.start)
    executed = owner[runs][of_run[mine]]
    clipped = np.maximum(ran.start[mine], window.start), np.minimum(ran.end[mine], window.end)
    work.add(executed, *clipped)
    within = ~ahead[executed]
    # What was executed meanwhile was not waited for.
    done = _Pieces(len(known))
    done.add(executed[within], clipped[0][within], clipped[1][within])

    calls = np.bincount(kind[kind >= 0], minlength=len(known))
    numbers = events.stats["parallelism"].at(found)
    names = events.stats["name"].at(found)
    stages = []
    for number in _in_order(known):
        if not calls[number]:
            continue
        first = np.flatnonzero(kind == number)
        width = int(numbers[first].max())
        silent = bool(ahead[number]) and not work.count(number)
        stages.append(
            Stage(
                path=known[number],
                dataset=trace.string(int(names[first[0]])),
                calls=int(calls[number]),
                busy=None if silent else work.total(number),
                active=None if silent else length(work.union(number)),
                waited=max(0, wait.total(number) - done.total(number)),
                made=made.total(number),
                ahead=bool(ahead[number]),
                parallelism=None if width == MISSING else width,
            )
        )
    return stages


class _Pieces:
    """Pieces of time of each stage."""

    def __init__(self, stages: int) -> None:
        self._low: list[list[Int]] = [[] for _ in range(stages)]
        self._high: list[list[Int]] = [[] for _ in range(stages)]

    def add(self, stage: Int, low: Int, high: Int) -> None:
        """Pieces, each of its stage; those of none are left out."""
        for number in np.unique(stage[stage >= 0]).tolist():
            mine = stage == number
            self._low[number].append(low[mine])
            self._high[number].append(high[mine])

    def total(self, stage: int) -> int:
        """Their length, of those side by side each."""
        pairs = zip(self._low[stage], self._high[stage], strict=True)
        return sum(int((high - low).sum()) for low, high in pairs)

    def union(self, stage: int) -> npt.NDArray[np.int64]:
        """When any was."""
        if not self._low[stage]:
            return spans([], [])
        return spans(np.concatenate(self._low[stage]), np.concatenate(self._high[stage]))

    def count(self, stage: int) -> int:
        """How many."""
        return sum(map(len, self._low[stage]))


def _path(name: str) -> tuple[str, ...]:
    """Stages from the last one to this: without the numbers of inputs that one stage had."""
    return tuple(_OF_ONE_INPUT.sub(r"\1", name.removeprefix(_CALL)).split("::"))


def _asking(path: tuple[str, ...]) -> tuple[str, ...]:
    """The stage that asks this one: ``Zip`` asks ``Zip[1]/Map``."""
    return (*path[:-2], *(_NUMBER.sub("", part) for part in path[-2:-1]))


def _owners(kind: Int, line: npt.NDArray[np.int32], start: Int, inside: Int, before: Int) -> Int:
    """The stage of every event; -1 where it cannot be told.

    What a thread of a stage does lies between the calls that it makes of the stage before: those
    tell whose it is.
    """
    owner = np.where(kind >= 0, kind, _OTHER)
    outermost = (kind >= 0) & ~(_kind_at(kind, inside) >= 0)
    asked_by = np.where(outermost, before[np.maximum(kind, 0)], _OTHER)
    # A call made while something is produced: the producer is the stage that asks.
    made = np.flatnonzero(outermost & (_kind_at(kind, inside) == _PRODUCE))
    owner[inside[made]] = asked_by[made]
    latest: dict[int, int] = {}
    for event in np.lexsort((start, line)).tolist():
        here = int(line[event])
        if outermost[event] and asked_by[event] >= 0:
            latest[here] = int(asked_by[event])
        if kind[event] == _PRODUCE and owner[event] < 0:
            owner[event] = latest.get(here, _OTHER)
        if kind[event] in (_FUNCTION, _MAKING):
            outer = inside[event]
            owner[event] = owner[outer] if outer >= 0 else latest.get(here, _OTHER)
    return owner


def _making(kind: Int, inside: Int) -> npt.NDArray[np.bool_]:
    """What makes an iterator, and the functions that are run for that."""
    making = kind == _MAKING
    return making | ((kind == _FUNCTION) & (_kind_at(kind, inside) == _MAKING))


def _kind_at(kind: Int, inside: Int) -> Int:
    return np.where(inside >= 0, kind[inside], _OTHER)


def _in_order(paths: list[tuple[str, ...]]) -> Iterable[int]:
    """What is asked before who asks, inputs of one stage in their order."""

    def place(number: int) -> list[tuple[int, str, float]]:
        parts: list[tuple[int, str, float]] = []
        for part in paths[number]:
            index = _NUMBER.search(part)
            parts.append((0, _NUMBER.sub("", part), int(index[1]) if index else inf))
        return [*parts, (1, "", inf)]

    return sorted(range(len(paths)), key=place)
