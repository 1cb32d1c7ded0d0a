"""The per-op timing table of a raw trace: no manifest, no layers, no event kept in memory.

What counts as an op is what TensorFlow's own profile page counts (xprof's `framework_op_stats`):
on the plane `/host:CPU`, events named `scope/op:Type`, events named `Iterator::…` (input pipeline,
type `Dataset`), and JAX primitives; everything else on a host thread is the runtime's own doing.
On a device plane, the kernels and copies of its streams, under the op that launched them or, as
JAX's, under XLA's program and instruction (`jit_step/fusion.2`), with the instruction's opcode for
a type; kernels that cuDNN only tried have the type `autotuning`. Derived lines (`TensorFlow Ops`,
`Steps`, …) repeat the same time and are left out. Where a host ran kernels of XLA and no op of
TensorFlow, as JAX does, those are the ops.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tftrace.native.loops import events as event_loops
from tftrace.parsers.columns import read_columns
from tftrace.parsers.errors import MalformedTrace
from tftrace.parsers.lines import CHUNK, IdTable, LineHead, in_threads, scan_lines
from tftrace.parsers.trace import Events, Int32Array, Int64Array, Plane, StatNames
from tftrace.parsers.trace_file import Source, TraceFile, open_trace
from tftrace.parsers.trials import AUTOTUNING, CHECK, only_tried

if TYPE_CHECKING:
    import pandas as pd

HOST_PLANE = "/host:CPU"
_OP_STATS = ("tf_op", "annotation", "level 0")  # the newest writers' first
_HLO_STATS = ("hlo_module", "hlo_op")
_DEVICE_STATS = StatNames(("group_id",), (*_OP_STATS, *_HLO_STATS))
_HOST_STATS = StatNames(("correlation_id",), _HLO_STATS)
_XLA = "XLA"  # type of an instruction whose program the trace does not hold
_MAX_DEPTH = 1024  # of ops within ops on one thread

_OP_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_./>-]*", re.ASCII)
_OP_TYPE = re.compile(r"[A-Z_][a-zA-Z0-9_]*", re.ASCII)
_JAX_TYPE = re.compile(r"[a-z_][a-z0-9_]*(\[.*\])?", re.ASCII)


class OpTotal(NamedTuple):
    """One op on one plane.

    Attributes:
        op, op_type, plane: names; the type of a device's own kernel may be empty.
        device: `host` or `device`.
        occurrences: how often it ran.
        total_ps: sum of its durations; concurrent ops overlap.
        self_ps: without the time in which other ops ran inside on the same thread; NaN where a
            thread's events are not in order of time.
    """

    op: str
    op_type: str
    plane: str
    device: str
    occurrences: int
    total_ps: int
    self_ps: float


def op_rows(source: Source, *, salvage: bool = False, threads: int | None = None) -> list[OpTotal]:
    """One row per op, type and plane of a trace file (a path, or its bytes), longest first.

    Raises:
        EmptyTrace, TruncatedTrace, MalformedTrace, OSError: as `read_trace`; `salvage` likewise.
    """
    file = open_trace(source, _DEVICE_STATS.__contains__)
    heads = scan_lines(file, threads, salvage)
    rows = [*_host_rows(file, heads, threads), *_device_rows(file, heads, threads)]
    return sorted(_typed(source, rows), key=lambda row: -row.total_ps)


def op_totals(source: Source, *, salvage: bool = False, threads: int | None = None) -> pd.DataFrame:
    """`op_rows` as a table, with columns `op`, `op_type`, `plane`, `device`, `occurrences`,
    `total_ms`, `mean_us`, `self_ms` (null where unknown).
    """
    import pandas as pd

    rows = op_rows(source, salvage=salvage, threads=threads)
    table: pd.DataFrame = pd.DataFrame(rows, columns=OpTotal._fields)
    table = table.astype({"occurrences": "int64", "total_ps": "int64", "self_ps": "float64"})
    table["total_ms"] = table.pop("total_ps") / 1e9
    table["mean_us"] = table["total_ms"] * 1e3 / table["occurrences"]
    table["self_ms"] = table.pop("self_ps") / 1e9
    return table


def parse_op_name(name: str) -> tuple[str, str] | None:
    """(op, type) of a host event's name by xprof's rules; None for what is no op.

    `dense/MatMul:MatMul` -> (`dense/MatMul`, `MatMul`); `Iterator::Root` -> (itself, `Dataset`).
    """
    op, colon, kind = name.partition(":")
    if not colon:
        return None
    if op == "Iterator":
        return name, "Dataset"
    if _OP_NAME.fullmatch(op) and _OP_TYPE.fullmatch(kind):
        return op, kind
    if _JAX_TYPE.fullmatch(kind):
        return op, kind.partition("[")[0]
    return None


@dataclass
class _Totals:
    """By op: occurrences, duration and its nested part, in ps; whether nesting is unknown."""

    occurrences: Int64Array
    total: Int64Array
    nested: Int64Array
    unsorted: bool

    @classmethod
    def zeros(cls, length: int) -> _Totals:
        occurrences, total, nested = np.zeros((3, length), np.int64)
        return cls(occurrences, total, nested, unsorted=False)


def _host_rows(file: TraceFile, heads: list[LineHead], threads: int | None) -> list[OpTotal]:
    rows: list[OpTotal] = []
    for number, plane in enumerate(file.planes):
        if plane.name == HOST_PLANE:
            lines = [head for head in heads if head.plane == number]
            found = _plane_rows(file, plane, lines, threads)
            rows += found
            if all(row.op_type == "Dataset" for row in found):
                rows += _compiled_rows(file, plane, lines, threads)
    return rows


def _compiled_rows(
    file: TraceFile, plane: Plane, lines: list[LineHead], threads: int | None
) -> list[OpTotal]:
    """XLA's kernels on a host's threads; how they nest is not known."""
    if _HLO_STATS[1] not in plane.stat_names.values():
        return []
    events, strings, _ = read_columns(file, lines, _HOST_STATS, threads)
    kernels = events.stats["hlo_op"]
    launches = np.isin(kernels.events, events.stats["correlation_id"].events)
    ends = [key for key, name in plane.event_names.items() if name.startswith("end: ")]
    kept = ~launches & ~np.isin(events.metadata_id[kernels.events], ends)
    at, of_op = kernels.events[kept], kernels.values[kept]
    both = np.stack([events.stats["hlo_module"].at(at), of_op], axis=1)
    unique, inverse = np.unique(both, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    total, occurrences = np.zeros((2, len(unique)), np.int64)
    np.add.at(total, inverse, events.duration_ps[at])
    np.add.at(occurrences, inverse, events.occurrences[at])
    return [
        OpTotal(_in_module(strings, *codes), _XLA, plane.name, "host", n, ps, float("nan"))
        for codes, n, ps in zip(unique.tolist(), occurrences.tolist(), total.tolist(), strict=True)
    ]


def _in_module(strings: list[str], module: int, instruction: int) -> str:
    return f"{strings[module]}/{strings[instruction]}" if module >= 0 else strings[instruction]


def _plane_rows(
    file: TraceFile, plane: Plane, heads: list[LineHead], threads: int | None
) -> list[OpTotal]:
    ops: dict[tuple[str, str], int] = {}
    slots = {}
    for key, name in plane.event_names.items():
        op = parse_op_name(name)
        if op is not None:
            slots[key] = ops.setdefault(op, len(ops))
    ids = IdTable.of(slots)
    by_line = in_threads(lambda head: _total_line(file, head, ids, len(ops)), heads, threads)
    occurrences = np.zeros(len(ops), np.int64)
    total = np.zeros(len(ops), np.int64)
    own = np.zeros(len(ops), np.float64)
    for line in by_line:
        occurrences += line.occurrences
        total += line.total
        own += line.total - line.nested
        if line.unsorted:
            own[line.occurrences > 0] = np.nan
    return [
        OpTotal(*op, plane.name, "host", int(occurrences[slot]), int(total[slot]), float(own[slot]))
        for op, slot in ops.items()
        if occurrences[slot]
    ]


def _total_line(file: TraceFile, head: LineHead, ids: IdTable, length: int) -> _Totals:
    totals = _Totals.zeros(length)
    open_ends = np.empty(_MAX_DEPTH, np.int64)
    open_slots = np.empty(_MAX_DEPTH, np.int64)
    state = np.array([0, np.iinfo(np.int64).min, 0])
    pos = head.start
    while pos < head.end:
        pos = event_loops.total_events(
            file.data,
            len(file.data),
            pos,
            min(pos + CHUNK, head.end),
            head.end,
            *ids.arguments,
            totals.occurrences,
            totals.total,
            totals.nested,
            open_ends,
            open_slots,
            _MAX_DEPTH,
            state,
        )
        if pos < 0:
            raise MalformedTrace(-1 - pos, "an event that is none")
    totals.unsorted = bool(state[2])
    return totals


def _device_rows(file: TraceFile, heads: list[LineHead], threads: int | None) -> list[OpTotal]:
    """Kernels and copies by the op that launched them, each stream's events as they are."""
    streams = [
        head
        for head in heads
        if file.planes[head.plane].name.startswith("/device:") and head.name.startswith("Stream")
    ]
    events, strings, _ = read_columns(file, streams, _DEVICE_STATS, threads)
    launched_by = np.full(len(events), -1, np.int32)
    for stat in reversed(_OP_STATS):
        column = events.stats[stat]
        launched_by[column.events] = column.values
    occurrences: Counter[tuple[str, str, str]] = Counter()
    total: Counter[tuple[str, str, str]] = Counter()
    tried = _tried(file, streams, events, launched_by)
    hlo = (events.stat(name) for name in _HLO_STATS)
    columns = [events.line, events.metadata_id, launched_by, *hlo, tried]
    first, group = _groups(columns)
    counts, durations = np.zeros((2, len(first)), np.int64)
    np.add.at(counts, group, events.occurrences)
    np.add.at(durations, group, events.duration_ps)
    # One by one: of a hostile trace's groups there are as many as events.
    rows = zip(*(map(int, column[first]) for column in columns), strict=True)
    for (line, key, *codes, trial), count, duration in zip(
        rows, map(int, counts), map(int, durations), strict=True
    ):
        plane = file.planes[streams[line].plane]
        noted = [strings[code] if code >= 0 else None for code in codes]
        name, kind = _launching_op(plane, key, *noted)
        op = name, AUTOTUNING if trial else kind, plane.name
        occurrences[op] += count
        total[op] += duration
    return [
        OpTotal(*op, "device", occurrences[op], total[op], float(total[op])) for op in occurrences
    ]


