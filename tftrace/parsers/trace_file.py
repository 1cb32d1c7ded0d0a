"""A trace file in memory, indexed: what it holds and where, without looking at any event.

The index is made in pure Python in one pass that jumps over the lines; names and stats of events
(which TensorFlow writes behind the lines that use them) are decoded at once, large byte strings
such as HLO modules only when asked for.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tftrace.parsers.errors import ChangedTrace, EmptyTrace, OversizedTrace
from tftrace.parsers.proto import wire
from tftrace.parsers.trace import Plane

Source = str | os.PathLike[str] | bytes
StatFilter = Callable[[str], bool]

# XSpace, XPlane, map entries, XEventMetadata, XStatMetadata, XStat: tags by field.
_PLANES, _ERRORS, _WARNINGS, _HOSTNAMES = 0x0A, 0x12, 0x1A, 0x22
_PLANE_ID, _PLANE_NAME, _LINES, _EVENT_METADATA, _STAT_METADATA, _PLANE_STATS = (
    0x08,
    0x12,
    0x1A,
    0x22,
    0x2A,
    0x32,
)
_KEY, _VALUE = 0x08, 0x12
_META_NAME, _META_DISPLAY_NAME, _META_STATS = 0x12, 0x22, 0x2A
_STAT_ID, _DOUBLE, _UINT, _INT, _STR, _BYTES, _REF = 0x08, 0x11, 0x18, 0x20, 0x2A, 0x32, 0x38


# What the things that a file describes cost in memory, in units of some 128 bytes, at most; and how
# many units a file may cost. What profilers write has 26 bytes and more per unit.
PLANE_COST, LINE_COST, EVENT_COST, STRING_COST = 12, 6, 0.5, 2
_NAME_COST, _DISPLAY_NAME_COST, _STATS_COST, _STAT_COST, _TEXT_COST = 2, 1, 3, 1, 1
_FREE_UNITS, _BYTES_PER_UNIT = 1 << 18, 24


@dataclass(frozen=True)
class LineRange:
    """Where a line's message lies: bytes `start:end`; `end` is beyond the data if it is cut."""

    plane: int
    start: int
    end: int


@dataclass
class TraceFile:
    """A trace in memory, indexed.

    A file's bytes are copied: a mapped file that another process cuts or writes to kills the
    process that reads it, and what the first look at it found would not hold for the second.

    Attributes:
        data, view: the bytes, uint8, read-only; memory of its own if the source is a path.
        planes, lines: what is whole, and the last plane and line even if cut; in file order.
        truncated_at: where the data ends in the middle of a message, else None.
    """

    data: npt.NDArray[np.uint8]
    view: memoryview
    planes: list[Plane] = field(default_factory=list)
    lines: list[LineRange] = field(default_factory=list)
    hostnames: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    truncated_at: int | None = None
    _map: mmap.mmap | None = None
    _units: float = 0

    def charge(self, units: float) -> None:
        """Count what keeping the next thing costs.

        Raises:
            OversizedTrace: it is more than a file of this size may cost.
        """
        self._units += units
        if self._units > _FREE_UNITS + len(self.data) // _BYTES_PER_UNIT:
            raise OversizedTrace(len(self.data))

    def release(self, start: int, end: int) -> None:
        """Give back the memory of bytes `start:end`, which nobody reads again."""
        first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        last = end // mmap.PAGESIZE * mmap.PAGESIZE
        if self._map is not None and last > first and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED, first, last - first)


def open_trace(source: Source, stats: StatFilter = lambda name: True) -> TraceFile:
    """Read a trace (a path, or its bytes) into memory and index it.

    `stats` says which stats of event metadata to decode, by name.

    Raises:
        EmptyTrace: there are no bytes at all.
        MalformedTrace: the bytes are not an XSpace.
        OversizedTrace: they describe more things than a file of that size can be expected to.
        ChangedTrace: the file was written to meanwhile.
        OSError: the file cannot be read.
    """
    file = _load(source)
    view = file.view
    texts = {_ERRORS: file.errors, _WARNINGS: file.warnings, _HOSTNAMES: file.hostnames}
    for tag, start, end in wire.fields(view, 0, wire.ENDLESS):
        if end > len(view):
            file.truncated_at = len(view)
        if tag == _PLANES:
            file.charge(PLANE_COST)
            plane, lines = _read_plane(file, start, end, stats)
            file.lines += [LineRange(len(file.planes), *line) for line in _pairs(lines)]
            file.planes.append(plane)
        elif tag in texts and end <= len(view):
            file.charge(_TEXT_COST)
            texts[tag].append(wire.text(view, start, end))
    return file


def _load(source: Source) -> TraceFile:
    if isinstance(source, bytes):
        if not source:
            raise EmptyTrace("<bytes>")
        return TraceFile(np.frombuffer(source, np.uint8), memoryview(source))
    with open(source, "rb", buffering=0) as opened:
        before = os.fstat(opened.fileno())
        if before.st_size == 0:
            raise EmptyTrace(os.fspath(source))
        memory = _memory(before.st_size)
        view = memoryview(memory)
        read = 0
        while read < len(view) and (count := opened.readinto(view[read:])):
            read += count
        after = os.fstat(opened.fileno())
    changed = (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)
    if changed or read < len(view):
        raise ChangedTrace(os.fspath(source))
    data = np.frombuffer(memory, np.uint8)
    data.flags.writeable = False
    return TraceFile(data, view.toreadonly(), _map=memory)


