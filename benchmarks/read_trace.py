"""How fast traces are read, as ratios to the alternatives, in one run.

    python benchmarks/read_trace.py [--sizes 20 160 600] [--trace FILE] [--folder DIR]

A real trace (captured from a small Keras model, unless given) is repeated along its time axis up to
each size in MB: every line's events again and again with advancing offsets and fresh thread-pool
ids, as a longer capture would have them. Every way of reading runs in a process of its own:

    protobuf   ParseFromString alone, no event looked at (upb, the C parser)
    loop       the same, then a plain Python loop that adds up the ops
    xprof      xprof's converter for `framework_op_stats`
    totals     tftrace: the per-op table
    columns    tftrace: all events as columns, with all stats that attribution wants

`call` is the best of several calls in the process (xprof and the loop: one call), `process` the
whole process with its imports, `peak` its largest resident memory in multiples of the file.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

WAYS = ("protobuf", "totals", "columns", "loop", "xprof")
LOOP_LIMIT_MB = 200  # the plain loop needs nearly thirty times the file in memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 160, 600], metavar="MB")
    parser.add_argument("--trace", type=Path, help="a real trace to repeat; default: capture one")
    parser.add_argument("--folder", type=Path, help="where to make the traces; default: temporary")
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        source = options.trace or Path(folder) / "captured.pb"
        if options.trace is None:
            run_self("capture", source)
        run_self("totals", source)  # compiles, where that has not been done yet
        run_self("columns", source)
        for size in options.sizes:
            alone = Path(folder) / str(size)  # xprof leaves caches for the whole folder
            alone.mkdir()
            file = alone / "host.xplane.pb"
            run_self("enlarge", source, file, size)
            report(file, measure(file, options.ways))
            file.unlink()


def measure(file: Path, ways: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Per way of reading: seconds of a call and of the process, peak memory in bytes."""
    megabytes = file.stat().st_size / 1e6
    chosen = [way for way in ways if way != "loop" or megabytes < LOOP_LIMIT_MB]
    return {way: run_self(way, file) for way in chosen}


def report(file: Path, measured: dict[str, dict[str, float]]) -> None:
    size = file.stat().st_size
    print(f"\n{size / 1e6:.0f} MB, {measured['protobuf']['events']:,.0f} events")
    print(
        f"{'':10}{'call s':>8}{'MB/s':>7}{'process s':>11}{'peak':>8}"
        f"{'call: protobuf/this':>21}{'process: protobuf/this':>24}{'xprof/this':>12}"
    )
    base, xprof = measured["protobuf"], measured.get("xprof")
    for way, own in measured.items():
        over_xprof = f"{xprof['process'] / own['process']:.1f}" if xprof else ""
        print(
            f"{way:10}{own['call']:8.2f}{size / 1e6 / own['call']:7.0f}{own['process']:11.2f}"
            f"{own['peak'] / size:7.2f}x{base['call'] / own['call']:21.2f}"
            f"{base['process'] / own['process']:24.2f}{over_xprof:>12}",
            flush=True,
        )


def run_self(task: str, *arguments: object) -> dict[str, float]:
    """Run a task of this script in a process of its own.

    This process stays small: a child's peak memory starts from its parent's.
    """
    command = [sys.executable, __file__, "--task", task, *map(str, arguments)]
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_environment())
    assert child.stdout is not None
    answer = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise SystemExit(f"{task} failed")
    result: dict[str, float] = json.loads(answer.splitlines()[-1]) if answer else {}
    result["process"] = time.perf_counter() - began
    result["peak"] = usage.ru_maxrss * 1024
    return result


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def timed(work: Callable[[], Any], calls: int) -> tuple[float, Any]:
    """(best seconds, last result)."""
    best = float("inf")
    for _ in range(calls):
        result = None
        began = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - began)
    return best, result


def task_protobuf(file: str) -> dict[str, float]:
    from tftrace.parsers.xplane_proto import XSpace

    data = Path(file).read_bytes()
    seconds, space = timed(lambda: XSpace.FromString(data), 1)
    events = sum(len(line.events) for plane in space.planes for line in plane.lines)
    return {"call": seconds, "events": events}