def _groups(columns: list[npt.NDArray[Any]]) -> tuple[Int64Array, Int64Array]:
    """(the first entry of each group of entries that agree in all columns, each entry's group);
    groups are in the order of the columns' values.
    """
    group = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        rank = np.unique(column, return_inverse=True)[1]
        group = np.unique(group * len(column) + rank, return_inverse=True)[1]
    return np.unique(group, return_index=True)[1], group


def _tried(
    file: TraceFile, streams: list[LineHead], events: Events, launched_by: Int32Array
) -> npt.NDArray[np.bool_]:
    """Which kernels were only tried for the op that launched them."""
    plane = np.array([head.plane for head in streams], np.int64)[events.line]
    check = np.zeros(len(events), bool)
    checks = [
        [key for key, name in plane.event_names.items() if name == CHECK] for plane in file.planes
    ]
    first = 0
    for head in streams:
        line = slice(first, first + head.events)
        if checks[head.plane]:
            check[line] = np.isin(events.metadata_id[line], checks[head.plane])
        first += head.events
    # Each device tries for itself.
    op = launched_by.astype(np.int64) * len(file.planes) + plane
    return only_tried(op, events.stat("group_id"), events.start_ps, check)


def _typed(source: Source, rows: list[OpTotal]) -> list[OpTotal]:
    """The rows, XLA's instructions with their opcodes as far as the trace holds the programs."""
    if not any(row.op_type == _XLA for row in rows):
        return rows
    from tftrace.parsers.hlo import parse_hlo
    from tftrace.parsers.xspace import read_hlo_protos

    opcodes = {
        f"{module.name}/{name}": instruction.opcode
        for module in map(parse_hlo, read_hlo_protos(source).values())
        for name, instruction in module.instructions.items()
    }
    return [
        row._replace(op_type=opcodes.get(row.op, _XLA)) if row.op_type == _XLA else row
        for row in rows
    ]


def _launching_op(
    plane: Plane, key: int, annotation: str | None, module: str | None, instruction: str | None
) -> tuple[str, str]:
    """(op, type) of a device event: from its stats, its metadata's, or its own name."""
    of_kind = plane.event_stats.get(key, {})
    for stat in _OP_STATS:
        if annotation is None and stat in of_kind:
            annotation = str(of_kind[stat])
    name = annotation or plane.event_names.get(key, "")
    name = name.partition("#")[0]  # behind it TensorFlow appends `key=value` pairs
    known = parse_op_name(name)
    if known is None and instruction is not None:
        return f"{module}/{instruction}" if module else instruction, _XLA
    return known or (name, "")