def _memory(size: int) -> mmap.mmap:
    """Private memory, in pages that are few and can be given back, where the system has such."""
    if not hasattr(mmap, "MAP_ANONYMOUS"):
        return mmap.mmap(-1, size)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _read_plane(file: TraceFile, start: int, end: int, wanted: StatFilter) -> tuple[Plane, _Ranges]:
    """A plane without its lines, and where its lines lie."""
    view = file.view
    name, number = "", 0
    lines, event_entries, stat_entries, own = (array("q") for _ in range(4))
    parts = {
        _LINES: lines,
        _EVENT_METADATA: event_entries,
        _STAT_METADATA: stat_entries,
        _PLANE_STATS: own,
    }
    for tag, first, last in wire.fields(view, start, end):
        if tag == _LINES or (tag in parts and last <= len(view)):
            parts[tag].extend((first, last))
            if tag == _LINES:
                file.charge(LINE_COST)
        elif tag == _PLANE_NAME and last <= len(view):
            name = wire.text(view, first, last)
        elif tag == _PLANE_ID:
            number = wire.signed(first)
    names = {}
    for key, value in _entries(view, stat_entries):
        if key not in names:
            file.charge(_NAME_COST)
        names[key] = _metadata(value)[0]
    plane = Plane(name, number, stat_names=names)
    plane.stats.update(_stats(view, own, names, lambda _: True))
    file.charge(_STAT_COST * len(plane.stats))
    for key, value in _entries(view, event_entries):
        if key not in plane.event_names:
            file.charge(_NAME_COST)
        plane.event_names[key], display_name, stats = _metadata(value)
        plane.event_display_names.pop(key, None)
        plane.event_stats.pop(key, None)
        if display_name:
            file.charge(_DISPLAY_NAME_COST)
            plane.event_display_names[key] = display_name
        if found := _stats(value, stats, names, wanted):
            file.charge(_STATS_COST + _STAT_COST * len(found))
            plane.event_stats[key] = found
    return plane, lines


_Ranges: TypeAlias = "array[int]"  # start, end, start, end, …


def _pairs(ranges: _Ranges) -> Iterator[tuple[int, int]]:
    return zip(ranges[::2], ranges[1::2], strict=True)


def _entries(view: memoryview, ranges: _Ranges) -> Iterator[tuple[int, memoryview]]:
    """(key, serialized value) of map entries; a value given in several parts is their merger."""
    for start, end in _pairs(ranges):
        key = 0
        parts = array("q")
        for tag, first, last in wire.fields(view, start, end):
            if tag == _KEY:
                key = wire.signed(first)
            elif tag == _VALUE:
                parts.extend((first, last))
        if len(parts) == 2:
            yield key, view[slice(*parts)]
        else:  # concatenation is how protobuf defines the merging of messages
            yield key, memoryview(b"".join(view[slice(*part)] for part in _pairs(parts)))


def _metadata(value: memoryview) -> tuple[str, str, _Ranges]:
    """(name, display name, where the stats lie) of event metadata; stat metadata has a name."""
    name = display_name = ""
    stats = array("q")
    for tag, first, last in wire.fields(value, 0, len(value)):
        if tag == _META_NAME:
            name = wire.text(value, first, last)
        elif tag == _META_DISPLAY_NAME:
            display_name = wire.text(value, first, last)
        elif tag == _META_STATS:
            stats.extend((first, last))
    return name, display_name, stats


def _stats(
    view: memoryview,
    ranges: _Ranges,
    names: dict[int, str],
    wanted: StatFilter,
) -> dict[str, object]:
    found: dict[str, object] = {}
    for start, end in _pairs(ranges):
        key = 0
        kind, payload = 0, (0, 0)
        for tag, first, last in wire.fields(view, start, end):
            if tag == _STAT_ID:
                key = wire.signed(first)
            elif tag in _DECODERS:
                kind, payload = tag, (first, last)
        name = names.get(key)
        if kind and name is not None and wanted(name):
            value = _DECODERS[kind](view, payload, names)
            if value is None:  # a reference to nothing
                found.pop(name, None)
            else:
                found[name] = value
    return found


_DECODERS: dict[int, Callable[[memoryview, tuple[int, int], dict[int, str]], Any]] = {
    _DOUBLE: lambda view, payload, _: wire.double(view, payload[0]),
    _UINT: lambda _view, payload, _: payload[0],
    _INT: lambda _view, payload, _: wire.signed(payload[0]),
    _STR: lambda view, payload, _: wire.text(view, *payload),
    _BYTES: lambda view, payload, _: bytes(view[slice(*payload)]),
    _REF: lambda _view, payload, names: names.get(wire.signed(payload[0])),
}
