"""What protobuf's own parser says about a trace, as plain Python values: slow and obvious."""

from __future__ import annotations

from typing import Any

from tftrace.parsers import Plane, StatNames, Trace
from tftrace.parsers.proto.xplane_proto import XSpace

Row = dict[str, Any]


def expected(data: bytes, stats: StatNames) -> dict[str, Any]:
    """The content of a serialized XSpace as protobuf parses it."""
    space = XSpace.FromString(data)
    planes = [_plane(plane, stats) for plane in space.planes]
    base_ns = min((line.timestamp_ns for p in space.planes for line in p.lines), default=0)
    lines, rows = [], []
    for number, plane in enumerate(space.planes):
        for line in plane.lines:
            first = len(rows)
            for event in line.events:
                rows.append(_row(len(lines), line, event, base_ns, planes[number], stats))
            lines.append(
                (
                    number,
                    line.id,
                    line.name,
                    line.display_name,
                    line.timestamp_ns,
                    first,
                    len(rows) - first,
                )
            )
    return {
        "planes": planes,
        "lines": lines,
        "base_ns": base_ns,
        "rows": rows,
        "hostnames": list(space.hostnames),
        "errors": list(space.errors),
        "warnings": list(space.warnings),
    }


def plain(trace: Trace) -> dict[str, Any]:
    """The content of a `Trace` in the form of `expected`."""
    events = trace.events
    rows: list[Row] = [
        {"line": line, "metadata_id": kind, "start": start, "duration": length, "count": count}
        for line, kind, start, length, count in zip(
            events.line.tolist(),
            events.metadata_id.tolist(),
            events.start_ps.tolist(),
            events.duration_ps.tolist(),
            events.occurrences.tolist(),
            strict=True,
        )
    ]
    for name, column in events.stats.items():
        for event, value in zip(column.events.tolist(), column.values.tolist(), strict=True):
            is_code = column.values.dtype.itemsize == 4
            rows[event][f"stat {name}"] = trace.strings[value] if is_code else value
    return {
        "planes": trace.planes,
        "lines": [
            (n.plane, n.id, n.name, n.display_name, n.timestamp_ns, n.first, n.count)
            for n in trace.lines
        ],
        "base_ns": trace.base_ns,
        "rows": rows,
        "hostnames": trace.hostnames,
        "errors": trace.errors,
        "warnings": trace.warnings,
    }


def _row(line: int, xline: Any, event: Any, base_ns: int, plane: Plane, stats: StatNames) -> Row:
    aggregated = event.WhichOneof("data") == "num_occurrences"
    row = {
        "line": line,
        "metadata_id": event.metadata_id,
        "start": signed((xline.timestamp_ns - base_ns) * 1000 + event.offset_ps),
        "duration": event.duration_ps,
        "count": event.num_occurrences if aggregated else 1,
    }
    for stat in event.stats:
        name = plane.stat_names.get(stat.metadata_id)
        kind = stat.WhichOneof("value")
        if name in stats.ints and kind in ("int64_value", "uint64_value"):
            row[f"stat {name}"] = signed(getattr(stat, kind))
        elif name in stats.strings and kind == "str_value":
            row[f"stat {name}"] = stat.str_value
        elif name in stats.strings and kind == "ref_value":
            row[f"stat {name}"] = plane.stat_names.get(signed(stat.ref_value))
    return {key: value for key, value in row.items() if value is not None}


def _plane(plane: Any, stats: StatNames) -> Plane:
    names = {key: meta.name for key, meta in plane.stat_metadata.items()}
    metadata = plane.event_metadata.items()
    event_stats = {key: _own_stats(meta.stats, names, stats) for key, meta in metadata}
    return Plane(
        name=plane.name,
        id=plane.id,
        event_names={key: meta.name for key, meta in metadata},
        event_display_names={k: meta.display_name for k, meta in metadata if meta.display_name},
        stat_names=names,
        event_stats={key: found for key, found in event_stats.items() if found},
        stats=_own_stats(plane.stats, names, None),
    )


def _own_stats(stats: Any, names: dict[int, str], wanted: StatNames | None) -> dict[str, object]:
    found: dict[str, object] = {}
    for stat in stats:
        kind = stat.WhichOneof("value")
        name = names.get(stat.metadata_id)
        if name is not None and kind is not None and (wanted is None or name in wanted):
            value = getattr(stat, kind)
            found[name] = names.get(signed(value)) if kind == "ref_value" else value
    return {name: value for name, value in found.items() if value is not None}


def signed(value: int) -> int:
    """The low 64 bits of `value`, as a signed number."""
    return (value + 2**63) % 2**64 - 2**63
