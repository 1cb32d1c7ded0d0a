"""A trace as columns: what `read_trace` returns.

Times are picoseconds (`_ps`) since `Trace.base_ns`; every column has one entry per event, and the
events of a line are contiguous, lines in file order. Stats are sparse: a stat column holds
only the events that bear the stat, so there is no sentinel to mistake for a value and an absent
stat costs no memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]

MISSING = int(np.iinfo(np.int64).min)
"""What `StatColumn.dense` puts where an integer stat is absent, unless told otherwise."""

INT_STATS = (
    "_pt",
    "_p",
    "_ct",
    "_c",
    "step_num",
    "program_id",
    "run_id",
    "group_id",
    "correlation_id",
    "id",
    "iter_num",
    "step_id",
)
"""Integer stats read by default (`uint64` keeps its 64 bits, seen as `int64`)."""

STRING_STATS = (
    "hlo_op",
    "hlo_module",
    "tf_op",
    "annotation",
    "level 0",
    "kernel_details",
    "memcpy_details",
    "name",
    "kernel_type",
    "eager_op",
)
"""String stats read by default; as event columns they are codes into `Trace.strings`."""


@dataclass(frozen=True)
class StatNames:
    """Which stats to read: integers and strings by name. Others are skipped undecoded.

    A name may stand in both tuples only if both kinds are wanted under that name; the columns of
    `Events.stats` are keyed by name, so a name must not be given twice.
    """

    ints: tuple[str, ...] = INT_STATS
    strings: tuple[str, ...] = STRING_STATS

    def __post_init__(self) -> None:
        names = self.ints + self.strings
        if len(set(names)) != len(names):
            raise ValueError("a stat name is given twice")

    def __contains__(self, name: object) -> bool:
        return name in self.ints or name in self.strings


DEFAULT_STATS = StatNames()
NO_STATS = StatNames((), ())


@dataclass(frozen=True)
class StatColumn:
    """One stat over the events that bear it.

    Attributes:
        events: int32, ascending indices of the bearing events.
        values: the values, as long as `events`: int64, or int32 codes into `Trace.strings`.
    """

    events: Int32Array
    values: npt.NDArray[Any]

    def dense(self, length: int, missing: int | None = None) -> npt.NDArray[Any]:
        """The column over all `length` events, `missing` (`MISSING`, -1 for codes) where absent."""
        if missing is None:
            missing = MISSING if self.values.dtype == np.int64 else -1
        column = np.full(length, missing, dtype=self.values.dtype)
        column[self.events] = self.values
        return column

    def at(self, events: npt.ArrayLike, missing: int | None = None) -> npt.NDArray[Any]:
        """The values of the given events (any order), `missing` where absent, as in `dense`."""
        if missing is None:
            missing = MISSING if self.values.dtype == np.int64 else -1
        wanted = np.asarray(events, dtype=np.int64)
        found = np.full(wanted.shape, missing, dtype=self.values.dtype)
        if len(self.events) and wanted.size:
            place = np.minimum(np.searchsorted(self.events, wanted), len(self.events) - 1)
            hit = self.events[place] == wanted
            found[hit] = self.values[place[hit]]
        return found


@dataclass(frozen=True)
class Events:
    """All events of a trace, one array per column, all of one length.

    Attributes:
        line: int32, index into `Trace.lines`; ascending.
        metadata_id: int32, or int64 where one needs it, key into the plane's `event_names`.
        start_ps: int64, picoseconds since `Trace.base_ns`.
        duration_ps: int64.
        occurrences: int64, 1 but for aggregated events (`num_occurrences`), which have no start of
            their own (theirs is the line's). Read-only when all are 1.
        stats: stat name -> column; every name asked for is present, perhaps with no entries. When
            an event bears a stat several times, the last of the wanted kind counts.
    """

    line: Int32Array
    metadata_id: npt.NDArray[np.integer]
    start_ps: Int64Array
    duration_ps: Int64Array
    occurrences: Int64Array
    stats: dict[str, StatColumn]

    def __len__(self) -> int:
        return len(self.metadata_id)

    @property
    def end_ps(self) -> Int64Array:
        """`start_ps + duration_ps`, a new array."""
        return self.start_ps + self.duration_ps

    def stat(self, name: str, missing: int | None = None) -> npt.NDArray[Any]:
        """The dense column of a stat: one value per event. See `StatColumn.dense`."""
        return self.stats[name].dense(len(self), missing)


@dataclass(frozen=True)
class Plane:
    """A host, a device, or a set of derived tracks.

    Attributes:
        name: such as `/host:CPU`, `/device:GPU:0`, `/host:metadata`.
        id: as in the file.
        event_names: event metadata key -> name.
        event_display_names: event metadata key -> display name, where there is one.
        stat_names: stat metadata key -> name.
        event_stats: event metadata key -> {stat name: value} for the wanted stats that
            the metadata itself bears; only events with any.
        stats: the plane's own stats, all of them.

    Stat values are int (`uint64` unsigned here), float, str (references resolved) or bytes.
    """

    name: str
    id: int = 0
    event_names: dict[int, str] = field(default_factory=dict)
    event_display_names: dict[int, str] = field(default_factory=dict)
    stat_names: dict[int, str] = field(default_factory=dict)
    event_stats: dict[int, dict[str, object]] = field(default_factory=dict)
    stats: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """One track of a plane: a thread of a host, a stream of a device.

    Attributes:
        plane: index into `Trace.planes`.
        id, name, display_name, timestamp_ns: as in the file (`display_name` may be empty).
        first, count: its events are `first` to `first + count` in every column of `Events`.
    """

    plane: int
    id: int
    name: str
    display_name: str
    timestamp_ns: int
    first: int
    count: int

    @property
    def events(self) -> slice:
        """The line's part of every column of `Events`."""
        return slice(self.first, self.first + self.count)


@dataclass(frozen=True)
class Trace:
    """A whole trace in memory.

    Attributes:
        planes, lines: in file order.
        base_ns: the smallest line timestamp (0 without lines): the zero of all `start_ps`.
        events: the columns.
        strings: what string stats' codes refer to; without duplicates.
        hostnames, errors, warnings: as in the file.
        truncated_at: byte at which a salvaged file ends early; None if the file is whole.
    """

    planes: list[Plane]
    lines: list[Line]
    base_ns: int
    events: Events
    strings: list[str]
    hostnames: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    truncated_at: int | None = None

    def plane_of(self, line: int) -> Plane:
        """The plane that line number `line` belongs to."""
        return self.planes[self.lines[line].plane]

    def event_name(self, event: int) -> str:
        """The name of one event; empty if its plane does not name it."""
        plane = self.plane_of(int(self.events.line[event]))
        return plane.event_names.get(int(self.events.metadata_id[event]), "")

    def names(self, events: npt.ArrayLike) -> npt.NDArray[np.object_]:
        """The names of the given events (indices), as an object array of str."""
        wanted = np.asarray(events, dtype=np.int64)
        result = np.empty(len(wanted), dtype=object)
        lines = self.events.line[wanted]
        order = np.argsort(lines, kind="stable")
        bounds = np.flatnonzero(np.diff(lines[order])) + 1
        for members in np.split(order, bounds) if len(order) else ():
            names = self.plane_of(int(lines[members[0]])).event_names
            kinds, inverse = np.unique(
                self.events.metadata_id[wanted[members]], return_inverse=True
            )
            result[members] = np.array([names.get(int(k), "") for k in kinds], object)[inverse]
        return result

    def where(self, wanted: Callable[[Plane, str], bool]) -> Int64Array:
        """Indices, ascending, of the events for which `wanted(plane, event name)` holds.

        It is asked once per plane and name, not once per event.
        """
        return np.flatnonzero(self.classify(wanted))

    def classify(self, kind_of: Callable[[Plane, str], int]) -> npt.NDArray[np.int8]:
        """`kind_of(plane, event name)` of every event, as int8; asked as `where` does."""
        kinds = np.empty(len(self.events), np.int8)
        codes = [_Codes.of(plane, kind_of, np.int8) for plane in self.planes]
        for line in self.lines:
            codes[line.plane].look_up(self.events.metadata_id[line.events], kinds[line.events])
        return kinds

    def codes(
        self, events: npt.NDArray[np.integer], code_of: Callable[[Plane, str], int]
    ) -> Int32Array:
        """`code_of(plane, event name)` of the given events (ascending), as int32; asked as above.

        It is asked for every name of a plane, not only for those that the events bear.
        """
        found = np.empty(len(events), np.int32)
        if not len(events):
            return found
        codes = [_Codes.of(plane, code_of, np.int32) for plane in self.planes]
        firsts = np.searchsorted(events, [line.first for line in self.lines])
        for line, first, end in zip(self.lines, firsts, [*firsts[1:], len(events)], strict=True):
            ids = self.events.metadata_id[events[first:end]]
            codes[line.plane].look_up(ids, found[first:end])
        return found

    def string(self, code: int) -> str | None:
        """The string behind a code of a string stat; None for -1."""
        return None if code < 0 else self.strings[code]


_DIRECT_IDS = 1 << 22


@dataclass(frozen=True)
class _Codes:
    """Small numbers by event metadata id: `table` by id, its last entry for all other ids, as far
    as the sorted `keys` do not have them, with their `values`."""

    table: npt.NDArray[Any]
    keys: Int64Array
    values: npt.NDArray[Any]

    @classmethod
    def of(cls, plane: Plane, code_of: Callable[[Plane, str], int], dtype: Any) -> _Codes:
        codes = {key: code_of(plane, name) for key, name in plane.event_names.items()}
        limit = min(_DIRECT_IDS, 4 * len(codes) + 64)
        direct = {key: code for key, code in codes.items() if 0 <= key < limit}
        table = np.full(max(direct, default=-1) + 2, code_of(plane, ""), dtype)
        table[list(direct)] = list(direct.values())
        others = sorted(codes.keys() - direct.keys())
        return cls(
            table, np.array(others, np.int64), np.array([codes[key] for key in others], dtype)
        )

    def look_up(self, ids: npt.NDArray[np.integer], codes: npt.NDArray[Any]) -> None:
        """Fill `codes` with those of the ids."""
        np.take(self.table, ids, mode="clip", out=codes)
        if not len(ids):
            return
        if ids.min() < 0:
            codes[ids < 0] = self.table[-1]
        if len(self.keys):
            place = np.minimum(np.searchsorted(self.keys, ids), len(self.keys) - 1)
            known = self.keys[place] == ids
            codes[known] = self.values[place[known]]
