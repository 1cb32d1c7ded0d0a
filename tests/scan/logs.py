"""A log folder of several runs and hosts, made from one real run of tftrace."""

from pathlib import Path

from tftrace.parsers.proto.xplane_proto import XSpace

SLOW = 3  # how many times slower than the others the straggler is


def slowed(trace: bytes, factor: int) -> bytes:
    """The trace with all its times, from its first line's start on, multiplied."""
    space = XSpace.FromString(trace)
    lines = [line for plane in space.planes for line in plane.lines]
    base_ns = min(line.timestamp_ns for line in lines if line.events)
    for line in lines:
        shift_ps = (line.timestamp_ns - base_ns) * 1000
        for event in line.events:
            event.offset_ps = (shift_ps + event.offset_ps) * factor - shift_ps
            event.duration_ps *= factor
    return space.SerializeToString()


def write_logs(folder: Path, trace: bytes, manifest: bytes) -> Path:
    """Runs `one` (three hosts, `b` slow) and `two` (two hosts, no manifest), and broken files.

    Broken are `one`'s hosts `cut` (truncated) and `empty` (0 bytes).
    """
    files = {
        "one/a.xplane.pb": trace,
        "one/b.xplane.pb": slowed(trace, SLOW),
        "one/c.xplane.pb": trace,
        **{f"one/{host}.tftrace.json": manifest for host in "abc"},
        "one/cut.xplane.pb": trace[: len(trace) // 2],
        "one/empty.xplane.pb": b"",
        "two/a.xplane.pb": trace,
        "two/d.xplane.pb": slowed(trace, 2),
        # A capture under way: not a run yet.
        ".tftrace-scratch/x.xplane.pb": trace,
        "one/a.trace.json.gz": b"no trace",
    }
    for name, content in files.items():
        file = folder / "plugins" / "profile" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder
