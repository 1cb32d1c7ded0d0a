"""How fast traces are read, as ratios to the alternatives, in one run.

    python benchmarks/read_trace.py [--sizes 20 160 600] [--trace FILE] [--folder DIR]

A real trace (captured from a small Keras model, unless given) is repeated along its time axis up to
each size in MB: every line's events again and again with advancing offsets and fresh thread-pool
ids, as a longer capture would have them. Every way of reading runs in a process of its own:

    protobuf   ParseFromString alone, no event looked at (upb, the C parser)
    loop       the same, then a plain Python loop that adds up the ops
    xprof      xprof's converter for `framework_op_stats`
    rows       tftrace: per-op totals
    totals     the same as a DataFrame (most of the process is the import of pandas)
    columns    tftrace: all events as columns, with all stats that attribution wants

Each process makes one call; `call` is its time after imports and loading of kernels, `process`
that of the whole process, `cpu` the processor time of all its threads, each the best of `--repeats`
processes taken in turns (xprof and the loop: one). `peak` is the largest resident memory in
multiples of the file.
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

WAYS = ("protobuf", "rows", "totals", "columns", "loop", "xprof")
SLOW = ("loop", "xprof")
LOOP_LIMIT_MB = 200  # the plain loop needs nearly thirty times the file in memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 160, 600], metavar="MB")
    parser.add_argument("--trace", type=Path, help="a real trace to repeat; default: capture one")
    parser.add_argument("--folder", type=Path, help="where to make the traces; default: temporary")
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    parser.add_argument("--repeats", type=int, default=3)
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
            report(file, measure(file, options.ways, options.repeats))
            file.unlink()


def measure(file: Path, ways: tuple[str, ...], repeats: int) -> dict[str, dict[str, float]]:
    """Per way of reading: seconds of the call, the process and its processors; peak in bytes."""
    megabytes = file.stat().st_size / 1e6
    best: dict[str, dict[str, float]] = {}
    for turn in range(repeats):
        for way in ways:
            if (way in SLOW and turn) or (way == "loop" and megabytes > LOOP_LIMIT_MB):
                continue
            result = run_self(way, file)
            known = best.setdefault(way, result)
            best[way] = {key: min(value, known[key]) for key, value in result.items()}
    return best


def report(file: Path, measured: dict[str, dict[str, float]]) -> None:
    size = file.stat().st_size
    base, xprof = measured["protobuf"], measured.get("xprof")
    print(
        f"\n{size / 1e6:.0f} MB, {base['events']:,.0f} events; times as good as protobuf | xprof:"
    )
    print(f"{'':10}{'call s':>8}{'process':>9}{'cpu':>7}{'peak':>7}", end="")
    print(
        "".join(f"{name:>9}" for name in ("call", "process", "cpu")) + "  |  call  process    cpu"
    )
    for way, own in measured.items():
        print(
            f"{way:10}{own['call']:8.2f}{own['process']:9.2f}{own['cpu']:7.2f}"
            f"{own['peak'] / size:6.2f}x{_ratios(base, own)}  |{_ratios(xprof, own)}",
            flush=True,
        )


def _ratios(other: dict[str, float] | None, own: dict[str, float]) -> str:
    if other is None:
        return ""
    return "".join(f"{other[key] / own[key]:9.2f}" for key in ("call", "process", "cpu"))


def run_self(task: str, *arguments: object, script: str = __file__) -> dict[str, float]:
    """Run a task of this script, or of another one like it, in a process of its own.

    This process stays small: a child's peak memory starts from its parent's.
    """
    command = [sys.executable, script, "--task", task, *map(str, arguments)]
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
    result["cpu"] = usage.ru_utime + usage.ru_stime
    result["peak"] = usage.ru_maxrss * 1024
    return result


def _environment() -> dict[str, str]:
    # Where Python must not keep bytecode, it compiles the package anew in every process.
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {
        **kept,
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """(seconds, result)."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def task_protobuf(file: str) -> dict[str, float]:
    from tftrace.parsers.proto.xplane_proto import XSpace

    data = Path(file).read_bytes()
    seconds, space = timed(lambda: XSpace.FromString(data))
    events = sum(len(line.events) for plane in space.planes for line in plane.lines)
    return {"call": seconds, "events": events}


def task_loop(file: str) -> dict[str, float]:
    from tftrace.parsers.proto.xplane_proto import XSpace

    def loop() -> Counter[str]:
        total: Counter[str] = Counter()
        for plane in XSpace.FromString(Path(file).read_bytes()).planes:
            names = {key: entry.name for key, entry in plane.event_metadata.items()}
            for line in plane.lines:
                for event in line.events:
                    total[names.get(event.metadata_id, "")] += event.duration_ps
        return total

    seconds, _ = timed(loop)
    return {"call": seconds}


def task_xprof(file: str) -> dict[str, float]:
    from xprof.convert import raw_to_tool_data

    seconds, _ = timed(
        lambda: raw_to_tool_data.xspace_to_tool_data([file], "framework_op_stats", {})
    )
    return {"call": seconds}


# A plane with one line with one event: reading it loads the kernels.
TINY = b"\x0a\x0f\x12\x09/host:CPU\x1a\x02\x22\x00"


def task_rows(file: str) -> dict[str, float]:
    from tftrace.parsers.op_table import op_rows

    op_rows(TINY)
    seconds, _ = timed(lambda: op_rows(file))
    return {"call": seconds}


def task_totals(file: str) -> dict[str, float]:
    from tftrace.parsers.op_table import op_totals

    op_totals(TINY)
    seconds, _ = timed(lambda: op_totals(file))
    return {"call": seconds}


def task_columns(file: str) -> dict[str, float]:
    from tftrace.parsers import read_trace

    read_trace(TINY)
    seconds, _ = timed(lambda: read_trace(file))
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
    from tftrace.parsers.proto.xplane_proto import XPlane, XSpace

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


TASKS: dict[str, Callable[..., dict[str, float]]] = {
    "protobuf": task_protobuf,
    "loop": task_loop,
    "xprof": task_xprof,
    "rows": task_rows,
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
