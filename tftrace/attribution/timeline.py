"""Every instant of the measured window, given to what was running in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tftrace.attribution.events import (
    STEP,
    Executions,
    Runs,
    Window,
    event_spans,
    executor_spans,
    named,
)
from tftrace.attribution.intervals import (
    concurrent_shares,
    pair_regions,
    self_segments,
    self_time,
    thread_pool_roots,
)
from tftrace.attribution.spans import Spans, intersect, length, spans, subtract
from tftrace.graph.flatten import CALLS
from tftrace.parsers import Trace

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]

EXECUTOR = "executor and unrecorded ops"
PIPELINE = "input pipeline"
DISPATCH = "function dispatch"
LOOP = "Keras loop and callbacks"
COMPILATION = "compilation"

_PIPELINE_EVENTS = ("Iterator", "Dataset", "tf.function-graph_building", "DeleteTensorHandle")
_OPENS = "ThreadpoolListener::StartRegion"
_CLOSES = "ThreadpoolListener::StopRegion"
_COMPILE_EVENTS = ("XlaCompile", "CpuCompiler", "HloPassPipeline", "BuildExecutable", "XlaBuild")


@dataclass(frozen=True)
class Timeline:
    """The window shared out, in ps.

    ``wall``, ``self`` and ``thread`` have one entry per execution: its share of the wall time,
    its duration without what ran inside it, and its thread time with its workers'. ``gaps``
    name what the rest of the window was. The wall shares of the executions and the gaps sum to
    ``length``. ``lost_worker_ps`` is worker time that could not be followed to an operation.
    """

    wall: Float
    self: Int
    thread: Int
    gaps: dict[str, int]
    length: int
    worker_ps: int
    lost_worker_ps: int


def build_timeline(trace: Trace, window: Window, runs: Runs, executions: Executions) -> Timeline:
    """Share each instant of the window equally among the operations active in it.

    An operation that waits for others to run inside it is not active: first come kernels, then
    the worker threads that a kernel left running, then calls that run as one kernel. What no
    operation covers is named by what the driving thread was doing.
    """
    start = np.clip(executions.start, window.start, window.end)
    end = np.clip(executions.end, window.start, window.end)
    call_types = [i for i, t in enumerate(executions.types) if t in CALLS]
    is_call = np.isin(executions.type, call_types)
    pool = _workers(trace, window, executions)

    wall = np.zeros(len(executions), np.float64)
    covered = np.empty((0, 2), np.int64)
    kernels = np.flatnonzero(~is_call)
    owner, low, high = self_segments(executions.line[kernels], start[kernels], end[kernels])
    tiers = (
        (kernels[owner], low, high),
        (pool.root, pool.start, pool.end),
        (np.flatnonzero(is_call), start[is_call], end[is_call]),
    )
    for who, begin, stop in tiers:
        known = who >= 0
        who, begin, stop = who[known], begin[known], stop[known]
        clock = _uncovered_clock(covered, window)
        shares = concurrent_shares(clock(begin), clock(stop))
        wall += np.bincount(who, weights=shares, minlength=len(wall))
        covered = spans(np.r_[covered[:, 0], begin], np.r_[covered[:, 1], stop])

    own = self_time(executions.line, start, end)
    resolved = pool.root >= 0
    worker = pool.end - pool.start
    thread = own + np.bincount(
        pool.root[resolved], weights=worker[resolved], minlength=len(own)
    ).astype(np.int64)
    return Timeline(
        wall=wall,
        self=own,
        thread=thread,
        gaps=_gaps(trace, window, runs, executions, covered),
        length=window.end - window.start,
        worker_ps=int(worker.sum()),
        lost_worker_ps=int(worker[~resolved].sum()),
    )


@dataclass(frozen=True)
class _Workers:
    root: Int
    start: Int
    end: Int


def _workers(trace: Trace, window: Window, executions: Executions) -> _Workers:
    """Worker regions and the execution (index, -1 unresolved) that each works for."""
    events = trace.events
    record = named(trace, lambda name: name == "ThreadpoolListener::Record")
    edges = named(trace, lambda name: name in (_OPENS, _CLOSES))
    opens = np.isin(edges, named(trace, lambda name: name == _OPENS), assume_unique=True)
    regions = pair_regions(events.line[edges], events.start_ps[edges], opens)
    line, start, end = regions.line, regions.start, regions.end
    root = thread_pool_roots(
        (events.line[record], events.start_ps[record], events.stats["_p"].at(record)),
        (line, start, end, events.stats["_c"].at(edges[regions.opening])),
        (executions.line, executions.start, executions.end),
    )
    # The executor's own closures run on the inter-op pool, as regions too; operations inside
    # them are counted already.
    compute = np.unique(executions.line)
    if len(executions):
        end = _without_waiting(end, root, executions)
    inside = (start < window.end) & (end > window.start) & ~np.isin(line, compute)
    return _Workers(
        root[inside],
        np.clip(start[inside], window.start, window.end),
        np.clip(end[inside], window.start, window.end),
    )


def _without_waiting(end: Int, root: Int, executions: Executions) -> Int:
    """Ends of regions, not beyond their operation's.

    A kernel of TensorFlow returns when its work is done; a region that ends later shows a
    worker that waited for a processor. XLA's thunks do go on after their event.
    """
    op = np.maximum(root, 0)
    bounded = (root >= 0) & (executions.hlo[op] < 0)
    result: Int = np.where(bounded, np.minimum(end, executions.end[op]), end)
    return result


def _uncovered_clock(covered: Spans, window: Window) -> Callable[[Int], Int]:
    """A clock that stands still while something covered runs."""
    if not len(covered):
        return lambda t: t - window.start
    before = np.r_[0, np.cumsum(covered[:, 1] - covered[:, 0])]

    def clock(t: Int) -> Int:
        place = np.searchsorted(covered[:, 0], t, side="right")
        spent = before[place]
        inside = place > 0
        over = covered[np.maximum(place - 1, 0), 1] - t
        spent = spent - np.where(inside & (over > 0), over, 0)
        ticks: Int = t - window.start - spent
        return ticks

    return clock


def _gaps(
    trace: Trace, window: Window, runs: Runs, executions: Executions, covered: Spans
) -> dict[str, int]:
    """Name what no operation covers, by the first cause that applies."""
    rest = subtract(spans([window.start], [window.end]), covered)
    causes = (
        (COMPILATION, _compilation(trace, window)),
        (EXECUTOR, executor_spans(trace, runs, executions)),
        (DISPATCH, spans(runs.start, runs.end)),
        (DISPATCH, _calls(trace, window)),
        (PIPELINE, _pipeline(trace, window)),
    )
    gaps: dict[str, int] = {}
    for name, cause in causes:
        gaps[name] = gaps.get(name, 0) + length(intersect(rest, cause))
        rest = subtract(rest, cause)
    gaps[LOOP] = length(rest)
    return gaps


def _compilation(trace: Trace, window: Window) -> Spans:
    """Tracing of the predict function, or XLA at work, inside the window."""
    traced = trace.events.stats["tf_function_call"]
    codes = [i for i, s in enumerate(trace.strings) if s.startswith("traced-")]
    calls = traced.events[np.isin(traced.values, codes)]
    xla = named(trace, lambda name: name.startswith(_COMPILE_EVENTS))
    return event_spans(trace, np.r_[calls, xla])


def _calls(trace: Trace, window: Window) -> Spans:
    """Calls of a tf.function on the driving thread."""
    calls = trace.events.stats["tf_function_call"].events
    return event_spans(trace, calls[trace.events.line[calls] == window.line])


def _pipeline(trace: Trace, window: Window) -> Spans:
    """Making, asking and taking down the iterator.

    Before its first batch predict builds the pipeline. When it has finished it drops the
    iterator's handle, whose destructor may wait for tf.data's threads: deleting a finished
    iterator by hand took 0.6 ms or about 100 ms, at random (TensorFlow 2.21).
    """
    events = trace.events
    asked = named(trace, lambda name: any(part in name for part in _PIPELINE_EVENTS))
    asked = asked[events.line[asked] == window.line]
    steps = named(trace, lambda name: name == STEP)
    first = events.start_ps[steps].min() if len(steps) else window.start
    return spans(
        np.r_[window.start, events.start_ps[asked]],
        np.r_[first, events.start_ps[asked] + events.duration_ps[asked]],
    )
