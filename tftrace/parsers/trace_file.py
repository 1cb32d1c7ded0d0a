"""A trace file in memory, indexed: what it holds and where, without looking at any event.

The index is made in pure Python in one pass that jumps over the lines; names and stats of events
(which TensorFlow writes behind the lines that use them) are decoded at once, large byte strings
such as HLO modules only when asked for.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tftrace.parsers import wire
from tftrace.parsers.errors import EmptyTrace
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


@dataclass(frozen=True)
class LineRange:
    """Where a line's message lies: bytes `start:end`; `end` is beyond the data if it is cut."""

    plane: int
    start: int
    end: int


@dataclass
class TraceFile:
    """A trace, mapped and indexed.

    Attributes:
        data, view: the bytes, uint8, read-only; a memory map if the source is a path.
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

    def release(self, start: int, end: int) -> None:
        """Let go of the mapped pages of bytes `start:end`: they need not count as memory in use."""
        first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        last = end // mmap.PAGESIZE * mmap.PAGESIZE
        if self._map is not None and last > first and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED, first, last - first)


def open_trace(source: Source, stats: StatFilter = lambda name: True) -> TraceFile:
    """Map a trace (a path, or its bytes) and index it.

    `stats` says which stats of event metadata to decode, by name.

    Raises:
        EmptyTrace: there are no bytes at all.
        MalformedTrace: the bytes are not an XSpace.
        OSError: the file cannot be read.
    """
    file = _map_source(source)
    view = file.view
    texts = {_ERRORS: file.errors, _WARNINGS: file.warnings, _HOSTNAMES: file.hostnames}
    for tag, start, end in wire.fields(view, 0, wire.ENDLESS):
        if end > len(view):
            file.truncated_at = len(view)
        if tag == _PLANES:
            plane, lines = _read_plane(view, start, end, stats)
            file.lines += [LineRange(len(file.planes), *line) for line in lines]
            file.planes.append(plane)
        elif tag in texts and end <= len(view):
            texts[tag].append(wire.text(view, start, end))
    return file


def _map_source(source: Source) -> TraceFile:
    if isinstance(source, bytes):
        if not source:
            raise EmptyTrace("<bytes>")
        return TraceFile(np.frombuffer(source, np.uint8), memoryview(source))
    with open(source, "rb") as opened:
        if os.fstat(opened.fileno()).st_size == 0:
            raise EmptyTrace(os.fspath(source))
        mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    return TraceFile(np.frombuffer(mapped, np.uint8), memoryview(mapped), _map=mapped)


def _read_plane(
    view: memoryview, start: int, end: int, wanted: StatFilter
) -> tuple[Plane, list[tuple[int, int]]]:
    """A plane without its lines, and where its lines lie."""
    name, number = "", 0
    lines: list[tuple[int, int]] = []
    event_entries: list[tuple[int, int]] = []
    stat_entries: list[tuple[int, int]] = []
    own: list[tuple[int, int]] = []
    parts = {
        _LINES: lines,
        _EVENT_METADATA: event_entries,
        _STAT_METADATA: stat_entries,
        _PLANE_STATS: own,
    }
    for tag, first, last in wire.fields(view, start, end):
        if tag == _LINES or (tag in parts and last <= len(view)):
            parts[tag].append((first, last))
        elif tag == _PLANE_NAME and last <= len(view):
            name = wire.text(view, first, last)
        elif tag == _PLANE_ID:
            number = wire.signed(first)
    names = {key: _metadata(value)[0] for key, value in _entries(view, stat_entries)}
    plane = Plane(name, number, stat_names=names, stats=_stats(view, own, names, lambda _: True))
    for key, value in _entries(view, event_entries):
        plane.event_names[key], display_name, stats = _metadata(value)
        plane.event_display_names.pop(key, None)
        plane.event_stats.pop(key, None)
        if display_name:
            plane.event_display_names[key] = display_name
        if found := _stats(value, stats, names, wanted):
            plane.event_stats[key] = found
    return plane, lines


def _entries(
    view: memoryview, ranges: Iterable[tuple[int, int]]
) -> Iterable[tuple[int, memoryview]]:
    """(key, serialized value) of map entries; a value given in several parts is their merger."""
    for start, end in ranges:
        key = 0
        value = memoryview(b"")
        for tag, first, last in wire.fields(view, start, end):
            if tag == _KEY:
                key = wire.signed(first)
            elif tag == _VALUE:
                part = view[first:last]
                # Concatenation is how protobuf defines the merging of messages.
                value = memoryview(bytes(value) + bytes(part)) if value else part
        yield key, value


def _metadata(value: memoryview) -> tuple[str, str, list[tuple[int, int]]]:
    """(name, display name, where the stats lie) of event metadata; stat metadata has a name."""
    name = display_name = ""
    stats = []
    for tag, first, last in wire.fields(value, 0, len(value)):
        if tag == _META_NAME:
            name = wire.text(value, first, last)
        elif tag == _META_DISPLAY_NAME:
            display_name = wire.text(value, first, last)
        elif tag == _META_STATS:
            stats.append((first, last))
    return name, display_name, stats


def _stats(
    view: memoryview,
    ranges: Iterable[tuple[int, int]],
    names: dict[int, str],
    wanted: StatFilter,
) -> dict[str, object]:
    found: dict[str, object] = {}
    for start, end in ranges:
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
