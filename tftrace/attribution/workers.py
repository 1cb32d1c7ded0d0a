"""Work that executions left to the threads of the pool, and XLA's kernels back to their call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tftrace.attribution.events import Executions, named
from tftrace.attribution.intervals import enclosing, follow_chains
from tftrace.attribution.thread_pool import follow_pool
from tftrace.attribution.thread_pool_kernels import OP, RECORD, START, STOP
from tftrace.graph.flatten import CALLS
from tftrace.parsers import Trace

Int = npt.NDArray[np.int64]

_NEVER = np.iinfo(np.int64).max
_END = "end: "
_KINDS = {
    "ThreadpoolListener::Record": RECORD,
    "ThreadpoolListener::StartRegion": START,
    "ThreadpoolListener::StopRegion": STOP,
}


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


def find_workers(trace: Trace, executions: Executions) -> Workers:
    """All work of the intra-op pool, followed to its execution.

    The executor's own closures run on the inter-op pool, as regions too; what is executed inside
    them is known without.
    """
    events = trace.events
    kind = np.zeros(len(events), np.int8)
    kind[executions.event] = OP
    for name, code in _KINDS.items():
        kind[named(trace, name.__eq__)] = code
    record, region = events.stats["_p"], events.stats["_c"]
    work = follow_pool(
        kind,
        events.line,
        events.start_ps,
        events.duration_ps,
        (record.events, record.values),
        (region.events, region.values),
    )
    inter_op = np.unique(executions.line[executions.hlo < 0])
    kept = ~np.isin(work.line, inter_op)
    line, start, closed = work.line[kept], work.start[kept], work.end[kept]
    root = _position(work.root[kept], executions.event)
    end = np.minimum(closed, _first_inside(line, start, executions))
    done = np.append(_done(trace, executions), _NEVER)[root]
    # A worker that comes when all is done finds nothing to do.
    return Workers(line, start, np.maximum(np.minimum(end, done), start), closed, root)


def calls_of(executions: Executions, workers: Workers) -> Int:
    """The call (an execution) that each of XLA's kernels ran for, -1 for others and unknown.

    A kernel starts on the thread of the call, or on a worker once the work of another kernel,
    whose call it shares, is done.
    """
    kernels = np.flatnonzero(executions.hlo >= 0)
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
    result = np.full(len(executions), -1, np.int64)
    result[kernels] = follow_chains(before, call)[kernels]
    return result


def is_call(executions: Executions) -> npt.NDArray[np.bool_]:
    """Which executions are calls of functions."""
    types = [i for i, name in enumerate(executions.types) if name in CALLS]
    return np.isin(executions.type, types)


def _first_inside(line: Int, start: Int, executions: Executions) -> Int:
    """When the first execution after each region's start begins on the region's line."""
    result = np.full(len(line), _NEVER)
    for thread in np.unique(line):
        here = np.append(np.sort(executions.start[executions.line == thread]), _NEVER)
        mine = np.flatnonzero(line == thread)
        result[mine] = here[np.searchsorted(here, start[mine])]
    return result


def _done(trace: Trace, executions: Executions) -> Int:
    """The latest time at which anything can still work for each execution.

    A kernel of TensorFlow returns when its work is done; a region that ends later shows a
    worker that waited for a processor. One of XLA's goes on after its event, until an event
    ``end: …`` of the same id.
    """
    events = trace.events
    ends = named(trace, lambda name: name.startswith(_END))
    ids = events.stats["_c"].at(ends)
    order = np.argsort(ids, kind="stable")
    ends, ids = ends[order], ids[order]
    mine = events.stats["_p"].at(executions.event)
    place = np.searchsorted(ids, mine)
    ended = np.append(ids, -1)[place] == mine
    last = np.where(ended, np.append(events.start_ps[ends], _NEVER)[place], _NEVER)
    return np.where(executions.hlo < 0, executions.end, last)


def _position(events: Int, known: Int) -> Int:
    """Position of each event in the ascending ``known``, -1 for -1."""
    if not len(known):
        return np.full(len(events), -1, np.int64)
    return np.where(events >= 0, np.searchsorted(known, events), -1)
