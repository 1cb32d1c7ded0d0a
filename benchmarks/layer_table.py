"""What the complete layer table costs, beside protobuf's parser alone, in one run.

    python benchmarks/layer_table.py [--sizes 20 160 600] [--run DIR] [--folder DIR] [--all-ops]

A real run (MobileNetV2, one sample per batch, or an LSTM with every kernel recorded, unless given)
is repeated along its time axis up to each size in MB: the events of every line again and again with
advancing offsets, fresh step ids and fresh thread-pool ids, inside one window that spans them all.
The manifest's samples and steps grow with it. Every way runs in a process of its own:

    protobuf   ParseFromString alone, no event looked at (upb, the C parser)
    layers     tftrace: `load(run).layers`, attribution and worker threads included

`call` is the time after imports and loading of kernels, `process` that of the whole process, each
the best of `--repeats` processes taken in turns; `peak` is the largest resident memory in multiples
of the file. A ratio above 1 means that the layer table is the faster one. `growth` is how much
longer the call takes than for the smallest file, in multiples of how much larger the file is: 1 is
linear; below it, what a call costs whatever its size still shows in the smallest.

Last, `tftrace report` on a run of 2 MB as a whole process, against a Python that imports pandas.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import read_trace
from read_trace import task_protobuf, timed

WAYS = ("protobuf", "layers")
REPORTED_MB = 2

# What links events: numbers of steps count up; ids of work in a thread pool are 64 random bits.
IDS = ("id", "_p", "_c")
SMALL = 1 << 32
ADVANCE = 0x9E3779B97F4A7C15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 160, 600], metavar="MB")
    parser.add_argument("--run", type=Path, help="a run to repeat; default: capture one")
    parser.add_argument("--all-ops", action="store_true", help="capture the LSTM")
    parser.add_argument("--folder", type=Path, help="where to make the runs; default: temporary")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        source = options.run or Path(folder) / "captured"
        if options.run is None:
            run_self("capture", source, "lstm" if options.all_ops else "mobilenet")
        run_self("layers", source)  # compiles, where that has not been done yet
        first: tuple[int, float] | None = None
        print(
            f"{'file':>7}  {'way':9}{'call s':>8}{'process':>9}{'peak':>8}"
            f"{'call':>8}{'process':>9}{'growth':>8}"
        )
        for size in options.sizes:
            run = Path(folder) / str(size)
            run_self("enlarge", source, run, size)
            file = trace_of(run)
            measured = measure(run, options.repeats)
            here = file.stat().st_size, measured["layers"]["call"]
            first = first or here
            report(here[0], measured, here[1] / first[1] / (here[0] / first[0]))
            file.unlink()
        small = Path(folder) / "small"
        run_self("enlarge", source, small, REPORTED_MB)
        report_command(small, options.repeats)


def measure(run: Path, repeats: int) -> dict[str, dict[str, float]]:
    """Per way: seconds of the call and the process, peak in bytes; the best of so many turns."""
    best: dict[str, dict[str, float]] = {}
    for _ in range(repeats):
        for way in WAYS:
            result = run_self(way, trace_of(run) if way == "protobuf" else run)
            known = best.setdefault(way, result)
            best[way] = {key: min(value, known[key]) for key, value in result.items()}
    return best


def report(size: int, measured: dict[str, dict[str, float]], growth: float) -> None:
    base = measured["protobuf"]
    for way, own in measured.items():
        print(
            f"{size / 1e6:4.0f} MB  {way:9}{own['call']:8.2f}{own['process']:9.2f}"
            f"{own['peak'] / size:7.2f}x{base['call'] / own['call']:8.2f}"
            f"{base['process'] / own['process']:9.2f}"
            + (f"{growth:8.2f}" if way == "layers" else ""),
            flush=True,
        )


def report_command(run: Path, repeats: int) -> None:
    commands = {
        "import pandas": [sys.executable, "-c", "import pandas"],
        "tftrace report": [sys.executable, "-m", "tftrace", "report", str(run)],
    }
    best = dict.fromkeys(commands, float("inf"))
    for _ in range(max(5, repeats)):
        for name, command in commands.items():
            best[name] = min(best[name], timed(lambda c=command: _quiet(c))[0])
    size = trace_of(run).stat().st_size / 1e6
    print(
        f"tftrace report, {size:.1f} MB, whole process: {best['tftrace report']:.2f} s, "
        f"{best['tftrace report'] / best['import pandas']:.2f} x that of `import pandas` "
        f"({best['import pandas']:.2f} s)"
    )


def _quiet(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=read_trace._environment())


def run_self(task: str, *arguments: object) -> dict[str, float]:
    """Run a task of this script in a process of its own."""
    return read_trace.run_self(task, *arguments, script=__file__)


def trace_of(run: Path) -> Path:
    """The one trace below a folder."""
    (trace,) = run.rglob("*.xplane.pb")
    return trace


def task_layers(run: str) -> dict[str, float]:
    from tftrace.api.load import load
    from tftrace.api.profile import Profile
    from tftrace.parsers import read_trace as read_file

    def table() -> tuple[Profile, int]:
        profile = load(run)
        return profile, len(profile.layers)

    read_file(read_trace.TINY)
    seconds, (_, rows) = timed(table)
    return {"call": seconds, "rows": rows}


def task_capture(target: str, which: str) -> dict[str, float]:
    import keras
    import numpy as np
    from keras import layers

    import tftrace

    if which == "lstm":
        model = keras.Sequential(
            [
                layers.Input((40, 16)),
                layers.LSTM(32, return_sequences=True),
                layers.LSTM(32),
                layers.Dense(4),
            ]
        )
        data = np.zeros((4, 40, 16), "float32")
    else:
        model = keras.applications.MobileNetV2((96, 96, 3), weights=None, classes=10)
        data = np.zeros((30, 96, 96, 3), "float32")
    tftrace.profile(
        model,
        data,
        batch_size=1,
        repeats=0,
        trace_batches=0,
        all_ops=which == "lstm",
        calibrate=False,
        out=target,
    )
    return {}


def task_enlarge(source: str, target: str, megabytes: str) -> dict[str, float]:
    from tftrace.parsers.proto.xplane_proto import XPlane, XSpace

    trace = trace_of(Path(source))
    space = XSpace.FromString(trace.read_bytes())
    copies = max(1, round(int(megabytes) * 1e6 / space.ByteSize()))
    base = min(line.timestamp_ns for plane in space.planes for line in plane.lines)
    span = 1_000_000 + max(
        (line.timestamp_ns - base) * 1000 + event.offset_ps + event.duration_ps
        for plane in space.planes
        for line in plane.lines
        for event in line.events
    )
    Path(target).mkdir(parents=True)
    with open(Path(target) / trace.name, "wb") as out:
        for plane in space.planes:
            lines = b"".join(
                read_trace._field(3, _repeated(plane, line, copies, span, 1_000_000))
                for line in plane.lines
            )
            rest = XPlane()
            rest.CopyFrom(plane)
            del rest.lines[:]
            out.write(read_trace._field(1, lines + rest.SerializeToString()))
    name = trace.name.removesuffix(".xplane.pb") + ".tftrace.json"
    manifest = json.loads(trace.with_name(name).read_text())
    for counts in (manifest["run"], manifest["run"]["trace"]):
        counts["samples"] *= copies
        counts["steps"] *= copies
    (Path(target) / name).write_text(json.dumps(manifest))
    return {}


def _repeated(plane: Any, line: Any, copies: int, span: int, steps: int) -> bytes:
    """A serialized line whose events come `copies` times, `span` ps apart, the window but once."""
    names = {key: entry.name for key, entry in plane.stat_metadata.items()}
    window = {k for k, entry in plane.event_metadata.items() if entry.name == "tftrace window"}
    body = type(line)(events=[e for e in line.events if e.metadata_id not in window])
    for event in line.events:
        if event.metadata_id in window:
            event.duration_ps += span * (copies - 1)
    ids = [s for event in body.events for s in event.stats if names[s.metadata_id] in IDS]
    small = [stat for stat in ids if 0 < stat.int64_value < SMALL]
    large = [stat for stat in ids if abs(stat.int64_value) >= SMALL]
    unsigned = [stat for stat in ids if SMALL <= stat.uint64_value < 2**64 - 1]
    parts = [line.SerializeToString()]
    for _ in range(copies - 1):
        for event in body.events:
            event.offset_ps += span
        for stat in small:
            stat.int64_value += steps
        for stat in large:
            stat.int64_value = (stat.int64_value + ADVANCE + 2**63) % 2**64 - 2**63
        for stat in unsigned:
            stat.uint64_value = (stat.uint64_value + ADVANCE) % 2**64
        parts.append(body.SerializeToString())
    return b"".join(parts)


TASKS: dict[str, Callable[..., dict[str, float]]] = {
    "protobuf": task_protobuf,
    "layers": task_layers,
    "capture": task_capture,
    "enlarge": task_enlarge,
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--task"]:
        print(json.dumps(TASKS[sys.argv[2]](*sys.argv[3:])))
    else:
        main()
