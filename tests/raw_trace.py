"""A trace read by TensorFlow's own schema and a plain loop: what the tests hold tables against."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

OP = re.compile(r"([A-Za-z0-9.][A-Za-z0-9_.\\/>-]*):([A-Z_][A-Za-z0-9_]*)$")
WINDOW = "tftrace window"


@dataclass(frozen=True)
class RawEvent:
    """One event of the host; times in ps."""

    name: str
    line: int
    start: int
    end: int
    stats: dict


def host_events(path: Path) -> list[RawEvent]:
    """Every event of ``/host:CPU`` inside the measured window, in file order."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    (host,) = (plane for plane in space.planes if plane.name == "/host:CPU")
    events = [
        RawEvent(
            host.event_metadata[event.metadata_id].name,
            line.id,
            line.timestamp_ns * 1000 + event.offset_ps,
            line.timestamp_ns * 1000 + event.offset_ps + event.duration_ps,
            _stats(host, event),
        )
        for line in host.lines
        for event in line.events
    ]
    (window,) = (e for e in events if e.name == WINDOW)
    return [e for e in events if window.start <= e.start < window.end]


def _stats(plane, event) -> dict:
    return {
        plane.stat_metadata[stat.metadata_id].name: plane.stat_metadata[stat.ref_value].name
        if stat.WhichOneof("value") == "ref_value"
        else getattr(stat, stat.WhichOneof("value") or "int64_value")
        for stat in event.stats
    }


def trace_of(profile) -> Path:
    """The trace file of a run."""
    (path,) = profile.folder.glob("*.xplane.pb")
    return path


def window_ps(path: Path) -> int:
    """Length of the measured window."""
    (window,) = (e for e in host_events(path) if e.name == WINDOW)
    return window.end - window.start


def executions(events: list[RawEvent]) -> Counter:
    """How often each (operation, type) ran: TensorFlow's kernels, and XLA's with type XLA."""
    found: Counter = Counter()
    started: Counter = Counter()
    for event in events:
        match = OP.match(event.name)
        if "hlo_op" in event.stats:
            if not event.name.startswith("end: "):
                found[event.stats["hlo_op"], "XLA"] += 1
        elif match:
            found[match[1], match[2]] += 1
        elif event.name == "ExecutorState::ProcessAsync::Start":
            started[event.stats["name"], event.stats["kernel_type"]] += 1
    # TensorFlow deems some calls cheap and records no more than that they started.
    found.update({key: n - found[key] for key, n in started.items() if n > found[key]})
    return found


def covered(events: list[RawEvent]) -> int:
    """Time in ps in which at least one operation ran."""
    ops = sorted((e.start, e.end) for e in events if OP.match(e.name))
    total, until = 0, 0
    for start, end in ops:
        total += max(0, end - max(start, until))
        until = max(until, end)
    return total


class Totals(NamedTuple):
    """What xprof says of one operation; times in us."""

    occurrences: float
    total: float
    self: float


def framework_op_stats(path: Path, folder: Path) -> dict[tuple[str, str], Totals]:
    """xprof's table of host operations by (op, type).

    It lists no more than 500, IDLE among them. Each event of the allocator, which oneDNN's writes,
    would count as an occurrence of the operation that it names: they are taken out first.
    """
    convert = pytest.importorskip("xprof.convert.raw_to_tool_data")
    # xprof writes caches beside the trace.
    copy = folder / "vm.xplane.pb"
    copy.write_bytes(without(path, {"MemoryAllocation", "MemoryDeallocation"}))
    answer, _ = convert.xspace_to_tool_data([str(copy)], "framework_op_stats", {})
    table = json.loads(answer)[0]
    columns = [column["id"] for column in table["cols"]]
    rows = [
        dict(zip(columns, (c.get("v") for c in row["c"]), strict=False)) for row in table["rows"]
    ]
    return {
        (row["operation"], row["type"]): Totals(
            row["occurrences"], row["total_time"], row["total_self_time"]
        )
        for row in rows
        if row["host_or_device"] == "Host" and row["type"] != "IDLE"
    }


def without(path: Path, names: set[str]) -> bytes:
    """A trace without the events of those names."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    for plane in space.planes:
        dropped = {key for key, known in plane.event_metadata.items() if known.name in names}
        for line in plane.lines:
            kept = [event for event in line.events if event.metadata_id not in dropped]
            del line.events[:]
            line.events.extend(kept)
    return space.SerializeToString()
