"""What surrounds the executions in a trace: the measured window, and runs of the model."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tftrace.parsers import Trace
from tftrace.runs.names import HOST
from tftrace.timeline.arithmetic.intervals import enclosing
from tftrace.timeline.devices import is_device, is_stream
from tftrace.timeline.marks import FUNCTION, Mark, Marks

Int = npt.NDArray[np.int64]
Indices = npt.NDArray[np.integer]


_OP = re.compile("_?[A-Z]")
"""How the name of a registered operation begins; that of a function does not."""


@dataclass(frozen=True)
class Window:
    """The measured stretch of the trace: [start, end) in ps, and the line that drives it."""

    start: int
    end: int
    line: int


@dataclass(frozen=True)
class Runs:
    """Executions of the predict function (or of other functions), in time order.

    ``function`` is the name in the trace (``__inference_…_225``), ``id`` the executor's step id.
    """

    id: Int
    function: list[str]
    start: Int
    end: Int


def find_window(marks: Marks) -> Window | None:
    """The window that the tracer marked, or None in a trace from elsewhere."""
    found = marks.of(Mark.WINDOW)
    if not len(found):
        return None
    events, event = marks.trace.events, found[-1]
    start = int(events.start_ps[event])
    return Window(start, start + int(events.duration_ps[event]), int(events.line[event]))


def whole_window(marks: Marks) -> Window:
    """The window of a trace without marks: from the first to the last event of hosts and GPUs.

    Of no length where nothing was recorded; the driving line is then -1.
    """
    trace = marks.trace
    start, end = trace.events.start_ps, trace.events.end_ps
    recorded = [
        (number, line.events)
        for number, line in enumerate(trace.lines)
        if line.count and is_recorded(trace.planes[line.plane].name, line.name)
    ]
    if not recorded:
        return Window(0, 0, -1)
    runs = marks.of(Mark.RUN)
    return Window(
        min(int(start[part].min()) for _, part in recorded),
        # What starts last belongs to the window, however short it is.
        max(max(int(end[part].max()), int(start[part].max()) + 1) for _, part in recorded),
        int(trace.events.line[runs[0]]) if len(runs) else recorded[0][0],
    )


def is_recorded(plane: str, line: str) -> bool:
    """Whether a line's events are what happened, not derived from others."""
    return plane.startswith(HOST) or (is_device(plane) and is_stream(line))


def find_runs(marks: Marks, window: Window, functions: set[str] | None) -> Runs:
    """Runs of the model's functions inside the window.

    Args:
        functions: names of the traced predict functions; None takes every function that the
            window's own thread runs.
    """
    line, every = _function_runs(marks, window)
    return _chosen(
        every,
        [
            bool(name) and here == window.line if functions is None else name in functions
            for here, name in zip(line.tolist(), every.function, strict=True)
        ],
    )


def unknown_runs(marks: Marks, window: Window, functions: set[str] | None) -> Runs:
    """Runs of other functions inside the window, whoever called them; none where the model's
    functions have no names (None).

    tf.data's own run inside operations, whose names are not a function's.
    """
    _, every = _function_runs(marks, window)
    return _chosen(
        every,
        [
            functions is not None and bool(name) and name not in functions and not _OP.match(name)
            for name in every.function
        ],
    )


def _function_runs(marks: Marks, window: Window) -> tuple[Int, Runs]:
    """Every run of a function inside the window, and the line of each; the name is that of the
    eager call around it, '' without one."""
    trace, events = marks.trace, marks.trace.events
    runs = marks.of(Mark.RUN)
    start = events.start_ps[runs]
    runs = runs[(start >= window.start) & (start < window.end)]
    runs = runs[np.argsort(events.start_ps[runs], kind="stable")]
    calls = marks.of(Mark.FUNCTION)
    at = around(trace, runs, calls)
    called = np.where(at >= 0, np.append(calls, -1)[at], runs)
    return events.line[runs].astype(np.int64), Runs(
        id=events.stats["id"].at(runs),
        function=[
            trace.event_name(event).removeprefix(FUNCTION) if known >= 0 else ""
            for event, known in zip(called.tolist(), at.tolist(), strict=True)
        ],
        start=events.start_ps[called],
        end=events.start_ps[called] + events.duration_ps[called],
    )


def _chosen(runs: Runs, wanted: list[bool]) -> Runs:
    at = np.flatnonzero(np.array(wanted, bool))
    return Runs(runs.id[at], [runs.function[i] for i in at.tolist()], runs.start[at], runs.end[at])


def waiting_for_data(marks: Marks, runs: Runs) -> Int:
    """Events of the model's own wait for its next batch (in Keras 2 the graph asks for it)."""
    found = marks.of(Mark.NEXT)
    return found[look_up(marks.trace.events.stats["id"].at(found), runs.id) >= 0]


def around(trace: Trace, inner: Indices, outer: Indices) -> Int:
    """Position in ``outer`` of the event that encloses each of ``inner`` on its line, else -1."""
    if not len(inner) or not len(outer):
        return np.full(len(inner), -1, np.int64)
    events = trace.events
    start = events.start_ps[outer]
    return enclosing(
        events.line[inner],
        events.start_ps[inner],
        events.line[outer],
        start,
        start + events.duration_ps[outer],
    )


def look_up(ids: Int, known: Int) -> Int:
    """Position of each id in ``known``, -1 where it is not."""
    if not len(known):
        return np.full(len(ids), -1, np.int64)
    order = np.argsort(known, kind="stable")
    place = np.minimum(np.searchsorted(known[order], ids), len(known) - 1)
    return np.where(known[order][place] == ids, order[place], -1)
