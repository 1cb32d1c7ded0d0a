"""What an executor still did when the profiler stopped.

A stretch of its work is an event once it has ended. The caller is told of a result from inside the
last stretch, on a thread of the pool, and may stop the profiler before that thread gets any
further: then the operations of the stretch are in the trace, and the stretch is not. What had
started it is: the pool's region, opened for what was put into its queue in an earlier stretch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tftrace.native.loops.thread_pool import RECORD, START, STOP
from tftrace.parsers import MISSING, Trace
from tftrace.timeline.arithmetic.intervals import enclosing

Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Processes:
    """Stretches of an executor's work on a thread; ``id`` is the executor's step id, times are
    ps."""

    line: npt.NDArray[np.int32]
    start: Int
    end: Int
    id: Int

    def with_one(self, line: int, start: int, end: int, of: int) -> Processes:
        """One more, behind the others."""
        return Processes(
            np.append(self.line, np.int32(line)),
            np.append(self.start, start),
            np.append(self.end, end),
            np.append(self.id, of),
        )


def with_open_ends(
    trace: Trace,
    kind: npt.NDArray[np.int8],
    operations: npt.NDArray[np.bool_],
    known: Processes,
) -> Processes:
    """The stretches that have events, and those that had not ended; these last as long as there is
    any event on their thread.

    Args:
        kind: per event, `RECORD`, `START` or `STOP` of the thread pool, or something else.
        operations: per event, whether it is an operation.
    """
    todo = [
        region for region in _open_regions(trace, kind) if _lost(trace, operations, known, *region)
    ]
    # One may have been started by another.
    while True:
        found = known
        for line, start in list(todo):
            of = _started_by(trace, kind, known, line, start)
            if of is not None:
                todo.remove((line, start))
                part = _part(trace, line)
                last = int((trace.events.start_ps[part] + trace.events.duration_ps[part]).max())
                # Behind the last event, which may have no length.
                found = found.with_one(line, start, last + 1, of)
        if found is known:
            return known
        known = found


def _open_regions(trace: Trace, kind: npt.NDArray[np.int8]) -> list[tuple[int, int]]:
    """(line, start) of the last region of each thread, where nothing closes it."""
    opened, closed = (_last(trace, np.flatnonzero(kind == which)) for which in (START, STOP))
    return [(line, at) for line, at in opened.items() if closed.get(line, MISSING) <= at]


def _last(trace: Trace, events: npt.NDArray[np.intp]) -> dict[int, int]:
    """By line, when the last of the events (ascending) began."""
    if not len(events):
        return {}
    line = trace.events.line[events]
    first = np.flatnonzero(np.diff(line, prepend=-1))
    latest = np.maximum.reduceat(trace.events.start_ps[events], first)
    return dict(zip(line[first].tolist(), latest.tolist(), strict=True))


def _lost(
    trace: Trace, operations: npt.NDArray[np.bool_], known: Processes, line: int, start: int
) -> bool:
    """Whether operations began in the region outside of every stretch that is known."""
    part = _part(trace, line)
    begin = trace.events.start_ps[part][operations[part]]
    begin = begin[begin >= start]
    mine = known.line == line
    lines = np.full(len(begin), line, np.int32)
    around = enclosing(lines, begin, known.line[mine], known.start[mine], known.end[mine])
    return bool((around < 0).any())


def _started_by(
    trace: Trace, kind: npt.NDArray[np.int8], known: Processes, line: int, start: int
) -> int | None:
    """The id of the stretch in which the region that opened then was put into the queue."""
    events = trace.events
    part = _part(trace, line)
    openings = part.start + np.flatnonzero((kind[part] == START) & (events.start_ps[part] == start))
    region = events.stats["_c"].at(openings[-1:])[0]
    column = events.stats["_p"]
    records = column.events[column.values == region].astype(np.int64)
    records = records[(kind[records] == RECORD) & (events.start_ps[records] <= start)]
    if region == MISSING or not len(records):
        return None
    latest = records[np.argmax(events.start_ps[records])][None]
    around = enclosing(
        events.line[latest], events.start_ps[latest], known.line, known.start, known.end
    )[0]
    return None if around < 0 else int(known.id[around])


def _part(trace: Trace, line: int) -> slice:
    """The events of a line."""
    first, last = np.searchsorted(trace.events.line, [line, line + 1]).tolist()
    return slice(first, last)
