"""Read an XSpace trace (`.xplane.pb`) into columns."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tftrace.parsers.errors import EmptyTrace, MalformedTrace
from tftrace.parsers.trace import (
    DEFAULT_STATS,
    Events,
    Line,
    Plane,
    StatColumn,
    StatNames,
    Trace,
)

Source = str | os.PathLike[str] | bytes
_HLO_STATS = {"Hlo Proto", "hlo_proto"}


def read_trace(source: Source, stats: StatNames = DEFAULT_STATS) -> Trace:
    """All events of a trace file (path, or its bytes) as columns.

    Raises:
        EmptyTrace: there are no bytes at all.
        MalformedTrace: the bytes are not an XSpace.
        OSError: the file cannot be read.
    """
    space = _parse(source)
    strings: dict[str, int] = {}
    planes = [_plane(plane, stats) for plane in space.planes]
    base_ns = min((line.timestamp_ns for p in space.planes for line in p.lines), default=0)
    rows: list[tuple[int, int, int, int, int]] = []
    columns: dict[str, tuple[list[int], list[int]]] = {
        name: ([], []) for name in stats.ints + stats.strings
    }
    lines = []
    for number, plane in enumerate(space.planes):
        names = planes[number].stat_names
        for line in plane.lines:
            lines.append(
                Line(
                    number,
                    line.id,
                    line.name,
                    line.display_name,
                    line.timestamp_ns,
                    len(rows),
                    len(line.events),
                )
            )
            for event in line.events:
                start = (line.timestamp_ns - base_ns) * 1000 + event.offset_ps
                aggregated = event.WhichOneof("data") == "num_occurrences"
                count = event.num_occurrences if aggregated else 1
                for name, value in _event_stats(event, names, stats, strings):
                    at, values = columns[name]
                    if at and at[-1] == len(rows):
                        values[-1] = value
                    else:
                        at.append(len(rows))
                        values.append(value)
                rows.append(
                    (len(lines) - 1, event.metadata_id, _wrap(start), event.duration_ps, count)
                )
    table = np.array(rows, dtype=np.int64).reshape(-1, 5)
    events = Events(
        line=table[:, 0].astype(np.int32),
        metadata_id=table[:, 1].copy(),
        start_ps=table[:, 2].copy(),
        duration_ps=table[:, 3].copy(),
        occurrences=table[:, 4].copy(),
        stats={
            name: StatColumn(
                np.array(at, np.int64),
                np.array(values, np.int64 if name in stats.ints else np.int32),
            )
            for name, (at, values) in columns.items()
        },
    )
    return Trace(
        planes,
        lines,
        base_ns,
        events,
        list(strings),
        list(space.hostnames),
        list(space.errors),
        list(space.warnings),
    )


def read_hlo_protos(source: Source) -> dict[str, bytes]:
    """Serialized `HloProto` of every XLA module in the trace, by module name.

    The name is as the trace has it, program id included: `a_inference_one_step(7)`.
    Empty if nothing was compiled by XLA, or the trace does not carry the modules.
    """
    protos = {}
    for plane in _parse(source).planes:
        if plane.name == "/host:metadata":
            names = {key: meta.name for key, meta in plane.stat_metadata.items()}
            for entry in plane.event_metadata.values():
                for stat in entry.stats:
                    if _own_stats([stat], names).keys() & _HLO_STATS:
                        protos[entry.name] = stat.bytes_value
    return protos


def _parse(source: Source) -> Any:
    from google.protobuf.message import DecodeError

    from tftrace.parsers.xplane_proto import XSpace

    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    if not data:
        raise EmptyTrace("<bytes>" if isinstance(source, bytes) else os.fspath(source))
    try:
        return XSpace.FromString(data)
    except DecodeError as error:
        raise MalformedTrace(0, str(error)) from error


def _plane(plane: Any, stats: StatNames) -> Plane:
    names = {key: meta.name for key, meta in plane.stat_metadata.items()}
    event_stats = {}
    for key, meta in plane.event_metadata.items():
        found = {n: v for n, v in _own_stats(meta.stats, names).items() if n in stats}
        if found:
            event_stats[key] = found
    return Plane(
        name=plane.name,
        id=plane.id,
        event_names={key: meta.name for key, meta in plane.event_metadata.items()},
        event_display_names={
            key: meta.display_name
            for key, meta in plane.event_metadata.items()
            if meta.display_name
        },
        stat_names=names,
        event_stats=event_stats,
        stats=_own_stats(plane.stats, names),
    )


def _own_stats(stats: Any, names: dict[int, str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for stat in stats:
        kind = stat.WhichOneof("value")
        name = names.get(stat.metadata_id)
        if name is None or kind is None:
            continue
        value = getattr(stat, kind)
        if kind == "ref_value":
            if value not in names:
                continue
            value = names[value]
        found[name] = value
    return found


def _event_stats(
    event: Any, names: dict[int, str], stats: StatNames, strings: dict[str, int]
) -> list[tuple[str, int]]:
    found = []
    for stat in event.stats:
        name = names.get(stat.metadata_id)
        kind = stat.WhichOneof("value")
        if name in stats.ints and kind in ("int64_value", "uint64_value"):
            found.append((name, _wrap(getattr(stat, kind))))
        elif name in stats.strings and kind in ("str_value", "ref_value"):
            text = stat.str_value if kind == "str_value" else names.get(stat.ref_value)
            if text is not None:
                found.append((name, strings.setdefault(text, len(strings))))
    return found


def _wrap(value: int) -> int:
    """The 64 bits of `value`, seen as a signed number."""
    return (value + 2**63) % 2**64 - 2**63
