"""Read mutated traces, with guard pages around everything that compiled loops read and write.

    python tests/robustness/fuzz_reader.py [--minutes M | --executions N] [--seed S] [TRACE ...]

The corpus is real traces (captured here from small models, unless given), cut down to a few lines
and events of each plane so that an execution takes a fraction of a millisecond. A mutation goes
down the message's fields to a random depth and changes bytes there; lengths around it are right
again afterwards, or the reader would see no further than the first of them.

An execution is one `read_trace` or one `op_rows`. Anything but a result or a `TraceError`, and any
crash or hang, is a failure: the input is kept in `fuzz-failure.xplane.pb`, and the exit code is 1.
Coverage-guided fuzzers (atheris) see the Python index only, not the compiled loops, so this has a
mutator of its own.
"""

from __future__ import annotations

import argparse
import mmap
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

FAILURE = "fuzz-failure.xplane.pb"
LIMIT = 1 << 16  # bytes of an input
PATIENCE_S = 30  # for a thousand executions
INTERESTING = (0, 1, 2, 7, 8, 0x22, 0x7F, 0x80, 0xFE, 0xFF)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--executions", type=int, default=1 << 62)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", type=Path)
    parser.add_argument("traces", type=Path, nargs="*")
    options = parser.parse_args()
    if options.child:
        fuzz(options.child, options.traces, options.minutes, options.executions, options.seed)
        return
    with tempfile.TemporaryDirectory() as folder:
        traces = options.traces or capture(Path(folder))
        current = Path(folder) / "current"
        current.write_bytes(bytes(LIMIT + 8))
        child = [sys.executable, "-X", "faulthandler", __file__, "--child", str(current)]
        child += ["--minutes", str(options.minutes), "--executions", str(options.executions)]
        code = subprocess.run([*child, "--seed", str(options.seed), *map(str, traces)]).returncode
        if code:
            content = current.read_bytes()
            size = int.from_bytes(content[:8], "little")
            Path(FAILURE).write_bytes(content[8 : 8 + size])
            print(f"failed with {code}; the input is in {FAILURE}", file=sys.stderr)
            sys.exit(1)


def capture(folder: Path) -> list[Path]:
    script = Path(__file__).parents[1] / "parsers" / "capture.py"
    subprocess.run([sys.executable, script, folder], check=True)
    return sorted(folder.glob("*.pb"))


def fuzz(current: Path, traces: list[Path], minutes: float, most: int, seed: int) -> None:
    """Read mutations of the traces; `current` holds the input that is being read."""
    import numpy as np
    from guard_pages import Arena, guarded
    from hostile_traces import TINY

    from tftrace.parsers import TraceError, columns, lines, op_table, read_trace, trace_file

    arena = Arena()
    for module in (columns, lines, op_table):
        module.np = arena.numpy
    columns._give_memory_back = lambda: None  # there is little
    buffer = guarded(LIMIT)

    def load(source: bytes) -> trace_file.TraceFile:
        data = buffer[LIMIT - len(source) :]
        data[:] = np.frombuffer(source, np.uint8)
        return trace_file.TraceFile(data, memoryview(data))

    trace_file._load = load
    pick = random.Random(seed)
    corpus = [TINY, *(part for trace in traces for part in cut_down(trace.read_bytes()))]
    print(f"{len(corpus)} traces of {sum(map(len, corpus)) // len(corpus)} bytes", flush=True)
    with current.open("r+b") as file:
        shared = mmap.mmap(file.fileno(), 0)
    outcomes: Counter[str] = Counter()
    done, until, told = 0, time.monotonic() + 60 * minutes, time.monotonic()
    while done < most and time.monotonic() < until:
        signal.alarm(PATIENCE_S)
        for _ in range(500):
            data = mutated(pick.choice(corpus), pick, corpus)[:LIMIT]
            if not data:
                continue
            shared[:8] = len(data).to_bytes(8, "little")
            shared[8 : 8 + len(data)] = data
            salvage = pick.random() < 0.5
            for read in (read_trace, op_table.op_rows):
                arena.reset()
                try:
                    read(data, salvage=salvage, threads=1)
                    outcomes["read"] += 1
                except TraceError as error:
                    outcomes[type(error).__name__] += 1
                done += 1
        if time.monotonic() - told > 60:
            told = time.monotonic()
            print(f"{done} executions {dict(outcomes)}", flush=True)
    signal.alarm(0)
    print(f"{done} executions, no failure: {dict(outcomes)}")


