"""The window of a trace that tftrace did not take, shared out device by device.

Nothing in such a trace says what the program was doing, so nothing is guessed: a GPU computes,
copies, tries out algorithms or is idle; a host runs operations, launches work of devices, is in
events that are no operations, or leaves no record. Devices run side by side: each has the whole
window to itself, and within a device concurrent work shares each instant.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tftrace.parsers.trials import AUTOTUNING
from tftrace.runs.names import HOST
from tftrace.timeline.arithmetic.spans import (
    Spans,
    intersect,
    length,
    overlap,
    spans,
    subtract,
    union,
)
from tftrace.timeline.devices import is_copy, is_device, is_stream, launches
from tftrace.timeline.executions import Executions
from tftrace.timeline.marks import Mark, Marks, event_spans
from tftrace.timeline.share_out import Shares, Timeline, share, timeline_of
from tftrace.timeline.window import Window
from tftrace.timeline.workers import Workers

COMPUTE, COPIES, IDLE = "compute", "copies", "idle"
OPS, LAUNCHES, THREADS, NOTHING = (
    "ops",
    "launches of device work",
    "threads outside ops",
    "nothing recorded",
)
ON_DEVICE = (COMPUTE, COPIES, AUTOTUNING)
ON_HOST = (OPS,)

_DRAWN = "/device:CUSTOM:"  # tracks that a program draws beside what was recorded

Key = tuple[str, str]
"""(plane, component)"""


def component_on(plane: str, kind: str) -> str:
    """What a plane does while it executes something of this type."""
    if not is_device(plane):
        return OPS
    if kind == AUTOTUNING:
        return AUTOTUNING
    return COPIES if is_copy(kind) else COMPUTE


def recorded_planes(marks: Marks) -> list[str]:
    """Planes whose time is known, devices first: all GPUs, and hosts with any event."""
    trace = marks.trace
    used = {trace.planes[line.plane].name for line in trace.lines if line.count}
    names = list(dict.fromkeys(plane.name for plane in trace.planes))
    hosts = [name for name in names if name.startswith(HOST) and name in used]
    return [*(name for name in names if is_device(name)), *hosts]


def unread_planes(marks: Marks) -> list[tuple[str, list[str]]]:
    """Planes with events of which nothing is read, and the names of their lines.

    Which lines of a TPU's plane, say, are executions and which repeat them is not known here.
    """
    trace = marks.trace
    lines: dict[str, list[str]] = {}
    read = set()
    for line in trace.lines:
        plane = trace.planes[line.plane].name
        if line.count and not plane.startswith(_DRAWN):
            lines.setdefault(plane, []).append(line.display_name or line.name)
            if plane.startswith(HOST) or (is_device(plane) and is_stream(line.name)):
                read.add(plane)
    return [(plane, found) for plane, found in lines.items() if plane not in read]


def plane_numbers(marks: Marks, executions: Executions) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Names of planes, and which of them each execution ran on."""
    trace = marks.trace
    names = list(dict.fromkeys(plane.name for plane in trace.planes))
    of_line = np.array([names.index(trace.planes[n.plane].name) for n in trace.lines], np.int64)
    return names, of_line[executions.line] if len(executions) else np.empty(0, np.int64)


def share_by_device(
    marks: Marks, window: Window, executions: Executions, workers: Workers
) -> tuple[Timeline, dict[Key, int]]:
    """Each device's window shared among its executions, and what fills the rest, in ps.

    The wall shares of a plane's executions and its gaps sum to the window.
    """
    names, number = plane_numbers(marks, executions)
    own, wall = np.zeros(len(executions), np.int64), np.zeros(len(executions))
    gaps: dict[Key, int] = {}
    for plane in recorded_planes(marks):
        mine, gpu = np.flatnonzero(number == names.index(plane)), is_device(plane)
        shares = share(marks, window, *_part(executions, workers, mine, gpu))
        own[mine], wall[mine] = shares.own, shares.wall
        rest = _idle(shares, window) if gpu else _host_gaps(marks, plane, shares, window)
        gaps |= {(plane, name): ps for name, ps in rest.items()}
    return timeline_of(marks, window, executions, workers, own, wall, {}), gaps


def _part(
    executions: Executions, workers: Workers, mine: npt.NDArray[np.int64], on_device: bool
) -> tuple[Executions, Workers]:
    """Some of the executions, and the work of a host's threads for them."""
    part = replace(
        executions,
        **{
            name: getattr(executions, name)[mine]
            for name in ("event", "line", "start", "end", "run", "kind", "hlo")
        },
        caller=np.broadcast_to(np.int64(-1), len(mine)),
    )
    place = np.full(len(executions) + 1, -1, np.int64)
    place[mine] = np.arange(len(mine))
    root = place[workers.root]
    kept = np.flatnonzero((root >= 0) & (not on_device))
    return part, Workers(
        workers.line[kept],
        workers.start[kept],
        workers.end[kept],
        workers.closed[kept],
        root[kept],
    )


def _idle(shares: Shares, window: Window) -> dict[str, int]:
    whole = spans([window.start], [window.end])
    return {IDLE: length(whole) - overlap(whole, shares.covered)}


def _host_gaps(marks: Marks, plane: str, shares: Shares, window: Window) -> dict[str, int]:
    """What a host did beside operations, by the first cause that applies."""
    trace = marks.trace
    whole = spans([window.start], [window.end])
    causes = (
        (LAUNCHES, event_spans(trace, np.r_[launches(trace), marks.of(Mark.LAUNCH)])),
        (THREADS, _thread_spans(marks, plane)),
        (NOTHING, whole),
    )
    named = subtract(shares.covered, shares.compiling)
    gaps = {}
    for name, cause in causes:
        rest = subtract(intersect(cause, whole), named)
        gaps[name] = length(rest)
        named = union(named, rest)
    return gaps


def _thread_spans(marks: Marks, plane: str) -> Spans:
    """When any thread of the host was in an event."""
    trace = marks.trace
    found = np.empty((0, 2), np.int64)
    for line in trace.lines:
        if trace.planes[line.plane].name == plane:
            start = trace.events.start_ps[line.events]
            found = union(found, spans(start, start + trace.events.duration_ps[line.events]))
    return found
