"""Every instant of the measured window, given to what was running in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tftrace.attribution.devices import dispatching
from tftrace.attribution.events import (
    STEP,
    Executions,
    Runs,
    Window,
    event_spans,
    executor_spans,
    named,
    waiting_for_data,
)
from tftrace.attribution.intervals import concurrent_shares, enclosing, self_segments, self_time
from tftrace.attribution.spans import (
    Spans,
    grouped_spans,
    intersect,
    length,
    spans,
    subtract,
    union,
)
from tftrace.attribution.workers import Workers, is_call
from tftrace.parsers import Trace

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]

EXECUTOR = "executor and unrecorded ops"
PIPELINE = "input pipeline"
DISPATCH = "function dispatch"
LOOP = "Keras loop and callbacks"
COMPILATION = "compilation"

_PIPELINE_EVENTS = ("Iterator", "Dataset", "tf.function-graph_building", "DeleteTensorHandle")
_COMPILERS = ("CpuCompiler::", "GpuCompiler::")
_EXECUTES = ("CpuExecutable::Execute", "GpuExecutable::Execute")
_WAIT = "BlockUntilReady"


@dataclass(frozen=True)
class Timeline:
    """The window shared out, in ps.

    ``wall``, ``busy``, ``self`` and ``thread`` have one entry per execution: its share of the
    wall time; the time until its last worker was done; its duration without what ran inside it;
    and its thread time with its workers'. ``gaps`` name what the rest of the window was. The wall
    shares of the executions and the gaps sum to ``length``. ``lost_worker_ps`` is worker time
    that could not be followed to an operation.
    """

    wall: Float
    busy: Int
    self: Int
    thread: Int
    gaps: dict[str, int]
    length: int
    worker_ps: int
    lost_worker_ps: int


def build_timeline(
    trace: Trace, window: Window, runs: Runs, executions: Executions, workers: Workers
) -> Timeline:
    """Share each instant of the window equally among the operations active in it.

    A kernel is active while it runs itself or, as XLA's do, has left workers running. A call is
    active when nothing that it waits for is, and it does not wait for a compiler. What no
    operation covers is named by what the driving thread was doing.
    """
    start = np.clip(executions.start, window.start, window.end)
    end = np.clip(executions.end, window.start, window.end)
    inside = (workers.start < window.end) & (workers.closed > window.start)
    root = workers.root[inside]
    working = np.clip(workers.start[inside], window.start, window.end)
    done = np.clip(workers.end[inside], window.start, window.end)
    called = is_call(executions)
    calls = np.flatnonzero(called)

    who, active = _activity(executions, start, end, root, working, done)
    covered = spans(active[:, 0], active[:, 1])
    shares = concurrent_shares(active[:, 0], active[:, 1])
    wall: Float = np.bincount(who, weights=shares, minlength=len(executions)).astype(np.float64)
    compiling = subtract(_compilation(trace, window, executions, calls), covered)
    covered = union(covered, compiling)
    clock = _uncovered_clock(covered, window)
    wall[calls] += concurrent_shares(clock(start[calls]), clock(end[calls]))
    covered = union(covered, spans(start[calls], end[calls]))
    gaps = _gaps(trace, window, runs, executions, covered)
    gaps[COMPILATION] += length(compiling)

    own = self_time(executions.line, start, end)
    worker = done - working
    known = root >= 0
    thread = own - _blocked(trace, executions, calls)
    np.add.at(thread, root[known], worker[known])
    return Timeline(
        wall=wall,
        busy=_until_done(executions, workers) - executions.start,
        self=own,
        thread=thread,
        gaps=gaps,
        length=window.end - window.start,
        worker_ps=int(worker.sum()),
        lost_worker_ps=int(worker[~known].sum()),
    )


def _activity(
    executions: Executions, start: Int, end: Int, root: Int, working: Int, done: Int
) -> tuple[Int, Spans]:
    """When each kernel was active: the kernel (an execution) of every span, and the spans."""
    kernels = np.flatnonzero(~is_call(executions))
    owner, low, high = self_segments(executions.line[kernels], start[kernels], end[kernels])
    # The workers of TensorFlow's own kernels are done when the kernel is.
    left = np.append(executions.hlo, -1)[root] >= 0
    return grouped_spans(
        np.r_[kernels[owner], root[left]], np.r_[low, working[left]], np.r_[high, done[left]]
    )


def _until_done(executions: Executions, workers: Workers) -> Int:
    """End of each execution, its workers' included."""
    end = executions.end.copy()
    left = np.append(executions.hlo, -1)[workers.root] >= 0
    left &= workers.end > workers.start
    np.maximum.at(end, workers.root[left], workers.end[left])
    return end


def _blocked(trace: Trace, executions: Executions, calls: Int) -> Int:
    """Time that each call's thread slept until XLA's kernels were done."""
    waits, at = _in_calls(trace, (_WAIT,), executions, calls)
    slept = np.zeros(len(executions), np.int64)
    np.add.at(slept, calls[at], trace.events.duration_ps[waits])
    return slept


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
        (COMPILATION, _tracing(trace)),
        (DISPATCH, event_spans(trace, dispatching(trace))),
        (PIPELINE, event_spans(trace, waiting_for_data(trace, runs))),
        (EXECUTOR, executor_spans(trace, runs, executions)),
        (DISPATCH, spans(runs.start, runs.end)),
        (DISPATCH, _calls(trace, window)),
        (PIPELINE, _pipeline(trace, window)),
    )
    gaps: dict[str, int] = dict.fromkeys((name for name, _ in causes), 0)
    for name, cause in causes:
        gaps[name] += length(intersect(rest, cause))
        rest = subtract(rest, cause)
    gaps[LOOP] = length(rest)
    return gaps


def _compilation(trace: Trace, window: Window, executions: Executions, calls: Int) -> Spans:
    """XLA at work: a call that compiles does so, from the graph on, before it executes."""
    events = trace.events
    compiled = _in_calls(trace, _COMPILERS, executions, calls)
    executed = _in_calls(trace, _EXECUTES, executions, calls)
    until = executions.end[calls].copy()
    for event, call in zip(*executed, strict=True):
        until[call] = min(until[call], events.start_ps[event])
    which = np.unique(compiled[1])
    return intersect(
        spans(executions.start[calls][which], until[which]), spans([window.start], [window.end])
    )


def _in_calls(
    trace: Trace, names: tuple[str, ...], executions: Executions, calls: Int
) -> tuple[Int, Int]:
    """Events of these names within calls, and the place in ``calls`` of the one around each."""
    found = named(trace, lambda name: name.startswith(names))
    at = enclosing(
        trace.events.line[found],
        trace.events.start_ps[found],
        executions.line[calls],
        executions.start[calls],
        executions.end[calls],
    )
    return found[at >= 0], at[at >= 0]


def _tracing(trace: Trace) -> Spans:
    """TensorFlow tracing the predict function anew."""
    traced = trace.events.stats["tf_function_call"]
    codes = [i for i, s in enumerate(trace.strings) if s.startswith("traced-")]
    return event_spans(trace, traced.events[np.isin(traced.values, codes)].astype(np.int64))


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