def cut_down(data: bytes) -> list[bytes]:
    """Small traces of what a real one has: some lines and events of a plane, with their names."""
    from tftrace.parsers.proto.xplane_proto import XSpace

    found = []
    for plane in XSpace.FromString(data).planes:
        for first in range(0, min(len(plane.lines), 16), 2):
            space = XSpace()
            small = space.planes.add()
            small.CopyFrom(plane)
            del small.lines[:]
            for line in plane.lines[first : first + 2]:
                copy = small.lines.add()
                copy.CopyFrom(line)
                del copy.events[5:]
            used = {event.metadata_id for line in small.lines for event in line.events}
            for key in set(small.event_metadata) - used:
                del small.event_metadata[key]
            stats = [s for line in small.lines for event in line.events for s in event.stats]
            used = {number for stat in stats for number in (stat.metadata_id, stat.ref_value)}
            for key in set(small.stat_metadata) - used:
                del small.stat_metadata[key]
            if space.ByteSize() < 4000:
                found.append(space.SerializeToString())
    return found


def mutated(data: bytes, pick: random.Random, corpus: list[bytes], depth: int = 0) -> bytes:
    """The message with a change somewhere in it, the lengths of what is around it right."""
    for _ in range(pick.choice((1, 1, 1, 2, 4)) if depth == 0 else 1):
        fields = split(data)
        inner = [i for i, (tag, _) in enumerate(fields) if tag[0] & 7 == 2]
        if depth < 5 and inner and pick.random() < 0.9:
            i = pick.choice(inner)
            tag, payload = fields[i]
            action = pick.random()
            if action < 0.05:
                fields.insert(pick.randrange(len(fields) + 1), fields[i])
            elif action < 0.08:
                del fields[i]
            else:
                fields[i] = tag, mutated(payload, pick, corpus, depth + 1)
            data = b"".join(join(*field) for field in fields)
        else:
            data = scrambled(data, pick, corpus)
    return data


def scrambled(data: bytes, pick: random.Random, corpus: list[bytes]) -> bytes:
    """Some bytes changed, put in, taken out, or copied, without regard to what they mean."""
    out = bytearray(data)
    for _ in range(pick.choice((1, 1, 2, 3))):
        at = pick.randrange(len(out) + 1)
        action = pick.randrange(8)
        if action <= 2 and at < len(out):
            out[at] = pick.choice(INTERESTING) if action else out[at] ^ 1 << pick.randrange(8)
        elif action == 3 and at < len(out):
            out[at] = (out[at] + pick.choice((-1, 1))) % 256
        elif action == 4:
            out[at:at] = bytes(pick.choice(INTERESTING) for _ in range(pick.randrange(1, 12)))
        elif action == 5:
            del out[at : at + pick.randrange(1, 8)]
        elif action == 6:
            other = pick.choice(corpus)
            start = pick.randrange(len(other))
            out[at:at] = other[start : start + pick.randrange(1, 40)]
        else:
            out[at:at] = b"\xff" * pick.randrange(1, 11)
    return bytes(out)


def split(data: bytes) -> list[tuple[bytes, bytes]]:
    """(tag, payload) of the fields, as far as they are some; what is left has the tag 0."""
    fields = []
    at = 0
    while at < len(data):
        tag, value = varint_end(data, at), 0
        wire = data[at] & 7
        start = end = tag
        if wire == 0:
            end = varint_end(data, tag)
        elif wire == 1:
            end = tag + 8
        elif wire == 5:
            end = tag + 4
        elif wire == 2:
            start = varint_end(data, tag)
            for byte in reversed(data[tag:start]):
                value = value << 7 | byte & 127
            end = start + value
        if wire in (3, 4, 6, 7) or end > len(data) or end == at:
            break
        fields.append((data[at:tag], data[start:end]))
        at = end
    return [*fields, (b"\0", data[at:])] if at < len(data) else fields


def join(tag: bytes, payload: bytes) -> bytes:
    if tag[0] == 0:
        return payload
    if tag[0] & 7 != 2:
        return tag + payload
    length, size = bytearray(), len(payload)
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    return tag + bytes(length) + payload


def varint_end(data: bytes, at: int) -> int:
    while at < len(data) and data[at] > 127:
        at += 1
    return at + 1


if __name__ == "__main__":
    main()
