"""Work that executions left to the threads of the pool, and XLA's kernels back to their call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tftrace.timeline.arithmetic.intervals import enclosing, follow_chains
from tftrace.timeline.executions import Executions, is_call, none
from tftrace.timeline.marks import Mark, Marks
from tftrace.timeline.thread_pool import follow_pool

Int = npt.NDArray[np.int64]

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Workers:
    """Stretches of work on pool threads; ``root`` is the execution worked for, -1 unknown.

    ``end`` is when the work was done; ``closed`` is when the thread was free again: in between
    it runs what the end of this work made ready.
    """

    line: Int
    start: Int
    end: Int
    closed: Int
    root: Int


def find_workers(marks: Marks, executions: Executions) -> Workers:
    """All work of the intra-op pool, followed to its execution.

    The executor's own closures run on the inter-op pool, as regions too; what is executed inside
    them is known without.
    """
    events = marks.trace.events
    record, region = events.stats["_p"], events.stats["_c"]
    work = follow_pool(
        marks.kind,
        events.line,
        events.start_ps,
        events.duration_ps,
        (record.events, record.values),
        (region.events, region.values),
        executions.event,
    )
    inter_op = np.zeros(len(marks.trace.lines), bool)
    inter_op[executions.line[executions.hlo < 0] if executions.modules else executions.line] = True
    kept = np.flatnonzero(~inter_op[work.line])
    line, start, closed, root = (column[kept] for column in work)
    end = np.where(root >= 0, _done(marks, executions)[root], _NEVER) if len(executions) else closed
    np.minimum(end, closed, out=end)
    if executions.modules:
        np.minimum(end, _first_inside(line, start, executions), out=end)
    # A worker that comes when all is done finds nothing to do.
    return Workers(line, start, np.maximum(end, start, out=end), closed, root)


def calls_of(executions: Executions, workers: Workers) -> Int:
    """The call (an execution) that each of XLA's kernels ran for, -1 for others and unknown.

    A kernel starts on the thread of the call, or on a worker once the work of another kernel,
    whose call it shares, is done.
    """
    kernels = np.flatnonzero(executions.hlo >= 0)
    if not len(kernels):
        return none(len(executions), np.int64)
    result = np.full(len(executions), -1, np.int64)
    calls = np.flatnonzero(is_call(executions))
    line, start = executions.line[kernels], executions.start[kernels]
    direct = enclosing(
        line, start, executions.line[calls], executions.start[calls], executions.end[calls]
    )
    region = enclosing(line, start, workers.line, workers.start, workers.closed)
    call = np.full(len(executions), -1, np.int64)
    call[calls] = calls
    call[kernels] = np.append(calls, -1)[direct]
    before = np.full(len(executions), -1, np.int64)
    before[kernels] = np.where(direct < 0, np.append(workers.root, -1)[region], -1)
    result[kernels] = follow_chains(before, call)[kernels]
    return result


def in_calls(marks: Marks, mark: Mark, executions: Executions, calls: Int) -> tuple[Int, Int]:
    """Events with the mark within calls, and the place in ``calls`` of the one around each."""
    events, found = marks.trace.events, marks.of(mark)
    at = enclosing(
        events.line[found],
        events.start_ps[found],
        executions.line[calls],
        executions.start[calls],
        executions.end[calls],
    )
    return found[at >= 0], at[at >= 0]


def _first_inside(line: Int, start: Int, executions: Executions) -> Int:
    """When the first execution after each region's start begins on the region's line."""
    result = np.full(len(line), _NEVER)
    kernels = np.flatnonzero(executions.hlo >= 0)  # nothing else runs on the pool's threads
    order = kernels[np.lexsort((executions.start[kernels], executions.line[kernels]))]
    on, begins = executions.line[order], executions.start[order]
    threads = np.unique(on)
    by_line = np.argsort(line, kind="stable")
    found = [np.searchsorted(on, threads, side) for side in ("left", "right")]
    asked = [np.searchsorted(line[by_line], threads, side) for side in ("left", "right")]
    for low, high, first, last in np.stack([*found, *asked], axis=1).tolist():
        mine = by_line[first:last]
        here = np.append(begins[low:high], _NEVER)
        result[mine] = here[np.searchsorted(here, start[mine])]
    return result


def _done(marks: Marks, executions: Executions) -> Int:
    """The latest time at which anything can still work for each execution.

    A kernel of TensorFlow returns when its work is done; a region that ends later shows a
    worker that waited for a processor. One of XLA's goes on after its event, until an event
    ``end: …`` of the same id.
    """
    events = marks.trace.events
    kernels = np.flatnonzero(executions.hlo >= 0)
    if not len(kernels):
        return executions.end
    ends = marks.of(Mark.END)
    ids = events.stats["_c"].at(ends)
    order = np.argsort(ids, kind="stable")
    ends, ids = ends[order], ids[order]
    mine = events.stats["_p"].at(executions.event[kernels])
    place = np.searchsorted(ids, mine)
    ended = np.append(ids, -1)[place] == mine
    done = executions.end.copy()
    done[kernels] = np.where(ended, np.append(events.start_ps[ends], _NEVER)[place], _NEVER)
    return done
