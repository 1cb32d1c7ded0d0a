"""Traces that a program could write to exhaust whoever reads them. Run: the cost of reading each.

    python tests/robustness/hostile_traces.py [NAME ...]

Every trace is read in a process of its own, by `read_trace` and by `op_rows`. Printed are its size,
what became of it, the seconds, and the memory beyond that of a process which has read a tiny trace.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MB = 1 << 20
BYTES_PER_BYTE, FREE = 8, 64 * MB
SECONDS_PER_BYTE, FREE_SECONDS = 1 / 100_000, 1.0

# A plane with one line with one event: reading it loads the loops.
TINY = b"\x0a\x0f\x12\x09/host:CPU\x1a\x02\x22\x00"


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def delimited(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def integer(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def host(*fields: bytes) -> bytes:
    return delimited(1, delimited(2, b"/host:CPU") + b"".join(fields))


def stream(events: bytes, *fields: bytes) -> bytes:
    line = delimited(3, delimited(2, b"Stream #1") + events)
    return delimited(1, delimited(2, b"/device:GPU:0") + line + b"".join(fields))


def named(number: int, key: int, name: bytes) -> bytes:
    return delimited(number, integer(1, key) + delimited(2, delimited(2, name)))


def times(count: int, make: Callable[[int], bytes]) -> bytes:
    return b"".join(map(make, range(count)))


def far(number: int) -> int:
    return (1 << 40) + 7 * number


TF_OP = named(5, 1, b"tf_op")

TRACES: dict[str, Callable[[], bytes]] = {
    "empty lines": lambda: host(b"\x1a\x00" * (MB // 2)),
    "empty lines, as many as pass": lambda: host(b"\x1a\x00" * 44_000),
    "empty planes": lambda: b"\x0a\x00" * MB,
    "empty planes, as many as pass": lambda: b"\x0a\x00" * 22_000,
    "empty events": lambda: host(delimited(3, b"\x22\x00" * (2 * MB))),
    "empty events, as many as pass": lambda: host(delimited(3, b"\x22\x00" * 570_000)),
    "aggregated events": lambda: host(delimited(3, b"\x22\x02\x28\x01" * MB)),
    "empty names": lambda: host(times(MB, lambda i: delimited(4, integer(1, i)))),
    "short names": lambda: host(times(600_000, lambda i: named(4, i, b"%x" % i))),
    "names, as many as pass": lambda: host(times(140_000, lambda i: named(4, far(i), b"%x" % i))),
    "one name again and again": lambda: host(MB * named(4, 5, b"x")),
    "names of stats": lambda: host(times(600_000, lambda i: named(5, i, b"%x" % i))),
    "a name in many parts": lambda: host(delimited(4, delimited(2, b"\x12\x01x") * 200_000)),
    "stats of names": lambda: host(
        TF_OP,
        times(
            200_000,
            lambda i: delimited(
                4,
                integer(1, i) + delimited(2, delimited(5, integer(1, 1) + delimited(5, b"%x" % i))),
            ),
        ),
    ),
    "stats of a plane": lambda: host(
        times(100_000, lambda i: named(5, i, b"%x" % i)),
        times(100_000, lambda i: delimited(6, integer(1, i) + integer(4, 1))),
    ),
    "hostnames": lambda: times(MB, lambda i: b"\x22\x01" + b"%c" % (97 + i % 26)),
    "distinct texts": lambda: stream(
        times(
            300_000, lambda i: delimited(4, delimited(4, integer(1, 1) + delimited(5, b"%x" % i)))
        ),
        TF_OP,
    ),
    "a stream of distinct ids": lambda: stream(
        times(400_000, lambda i: delimited(4, integer(1, i) + integer(2, i) + integer(3, 1)))
    ),
    "events and names of far ids": lambda: host(
        delimited(3, times(100_000, lambda i: delimited(4, integer(1, far(i))))),
        times(100_000, lambda i: named(4, far(i), b"%x" % i)),
    ),
    "lines of one event": lambda: host(
        times(30_000, lambda i: delimited(3, delimited(4, integer(1, far(i)))))
    ),
    "planes of one far name": lambda: times(
        15_000, lambda i: host(named(4, (1 << 22) - 1, b"x"), b"\x1a\x02\x22\x00")
    ),
    "planes of one trial": lambda: times(
        10_000, lambda i: stream(b"\x22\x02\x08\x01", named(4, 1, b"redzone_checker"))
    ),
}


def memory_bound(size: int) -> int:
    """The most bytes that reading a file of that size may take."""
    return BYTES_PER_BYTE * size + FREE


def cost(name: str) -> dict[str, Any]:
    """What reading the trace of that name takes: `size`, `outcome`, `seconds`, `memory` (bytes)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vm.xplane.pb"
        path.write_bytes(TRACES[name]())
        child = [sys.executable, __file__, "--child", str(path)]
        answer = subprocess.run(child, capture_output=True, text=True, check=True).stdout
    result: dict[str, Any] = json.loads(answer)
    return result


def child(path: str) -> None:
    from tftrace.parsers import TraceError, read_trace
    from tftrace.parsers.op_table import op_rows

    read_trace(TINY)
    op_rows(TINY)
    before = peak()
    began = time.perf_counter()
    outcomes = []
    for read in (read_trace, op_rows):
        try:
            found = read(path)
        except TraceError as error:
            outcomes.append(type(error).__name__)
        else:
            outcomes.append("read")
            if read is read_trace:
                found.names(range(len(found.events)))
                found.where(lambda plane, name: name == "x")
            del found
    print(
        json.dumps(
            {
                "size": Path(path).stat().st_size,
                "outcome": outcomes,
                "seconds": time.perf_counter() - began,
                "memory": peak() - before,
            }
        )
    )


def peak() -> int:
    """The most resident memory of this process so far, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell the peak of a process's memory")


def main() -> None:
    worst = 0
    for name in sys.argv[1:] or TRACES:
        found = cost(name)
        size, seconds, memory = found["size"], found["seconds"], found["memory"]
        late = seconds > SECONDS_PER_BYTE * size + FREE_SECONDS
        large = memory > memory_bound(size)
        worst = worst or int(late or large)
        print(
            f"{name:32}{size / 1e6:7.2f} MB {'/'.join(found['outcome']):32}{seconds:6.2f} s "
            f"{memory / 1e6:6.0f} MB of {memory_bound(size) / 1e6:4.0f}"
            f"{' TOO LATE' if late else ''}{' TOO LARGE' if large else ''}",
            flush=True,
        )
    sys.exit(worst)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
    else:
        main()
