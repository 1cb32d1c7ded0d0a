"""Every instant of the measured window, given to what was running in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tftrace.parsers import Trace
from tftrace.timeline.arithmetic.intervals import (
    concurrent_shares,
    self_segments,
    self_time,
)
from tftrace.timeline.arithmetic.spans import (
    Spans,
    grouped_spans,
    intersect,
    length,
    overlap,
    spans,
    subtract,
    union,
)
from tftrace.timeline.arithmetic.sweep import is_ordered, sweep
from tftrace.timeline.devices import launches
from tftrace.timeline.executions import Executions, executor_spans, is_call
from tftrace.timeline.marks import Mark, Marks, event_spans
from tftrace.timeline.processors import thread_time
from tftrace.timeline.window import Runs, Window, waiting_for_data
from tftrace.timeline.workers import Workers, in_calls

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]

EXECUTOR = "executor and unrecorded ops"
PIPELINE = "input pipeline"
DISPATCH = "function dispatch"
LOOP = "Keras loop and callbacks"
COMPILATION = "compilation"
UNKNOWN = "unknown functions"


@dataclass(frozen=True)
class Timeline:
    """The window shared out, in ps.

    ``wall``, ``start``, ``until`` and ``self`` have one entry per execution: its share of the wall
    time; when it began, and when its last worker was done; its duration without what ran inside
    it. Its thread time is what its own thread can have had of a processor in that, ``thread``, and
    what the pool did for it: ``worker`` for the execution ``root`` (-1: unknown). ``gaps`` name
    what the rest of the window was. The wall shares of the executions and the gaps sum to
    ``length``.
    ``lost_worker_ps`` is worker time that could not be followed to an operation.
    """

    wall: Float
    start: Int
    until: Int
    self: Int
    thread: Int
    root: Int
    worker: Int
    gaps: dict[str, int]
    length: int
    worker_ps: int
    lost_worker_ps: int

    @property
    def busy(self) -> Int:
        """The time from each execution's begin until its last worker was done; a new array."""
        return self.until - self.start


@dataclass(frozen=True)
class Shares:
    """The window shared among executions: ``own`` is the time (ps) that each was its thread's
    innermost, ``wall`` its share of the window; ``covered`` is when any was active, and
    ``compiling``, a part of it, when a call waited for XLA's compiler instead."""

    own: Int
    wall: Float
    covered: Spans
    compiling: Spans


def build_timeline(
    marks: Marks,
    window: Window,
    runs: Runs,
    executions: Executions,
    workers: Workers,
    strangers: Runs | None = None,
    processors: int | None = None,
) -> Timeline:
    """The window shared out; what no operation covers is named by what the driving thread did.

    Args:
        strangers: runs of functions that are not known; their time has a name of its own.
        processors: how many the machine has; None if that is not known.
    """
    shares = share(marks, window, executions, workers)
    gaps = _gaps(marks, window, runs, strangers, executions, shares.covered)
    gaps[COMPILATION] += length(shares.compiling)
    shared = shares.own, shares.wall, gaps
    return timeline_of(marks, window, executions, workers, *shared, processors)


def share(marks: Marks, window: Window, executions: Executions, workers: Workers) -> Shares:
    """Share each instant of the window equally among the operations active in it.

    A kernel is active while it runs itself or, as XLA's do, has left workers running. A call is
    active when nothing that it waits for is, and it does not wait for a compiler.
    """
    start, end = executions.start, executions.end
    if len(end) and end.max() > window.end:
        end = np.minimum(end, window.end)
    root = workers.root
    # Of a region outside the window nothing is left.
    working = np.clip(workers.start, window.start, window.end)
    done = np.clip(workers.end, window.start, window.end)
    calls = np.flatnonzero(is_call(executions))
    own, wall, covered = _active(executions, end, calls, root, working, done)
    compiling = np.empty((0, 2), np.int64)
    if len(calls):
        compiling = subtract(_compilation(marks, window, executions, calls), covered)
        covered = union(covered, compiling)
        clock = _uncovered_clock(covered, window)
        wall[calls] += concurrent_shares(clock(start[calls]), clock(end[calls]))
        covered = union(covered, spans(start[calls], end[calls]))
    return Shares(own, wall, covered, compiling)


def timeline_of(
    marks: Marks,
    window: Window,
    executions: Executions,
    workers: Workers,
    own: Int,
    wall: Float,
    gaps: dict[str, int],
    processors: int | None = None,
) -> Timeline:
    """The timeline of executions whose shares are known."""
    # Of a region outside the window nothing is left.
    worker = np.clip(workers.end, window.start, window.end)
    worker -= np.clip(workers.start, window.start, window.end)
    thread, helpers = thread_time(marks, window, executions, workers, own, processors)
    return Timeline(
        wall=wall,
        start=executions.start,
        until=_until_done(executions, workers),
        self=own,
        thread=thread,
        root=workers.root,
        worker=helpers,
        gaps=gaps,
        length=window.end - window.start,
        worker_ps=int(worker.sum()),
        lost_worker_ps=int(worker[workers.root < 0].sum()),
    )


