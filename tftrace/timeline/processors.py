"""What threads that seem to be at work can have had of the machine's processors.

Neither a thread that waits at a barrier for its workers nor one that waits for a processor leaves
an event that says so. Known is how many processors there are, and who runs for certain: workers,
and threads whose execution has no worker at work. They share the processors equally; a thread whose
own workers are at work, which may only wait for them, has what they leave.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tftrace.timeline.arithmetic.intervals import self_time
from tftrace.timeline.arithmetic.spans import Spans, grouped_spans
from tftrace.timeline.arithmetic.sweep import is_ordered, sweep
from tftrace.timeline.devices import is_device
from tftrace.timeline.executions import Executions, is_call
from tftrace.timeline.marks import Mark, Marks
from tftrace.timeline.window import Window
from tftrace.timeline.workers import Workers, in_calls

Int = npt.NDArray[np.int64]
Clock = Callable[[Int], Int]


def thread_time(
    marks: Marks,
    window: Window,
    executions: Executions,
    workers: Workers,
    own: Int,
    processors: int | None,
) -> tuple[Int, Int]:
    """What each execution's own thread and each worker can have had of a processor, in ps.

    Args:
        own: the time that each execution was its thread's innermost.
        processors: None if it is not known how many there are; then threads have all that time.
    """
    waits, call = in_calls(marks, Mark.WAIT, executions, np.flatnonzero(is_call(executions)))
    asleep = marks.trace.events.start_ps[waits], marks.trace.events.end_ps[waits]
    of_call = np.flatnonzero(is_call(executions))[call]
    working = np.clip(workers.start, window.start, window.end)
    done = np.clip(workers.end, window.start, window.end)
    end = np.minimum(executions.end, window.end)
    host = _on_host(marks, executions)
    if processors is None or not (len(workers.root) or len(np.unique(executions.line)) > 1):
        thread = own.copy()
        np.subtract.at(thread, of_call, asleep[1] - asleep[0])
        return thread, done - working
    # XLA's kernels leave their workers behind, TensorFlow's own wait for theirs.
    mine = (workers.root >= 0) & (done > working)
    mine &= np.append((executions.hlo < 0) & host, False)[workers.root]
    root = workers.root[mine]
    helped, spell = grouped_spans(
        root,
        np.maximum(working[mine], executions.start[root]),
        np.minimum(done[mine], end[root]),
    )
    _, callers = grouped_spans(executions.line[host], executions.start[host], end[host])
    run, wait = clocks(
        Threads(callers, np.stack(asleep, 1), spell, np.stack([working, done], 1)), processors
    )
    start = executions.start
    clocked = executions.line, run(start), run(end)
    # In order by time is in order by a clock, but for what takes none.
    innermost = (
        sweep(*clocked, np.zeros(len(host), bool)).own
        if is_ordered(executions.line, start, end)
        else self_time(*clocked)
    )
    thread = np.where(host, innermost, own)
    np.add.at(thread, helped, wait(spell[:, 1]) - wait(spell[:, 0]))
    np.subtract.at(thread, helped, run(spell[:, 1]) - run(spell[:, 0]))
    np.subtract.at(thread, of_call, run(asleep[1]) - run(asleep[0]))
    # What ran inside an execution while its workers were at work did not wait for them.
    return np.maximum(thread, 0), run(done) - run(working)


@dataclass(frozen=True)
class Threads:
    """Threads of the host that seem to be at work, as spans in ps.

    ``callers`` are the stretches of each thread's executions, ``asleep`` those in which they are
    known to sleep, ``helped`` those in which an execution's own workers are at work, and
    ``workers`` the stretches of work on the pool.
    """

    callers: Spans
    asleep: Spans
    helped: Spans
    workers: Spans


def clocks(threads: Threads, processors: int) -> tuple[Clock, Clock]:
    """Two clocks: the time on a processor of a thread that runs, and of one that may wait.

    Both go as fast as time while there are as many processors as threads, and slower the more
    threads share them: at any instant all that run and all that may wait have no more than
    ``processors`` together.
    """
    parts = (
        (threads.callers, 1, 0),
        (threads.asleep, -1, 0),
        (threads.helped, -1, 1),
        (threads.workers, 1, 0),
    )
    time = np.concatenate([part.T.ravel() for part, _, _ in parts])
    order = np.argsort(time, kind="stable")
    time = time[order]
    running, waiting = (
        np.cumsum(np.concatenate([_edges(len(part), step[way]) for part, *step in parts])[order])
        for way in (0, 1)
    )
    run = processors / np.maximum(running, processors)
    left = np.clip(processors - running, 0, waiting)
    wait = np.divide(left, waiting, out=np.ones(len(time)), where=waiting > 0)
    return _clock(time, run), _clock(time, wait)


def _on_host(marks: Marks, executions: Executions) -> npt.NDArray[np.bool_]:
    """Which executions a thread of the host ran."""
    trace = marks.trace
    host = np.array([not is_device(trace.planes[line.plane].name) for line in trace.lines], bool)
    which: npt.NDArray[np.bool_] = host[executions.line]
    return which


def _edges(count: int, step: int) -> Int:
    """What the number of threads changes by: at so many starts, then at as many ends."""
    return np.repeat(np.array([step, -step], np.int64), count)


def _clock(time: Int, rate: npt.NDArray[np.float64]) -> Clock:
    """A clock of that rate from each instant of ``time`` on."""
    shown = np.r_[0.0, np.cumsum(np.diff(time) * rate[:-1])]

    def clock(at: Int) -> Int:
        since = np.maximum(np.searchsorted(time, at, side="right") - 1, 0)
        ticks: Int = np.rint(shown[since] + (at - time[since]) * rate[since]).astype(np.int64)
        return ticks

    return clock
