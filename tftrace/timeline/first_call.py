"""What a call of predict spends before and beside running its kernels."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tftrace.parsers import Trace
from tftrace.timeline.arithmetic.spans import intersect, length, spans
from tftrace.timeline.marks import FUNCTION, Mark, Marks, event_spans
from tftrace.timeline.window import Window, around

Int = npt.NDArray[np.int64]

_BUILDING = "tf.function-graph_building"


@dataclass(frozen=True)
class FunctionParts:
    """The runs of one function within a pass, in ps; the parts do not overlap.

    Attributes:
        function: its name in the trace.
        build: Python code made the graph.
        prepare: TensorFlow optimized the graph and placed it.
        compile: XLA compiled it.
        run: the rest of the calls: kernels made and run.
        calls: how many.
    """

    function: str
    build: int
    prepare: int
    compile: int
    run: int
    calls: int


@dataclass(frozen=True)
class PassParts:
    """One pass: its functions in the order of their first run, and what lies around them, in ps."""

    functions: tuple[FunctionParts, ...]
    rest: int
    total: int


def windows(marks: Marks) -> list[Window]:
    """Every window that the tracer marked, in time order."""
    events, found = marks.trace.events, marks.of(Mark.WINDOW)
    start = events.start_ps[found]
    return [
        Window(int(at), int(at + events.duration_ps[event]), int(events.line[event]))
        for at, event in sorted(zip(start.tolist(), found.tolist(), strict=True))
    ]


def pass_parts(marks: Marks, window: Window, functions: Collection[str], python: str) -> PassParts:
    """The window by what its driving thread did for the functions.

    Args:
        functions: names of the traces of the predict function.
        python: name of the Python function that they were traced from; its calls are events, too.
    """
    trace, events = marks.trace, marks.trace.events
    calls = _inside(trace, window, marks.of(Mark.FUNCTION))
    names = [name.removeprefix(FUNCTION) for name in trace.names(calls)]
    calls = calls[[name in functions for name in names]] if len(calls) else calls
    calls = calls[np.argsort(events.start_ps[calls], kind="stable")]
    outer = _inside(trace, window, trace.where(lambda _, name: name == python))
    at = around(trace, calls, outer)
    building = event_spans(
        trace, _inside(trace, window, trace.where(lambda _, name: name == _BUILDING))
    )
    compiling = event_spans(trace, marks.of(Mark.COMPILER))
    ran, run_at = marks.of(Mark.RUN), around(trace, marks.of(Mark.RUN), calls)
    found: dict[str, list[tuple[int, int, int, int]]] = {}
    before = window.start
    for number, (call, place) in enumerate(zip(calls.tolist(), at.tolist(), strict=True)):
        start, end = int(events.start_ps[call]), int(events.end_ps[call])
        since = before if place < 0 else max(before, int(events.start_ps[outer[place]]))
        first = events.start_ps[ran[run_at == number]]
        prepared = int(first.min()) - start if len(first) else 0
        build = length(intersect(building, spans([since], [start])))
        compiled = length(intersect(compiling, spans([start + prepared], [end])))
        parts = build, prepared, compiled, end - start - prepared - compiled
        name = trace.event_name(call).removeprefix(FUNCTION)
        found.setdefault(name, []).append(parts)
        before = end
    sums = []
    for name, runs in found.items():
        build, prepare, compiled, run = np.sum(runs, axis=0).tolist()
        sums.append(FunctionParts(name, build, prepare, compiled, run, len(runs)))
    total = window.end - window.start
    inside = sum(f.build + f.prepare + f.compile + f.run for f in sums)
    return PassParts(tuple(sums), total - inside, total)


def _inside(trace: Trace, window: Window, events: Int) -> Int:
    """Those of the events that the window's own thread began inside it."""
    start = trace.events.start_ps[events]
    here = trace.events.line[events] == window.line
    return events[here & (start >= window.start) & (start < window.end)]