def _active(
    executions: Executions, end: Int, calls: Int, root: Int, working: Int, done: Int
) -> tuple[Int, Float, Spans]:
    """The time that each execution was its thread's innermost, each kernel's share of the wall,
    and when any kernel was active."""
    line, start = executions.line, executions.start
    called = np.zeros(len(executions), bool)
    called[calls] = True
    if not executions.modules and is_ordered(line, start, end):
        # The workers of TensorFlow's own kernels are done when the kernel is.
        own, wall, covered = sweep(line, start, end, called)
        if len(calls):
            own = sweep(line, start, end, np.zeros(len(line), bool)).own
        return own, wall, covered
    kernels = np.flatnonzero(~called)
    owner, low, high = self_segments(line[kernels], start[kernels], end[kernels])
    left = (np.append(executions.hlo, -1)[root] >= 0) & (done > working)
    who, active = grouped_spans(
        np.r_[kernels[owner], root[left]], np.r_[low, working[left]], np.r_[high, done[left]]
    )
    wall = np.zeros(len(executions))
    np.add.at(wall, who, concurrent_shares(active[:, 0], active[:, 1]))
    return self_time(line, start, end), wall, spans(active[:, 0], active[:, 1])


def _until_done(executions: Executions, workers: Workers) -> Int:
    """End of each execution, its workers' included."""
    if not executions.modules:
        return executions.end
    end = executions.end.copy()
    left = np.append(executions.hlo, -1)[workers.root] >= 0
    left &= workers.end > workers.start
    np.maximum.at(end, workers.root[left], workers.end[left])
    return end


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
    marks: Marks,
    window: Window,
    runs: Runs,
    strangers: Runs | None,
    executions: Executions,
    covered: Spans,
) -> dict[str, int]:
    """Name what no operation covers, by the first cause that applies."""
    trace = marks.trace
    whole = spans([window.start], [window.end])
    others = []
    if strangers is not None and len(strangers.id):
        others.append((UNKNOWN, spans(strangers.start, strangers.end)))
    causes = (
        (COMPILATION, _tracing(trace)),
        *others,
        (DISPATCH, event_spans(trace, np.r_[launches(trace), marks.of(Mark.LAUNCH)])),
        (PIPELINE, event_spans(trace, waiting_for_data(marks, runs))),
        (EXECUTOR, executor_spans(marks, runs, executions)),
        (DISPATCH, spans(runs.start, runs.end)),
        (DISPATCH, _calls(trace, window)),
        (PIPELINE, _pipeline(marks, window)),
    )
    gaps: dict[str, int] = dict.fromkeys((name for name, _ in causes), 0)
    named = np.empty((0, 2), np.int64)
    for name, cause in causes:
        rest = subtract(intersect(cause, whole), named)
        gaps[name] += length(rest) - overlap(rest, covered)
        named = union(named, rest)
    gaps[LOOP] = length(whole) - overlap(whole, covered) - sum(gaps.values())
    return gaps


def _compilation(marks: Marks, window: Window, executions: Executions, calls: Int) -> Spans:
    """XLA at work: a call that compiles does so, from the graph on, before it executes."""
    compiled = in_calls(marks, Mark.COMPILER, executions, calls)
    executed = in_calls(marks, Mark.EXECUTE, executions, calls)
    until = executions.end[calls]
    np.minimum.at(until, executed[1], marks.trace.events.start_ps[executed[0]])
    which = np.unique(compiled[1])
    return intersect(
        spans(executions.start[calls][which], until[which]), spans([window.start], [window.end])
    )


def _tracing(trace: Trace) -> Spans:
    """TensorFlow tracing the predict function anew."""
    traced = trace.events.stats["tf_function_call"]
    codes = [i for i, s in enumerate(trace.strings) if s.startswith("traced-")]
    return event_spans(trace, traced.events[np.isin(traced.values, codes)].astype(np.int64))


def _calls(trace: Trace, window: Window) -> Spans:
    """Calls of a tf.function on the driving thread."""
    calls = trace.events.stats["tf_function_call"].events
    return event_spans(trace, calls[trace.events.line[calls] == window.line])


def _pipeline(marks: Marks, window: Window) -> Spans:
    """Making, asking and taking down the iterator.

    Before its first batch predict builds the pipeline. When it has finished it drops the
    iterator's handle, whose destructor may wait for tf.data's threads: deleting a finished
    iterator by hand took 0.6 ms or about 100 ms, at random (TensorFlow 2.21).
    """
    events = marks.trace.events
    asked = marks.of(Mark.PIPELINE)
    asked = asked[events.line[asked] == window.line]
    steps = marks.of(Mark.STEP)
    first = events.start_ps[steps].min() if len(steps) else window.start
    return spans(
        np.r_[window.start, events.start_ps[asked]],
        np.r_[first, events.start_ps[asked] + events.duration_ps[asked]],
    )
