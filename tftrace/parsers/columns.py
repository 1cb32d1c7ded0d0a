"""Decode the events of scanned lines into columns."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tftrace.native.loops import events as event_loops
from tftrace.parsers.errors import MalformedTrace
from tftrace.parsers.lines import CHUNK, IdTable, LineHead, in_threads
from tftrace.parsers.trace import Events, Int64Array, Plane, StatColumn, StatNames
from tftrace.parsers.trace_file import STRING_COST, TraceFile

_BATCH = 1 << 16  # events decoded per call: the size of the stats' scratch
_MAX_EVENTS = 1 << 31  # event indices of stat columns are int32


@dataclass
class _Scratch:
    """Where the loop puts the stats of a batch: arrays by slot, the last slot occurrences.

    A batch has as many events as the arrays are long. `counts` has one entry more than there are
    slots: the index of the next event.
    """

    event: npt.NDArray[np.int32]
    value: Int64Array
    length: npt.NDArray[np.int32]
    counts: Int64Array

    @classmethod
    def of(cls, stats: StatNames, batch: int) -> _Scratch:
        slots = len(stats.ints) + len(stats.strings) + 1
        return cls(
            np.empty((slots, batch), np.int32),
            np.empty((slots, batch), np.int64),
            np.empty((len(stats.strings), batch), np.int32),
            np.zeros(slots + 1, np.int64),
        )


@dataclass
class _Part:
    """A stat over a batch: events, values; of strings, which values are not ids of names but
    indices into `texts`.
    """

    events: npt.NDArray[np.int32]
    values: Int64Array
    plane: int
    is_text: npt.NDArray[np.bool_] | None = None
    texts: list[bytes] = field(default_factory=list)


@dataclass
class _Columns:
    """The columns that every event has, allocated once; lines fill their slices."""

    metadata_id: Int64Array
    start_ps: Int64Array
    duration_ps: Int64Array
    stat_ids: list[IdTable]


def read_columns(
    file: TraceFile, heads: list[LineHead], stats: StatNames, threads: int | None
) -> tuple[Events, list[str], int]:
    """(events, strings that their codes refer to, smallest line timestamp in ns).

    Raises:
        MalformedTrace: an event is not one.
        OverflowError: there are 2**31 events or more.
    """
    counts = [head.events for head in heads]
    total = sum(counts)
    if total >= _MAX_EVENTS:
        raise OverflowError(f"{total} events are more than fit into one table; read parts")
    base_ns = min((head.timestamp_ns for head in heads), default=0)
    columns = _Columns(
        np.empty(total, np.int64),
        np.empty(total, np.int64),
        np.empty(total, np.int64),
        [_stat_ids(plane, stats) for plane in file.planes],
    )
    firsts = np.cumsum([0, *counts])[:-1].tolist()

    def read(item: tuple[LineHead, int]) -> list[tuple[int, _Part]]:
        return _read_line(file, *item, base_ns, columns, stats)

    todo = [item for item in zip(heads, firsts, strict=True) if item[0].events]
    parts_by_line = in_threads(read, todo, threads)
    by_slot: list[list[_Part]] = [[] for _ in range(len(stats.ints) + len(stats.strings) + 1)]
    for line in parts_by_line:
        for slot, part in line:
            by_slot[slot].append(part)
    del parts_by_line
    occurrences = _occurrences(by_slot.pop(), total)
    codes = _Codes(file)
    columns_by_name = {}
    for name, parts in zip(stats.ints + stats.strings, by_slot, strict=True):
        columns_by_name[name] = _join(parts, codes if name in stats.strings else None)
        parts.clear()
    _give_memory_back()
    events = Events(
        line=np.repeat(np.arange(len(heads), dtype=np.int32), counts),
        metadata_id=_narrow(columns.metadata_id),
        start_ps=columns.start_ps,
        duration_ps=columns.duration_ps,
        occurrences=occurrences,
        stats=columns_by_name,
    )
    return events, list(codes.code_of), base_ns


def _stat_ids(plane: Plane, stats: StatNames) -> IdTable:
    slots = {name: slot for slot, name in enumerate(stats.ints + stats.strings)}
    return IdTable.of({key: slots[name] for key, name in plane.stat_names.items() if name in slots})


def _read_line(
    file: TraceFile,
    head: LineHead,
    first: int,
    base_ns: int,
    columns: _Columns,
    stats: StatNames,
) -> list[tuple[int, _Part]]:
    """Fill a line's slices of the columns; its stats, each with its slot."""
    batch = min(_BATCH, head.events)
    scratch = _Scratch.of(stats, batch)
    parts: list[tuple[int, _Part]] = []
    ids = columns.stat_ids[head.plane]
    origin = _wrap((head.timestamp_ns - base_ns) * 1000)
    index, pos, released = first, head.start, head.start
    capacity = first + head.events
    while pos < head.end:
        pos = event_loops.read_events(
            file.data,
            len(file.data),
            pos,
            head.end,
            *ids.arguments,
            index,
            capacity,
            origin,
            columns.metadata_id,
            columns.start_ps,
            columns.duration_ps,
            len(stats.ints),
            len(scratch.event),
            batch,
            scratch.event,
            scratch.value,
            scratch.length,
            scratch.counts,
        )
        if pos < 0:
            raise MalformedTrace(-1 - pos, "an event that is none")
        index = int(scratch.counts[-1])
        parts += _keep(file, scratch, head.plane, len(stats.ints))
        if index == capacity:
            break
        if pos - released > CHUNK:
            file.release(released, pos)
            released = pos
    file.release(released, head.end)
    return parts