def task_loop(file: str) -> dict[str, float]:
    from tftrace.parsers.xplane_proto import XSpace

    def loop() -> Counter[str]:
        total: Counter[str] = Counter()
        for plane in XSpace.FromString(Path(file).read_bytes()).planes:
            names = {key: entry.name for key, entry in plane.event_metadata.items()}
            for line in plane.lines:
                for event in line.events:
                    total[names.get(event.metadata_id, "")] += event.duration_ps
        return total

    seconds, _ = timed(loop, 1)
    return {"call": seconds}


def task_xprof(file: str) -> dict[str, float]:
    from xprof.convert import raw_to_tool_data

    seconds, _ = timed(
        lambda: raw_to_tool_data.xspace_to_tool_data([file], "framework_op_stats", {}), 1
    )
    return {"call": seconds}


def task_totals(file: str) -> dict[str, float]:
    from tftrace.parsers.op_table import op_totals

    seconds, _ = timed(lambda: op_totals(file), CALLS)
    return {"call": seconds}


def task_columns(file: str) -> dict[str, float]:
    from tftrace.parsers import read_trace

    seconds, _ = timed(lambda: read_trace(file), CALLS)
    return {"call": seconds}


def task_capture(target: str) -> dict[str, float]:
    import keras
    import numpy as np
    import tensorflow as tf
    from keras import layers

    model = keras.Sequential(
        [
            layers.Input((32, 32, 3)),
            layers.Conv2D(16, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(16, 3),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    model.compile(jit_compile=False)
    data = np.zeros((20 * 64, 32, 32, 3), "float32")
    model.predict(data[:64], batch_size=64, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            model.predict(data, batch_size=64, verbose=0)
        (trace,) = Path(folder).rglob("*.xplane.pb")
        Path(target).write_bytes(trace.read_bytes())
    return {}


def task_enlarge(source: str, target: str, megabytes: str) -> dict[str, float]:
    from tftrace.parsers.xplane_proto import XPlane, XSpace

    space = XSpace.FromString(Path(source).read_bytes())
    copies = max(1, round(int(megabytes) * 1e6 / space.ByteSize()))
    span = 1_000_000 + max(
        event.offset_ps + event.duration_ps
        for plane in space.planes
        for line in plane.lines
        for event in line.events
    )
    with open(target, "wb") as out:
        for plane in space.planes:
            lines = b"".join(
                _field(3, _repeated(plane, line, copies, span)) for line in plane.lines
            )
            rest = XPlane()
            rest.CopyFrom(plane)
            del rest.lines[:]
            out.write(_field(1, lines + rest.SerializeToString()))
    return {}


def _repeated(plane: Any, line: Any, copies: int, span: int) -> bytes:
    """A serialized line whose events come `copies` times, `span` ps apart."""
    links = {key for key, entry in plane.stat_metadata.items() if entry.name in ("_p", "_c")}
    parts = [line.SerializeToString()]
    body = type(line)(events=line.events)
    stats = [stat for event in body.events for stat in event.stats if stat.metadata_id in links]
    # Ids of work in a thread pool are 64 random bits; others are small numbers and may repeat.
    ids = [stat for stat in stats if abs(stat.int64_value) > 1 << 32]
    for _ in range(copies - 1):
        for event in body.events:
            event.offset_ps += span
        for stat in ids:
            stat.int64_value = (stat.int64_value + 0x9E3779B97F4A7C15 + 2**63) % 2**64 - 2**63
        parts.append(body.SerializeToString())
    return b"".join(parts)


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


CALLS = 3
TASKS: dict[str, Callable[..., dict[str, float]]] = {
    "protobuf": task_protobuf,
    "loop": task_loop,
    "xprof": task_xprof,
    "totals": task_totals,
    "columns": task_columns,
    "capture": task_capture,
    "enlarge": task_enlarge,
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--task"]:
        print(json.dumps(TASKS[sys.argv[2]](*sys.argv[3:])))
    else:
        main()
