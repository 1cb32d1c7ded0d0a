"""What the allocator handed out and took back in a trace; nothing here knows a layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tftrace.parsers import MISSING, Trace

Int = npt.NDArray[np.int64]

ALLOCATED, FREED = "MemoryAllocation", "MemoryDeallocation"
GPU = "GPU"
"""How the names of the allocators of GPUs begin."""
BEFORE = int(np.iinfo(np.int64).min)
"""When a buffer was made that was there before the trace began."""
AFTER = int(np.iinfo(np.int64).max)
"""When a buffer is taken back that was still there when the trace ended."""


@dataclass(frozen=True)
class Buffers:
    """One entry per buffer that was handed out or taken back in the trace, by its start.

    Times are ps since the trace's base, `start <= time < end`; ``line`` is that of the event, -1
    where the buffer was there before; ``freed_on`` that of its end, -1 where it outlived the trace.
    ``asked`` are the bytes asked for, ``bytes`` what the allocator keeps for them, rounded up;
    ``op`` names the operation that asked, as the trace does, or is ''. ``dtype`` is TensorFlow's
    number of the element type (types.proto), 0 where unknown; ``region`` is ``output``, ``temp``
    (of the kernel), ``persist``, or '' where unknown.

    Attributes:
        before: bytes held when the trace began, those of entries from before with them; None
            where the allocator does not count.
        counted_peak: the most bytes held at once inside the window, as the allocator counted them
            itself; None where it does not count.
        drift: the largest difference, in bytes, between the allocator's count and the sum of the
            buffers; 0 when no event is missing.
        allocator: its name in the trace.
    """

    line: npt.NDArray[np.int32]
    start: Int
    end: Int
    bytes: Int
    asked: Int
    op: list[str]
    dtype: Int
    region: list[str]
    freed_on: npt.NDArray[np.int32]
    before: int | None
    counted_peak: int | None
    drift: int
    allocator: str

    def __len__(self) -> int:
        return len(self.start)

    @property
    def lasting(self) -> int:
        """Bytes that were there before the trace began and through all of it; 0 where unknown."""
        return (self.before or 0) - int(self.bytes[self.start == BEFORE].sum())

    @cached_property
    def live(self) -> tuple[Int, Int]:
        """(time, bytes held from then on), in order of time; the first is from `BEFORE` on.

        What lasted through the trace is in it, where the allocator counts.
        """
        made, freed = self.start != BEFORE, self.end != AFTER
        time = np.r_[self.start[made], self.end[freed]]
        change = np.r_[self.bytes[made], -self.bytes[freed]]
        order = np.argsort(time, kind="stable")
        first = self.lasting + int(self.bytes[~made].sum())
        return np.r_[BEFORE, time[order]], np.cumsum(np.r_[first, change[order]])

    def most(self, start: Int, end: Int) -> Int:
        """The most bytes held at once in each of the stretches `start <= time < end`."""
        time, held = self.live
        first = np.searchsorted(time, start, side="right") - 1
        last = np.maximum(np.searchsorted(time, end, side="left"), first + 1)
        bounds = np.stack([first, last], axis=1).ravel()
        if not len(bounds):
            return np.empty(0, np.int64)
        # reduceat takes no bound behind the end; one more entry, of nothing, makes room.
        found: Int = np.maximum.reduceat(np.r_[held, 0], bounds)[::2]
        return found


def find_buffers(trace: Trace, start: int, end: int) -> Buffers | None:
    """The buffers of the one allocator that the model's tensors come from: a GPU's, where there is
    one.

    Args:
        trace: read with `tftrace.runs.names.MEMORY_STATS`.
        start, end: the window that ``counted_peak`` is of, in ps.

    Returns: None when the trace has no events of an allocator.
    """
    kind = trace.classify(lambda _, name: name == ALLOCATED or (name == FREED) * 2)
    event = np.flatnonzero(kind)
    if not len(event):
        return None
    stats = trace.events.stats
    event, allocator = _of_one(trace, event)
    event = event[np.argsort(trace.events.start_ps[event], kind="stable")]
    time, gives = trace.events.start_ps[event], kind[event] == 1
    asked = stats["requested_bytes"].at(event, 0)
    kept = stats["allocation_bytes"].at(event, 0)
    size = np.where(kept > 0, kept, asked)
    used = stats["bytes_allocated"].at(event, 0)
    mate = _pairs(stats["addr"].at(event), gives)
    entry = np.flatnonzero(gives | (mate < 0))
    made = gives[entry]
    before, drift = _count(used, np.where(gives, size, -size))
    inside = (time >= start) & (time < end)
    asking = event[entry]
    dtype = np.maximum(stats["data_type"].at(asking, 0), 0)
    line = trace.events.line[event].astype(np.int32)
    ended = np.where(made, np.append(line, -1)[mate[entry]], line[entry])
    order = np.argsort(np.where(made, time[entry], BEFORE), kind="stable")
    until = np.where(made, np.append(time, AFTER)[mate[entry]], time[entry])
    return Buffers(
        line=np.where(made, trace.events.line[event[entry]], -1).astype(np.int32)[order],
        start=np.where(made, time[entry], BEFORE)[order],
        end=until[order],
        bytes=size[entry][order],
        asked=asked[entry][order],
        op=_texts(trace, stats["tf_op"].at(asking)[order]),
        dtype=dtype[order].astype(np.int64),
        region=_texts(trace, stats["region_type"].at(asking)[order]),
        freed_on=ended[order],
        before=before,
        counted_peak=int(used[inside].max()) if before is not None and inside.any() else None,
        drift=drift,
        allocator=allocator,
    )


def _texts(trace: Trace, codes: npt.NDArray[np.integer]) -> list[str]:
    return [trace.strings[code] if code >= 0 else "" for code in codes.tolist()]


def _of_one(trace: Trace, event: npt.NDArray[np.integer]) -> tuple[Int, str]:
    """The events of one allocator: a GPU's, else the one that handed out the most; its name."""
    codes = trace.events.stats["allocator_name"].at(event)
    asked = trace.events.stats["requested_bytes"].at(event, 0)
    sums = {
        code: (trace.strings[code] if code >= 0 else "", int(asked[codes == code].sum()))
        for code in np.unique(codes).tolist()
    }
    code = max(sums, key=lambda c: (sums[c][0].startswith(GPU), sums[c][1]))
    return event[codes == code].astype(np.int64), sums[code][0]


def _pairs(address: Int, gives: npt.NDArray[np.bool_]) -> Int:
    """Per event, in order of time, the one that takes back what it gave, or gave what it takes
    back; -1 without."""
    mate = np.full(len(address), -1, np.int64)
    open_: dict[int, int] = {}
    for i, (at, given) in enumerate(zip(address.tolist(), gives.tolist(), strict=True)):
        if given:
            open_[at] = i
        elif (giver := open_.pop(at, None)) is not None:
            mate[i], mate[giver] = giver, i
    return mate


def _count(used: Int, change: Int) -> tuple[int | None, int]:
    """Bytes held before the first event by the allocator's own count, and how far that count
    strays from the sum of the changes; (None, 0) where it does not count."""
    if not (used > 0).any() or (used == MISSING).any():
        return None, 0
    before = int(used[0] - change[0])
    return before, int(np.abs(used - (before + np.cumsum(change))).max())