def _keep(file: TraceFile, scratch: _Scratch, plane: int, ints: int) -> Iterator[tuple[int, _Part]]:
    """What a batch left in the scratch, by slot."""
    for slot, count in enumerate(scratch.counts[:-1].tolist()):
        if count:
            part = _Part(
                scratch.event[slot, :count].copy(), scratch.value[slot, :count].copy(), plane
            )
            if ints <= slot < len(scratch.event) - 1:
                _take_texts(file, part, scratch.length[slot - ints, :count])
            yield slot, part


def _take_texts(file: TraceFile, part: _Part, lengths: npt.NDArray[np.int32]) -> None:
    """Replace positions of texts (`lengths` from 0) by indices into the part's own texts."""
    part.is_text = lengths >= 0
    where = np.flatnonzero(part.is_text)
    known: dict[bytes, int] = {}
    part.values[where] = [
        known.setdefault(bytes(file.view[at : at + length]), len(known))
        for at, length in zip(part.values[where].tolist(), lengths[where].tolist(), strict=True)
    ]
    file.charge(STRING_COST * len(known))
    part.texts = list(known)


def _give_memory_back() -> None:
    """Return what was freed to the system: glibc keeps it for the threads that had asked for it."""
    trim = getattr(ctypes.pythonapi, "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))


def _narrow(ids: Int64Array) -> npt.NDArray[np.integer]:
    """As int32 where all fit: TensorFlow counts ids up from 1."""
    limits = np.iinfo(np.int32)
    if len(ids) and (ids.min() < limits.min or ids.max() > limits.max):
        return ids
    return ids.astype(np.int32)


def _occurrences(parts: list[_Part], total: int) -> Int64Array:
    if not parts:
        return np.broadcast_to(np.int64(1), total)
    column = np.ones(total, np.int64)
    for part in parts:
        column[part.events] = part.values
    return column


def _join(parts: list[_Part], codes: _Codes | None) -> StatColumn:
    """One column from the parts; with `codes`, of strings."""
    events = _concatenate([part.events for part in parts], np.int32)
    if codes is None:
        return StatColumn(events, _concatenate([part.values for part in parts], np.int64))
    values = _concatenate([codes.encode(part) for part in parts], np.int32)
    known = values >= 0
    return StatColumn(events[known], values[known])


def _concatenate(arrays: list[npt.NDArray[Any]], dtype: Any) -> npt.NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.empty(0, dtype)


class _Codes:
    """Gives every distinct string of the trace a number."""

    def __init__(self, file: TraceFile) -> None:
        self.code_of: dict[str, int] = {}
        self._planes = file.planes

    def encode(self, part: _Part) -> npt.NDArray[np.int32]:
        """The codes of a batch of texts and references; -1 for references to nothing."""
        assert part.is_text is not None
        codes = np.empty(len(part.values), np.int32)
        references = ~part.is_text
        ids, inverse = np.unique(part.values[references], return_inverse=True)
        names = self._planes[part.plane].stat_names
        known = [self._code(names[key]) if key in names else -1 for key in ids.tolist()]
        codes[references] = np.array(known, np.int32)[inverse]
        texts = [self._code(str(text, "utf-8", "replace")) for text in part.texts]
        codes[part.is_text] = np.array(texts, np.int32)[part.values[part.is_text]]
        return codes

    def _code(self, string: str) -> int:
        return self.code_of.setdefault(string, len(self.code_of))


def _wrap(value: int) -> int:
    """The low 64 bits of `value`, as a signed number."""
    return (value + 2**63) % 2**64 - 2**63
