"""What each allocator of a trace says of itself: one per GPU, those of the host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tftrace.parsers import MISSING, Trace
from tftrace.timeline.memory import ALLOCATED, FREED


@dataclass(frozen=True)
class Allocator:
    """One allocator, in bytes; None where it does not count.

    Attributes:
        name: in the trace, such as ``GPU_0_bfc``.
        allocations: how often it handed something out in the trace.
        peak: the most that it held at once inside the window.
        process_peak: the same since the process began.
        limit: the most that it may hold: what it has and what it has left.
        rounding: what it kept beyond what was asked for, of the buffers of the trace that were held
            when it noted its peak.
    """

    name: str
    allocations: int
    peak: int | None
    process_peak: int | None
    limit: int | None
    rounding: int | None


def find_allocators(trace: Trace, start: int, end: int) -> list[Allocator]:
    """The allocators that noted anything in the trace, by name.

    Args:
        trace: read with `tftrace.runs.names.MEMORY_STATS`.
        start, end: the window, in ps.
    """
    kind = trace.classify(lambda _, name: name == ALLOCATED or (name == FREED) * 2)
    event = np.flatnonzero(kind)
    event = event[np.argsort(trace.events.start_ps[event], kind="stable")]
    codes = trace.events.stats["allocator_name"].at(event)
    found = [
        _allocator(trace, trace.strings[code], event[codes == code], kind, start, end)
        for code in np.unique(codes[codes >= 0]).tolist()
    ]
    return sorted(found, key=lambda allocator: allocator.name)


def _allocator(
    trace: Trace, name: str, event: np.ndarray, kind: np.ndarray, start: int, end: int
) -> Allocator:
    stats, time = trace.events.stats, trace.events.start_ps[event]
    gives = kind[event] == 1
    used, peak, left = (
        stats[stat].at(event)
        for stat in ("bytes_allocated", "peak_bytes_in_use", "bytes_available")
    )
    inside = (time >= start) & (time < end)
    # An allocator that does not count says 0 throughout.
    counts = bool((used > 0).any()) and not (used == MISSING).any()
    if not counts:
        return Allocator(name, int(gives.sum()), None, None, None, None)
    known = left != MISSING
    limit = int((used + left)[known].max()) if known.any() else None
    most = int(used[inside].max()) if inside.any() else None
    process = int(peak.max()) if (peak != MISSING).all() else None
    spare = stats["allocation_bytes"].at(event, 0) - stats["requested_bytes"].at(event, 0)
    place = int(np.flatnonzero(inside)[np.argmax(used[inside])]) if inside.any() else None
    rounding = None if place is None else _held(stats["addr"].at(event), gives, spare, place)
    return Allocator(name, int(gives.sum()), most, process, limit, rounding)


def _held(address: np.ndarray, gives: np.ndarray, spare: np.ndarray, place: int) -> int:
    """The spare bytes of what was handed out and not taken back, up to an event."""
    held: dict[int, int] = {}
    for at, given, size in zip(
        address[: place + 1].tolist(), gives.tolist(), spare.tolist(), strict=False
    ):
        if given:
            held[at] = size
        else:
            held.pop(at, None)
    return sum(held.values())
