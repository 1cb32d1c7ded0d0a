"""oneDNN's primitives joined to the kernels that ran them, by time, checked by shape."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tftrace.attribution.function import Function
from tftrace.attribution.join import Join
from tftrace.attribution.kernel_owner import KernelInfo
from tftrace.graph.flatten import flat_name
from tftrace.graph.kernel_types import is_onednn
from tftrace.parsers.onednn import Executed, OnednnLog, Primitive
from tftrace.runs.manifest import Settings
from tftrace.timeline.executions import is_call

COMPUTE = "compute"
WEIGHTS, INPUT, OUTPUT = "reorder of weights", "reorder of input", "reorder of output"
REORDER = "reorder"

NO_KERNEL = "no kernel of the model ran at its time"
TWO_KERNELS = "two kernels ran at its time"
OTHER_SHAPE = "its shape is not that of the kernel that ran at its time"
UNREAD = "its line could not be read"

_ROUNDED_NS = 250
_AT_MOST = 4
_START = "profile_start_time"
# What a value passes through unchanged on its way from a variable to a kernel.
_PASSING = frozenset(("Cast", "ExpandDims", "Identity", "Reshape", "Squeeze"))


@dataclass
class KernelPrimitive:
    """What a kernel ran: one kind of primitive with one shape, over all its executions.

    ``kernel_calls`` are executions of the kernel in the run that was logged, ``calls`` those of
    the primitive; ``busy_ms`` is oneDNN's own time for them. ``variable`` says of a reorder of
    weights whether they are a variable's; None where the graph does not tell.
    """

    op: str
    op_type: str
    kernel_calls: int
    primitive: str
    role: str
    implementation: str
    layout: str
    problem: str
    attributes: str
    variable: bool | None = None
    calls: int = 0
    busy_ms: float = 0.0


@dataclass
class Joined:
    """The primitives of a run by kernel, and what could not be joined: calls and ms by reason."""

    rows: list[KernelPrimitive] = field(default_factory=list)
    unjoined: dict[str, tuple[int, float]] = field(default_factory=dict)


def join_primitives(join: Join, log: OnednnLog) -> Joined:
    """Join the log of a run to its trace.

    Both are on one clock, and a primitive runs inside its kernel: where just one of the model's
    kernels lasted throughout the primitive's time, it is the one. A contraction must then have
    as many multiply-accumulates as the kernel's operations.
    """
    mine = _inside(log.executed, join)
    owner, missing = _owners(join, mine)
    found = Joined()
    by_execution: dict[int, list[Executed]] = defaultdict(list)
    for which, executed in zip(owner, mine, strict=True):
        if which >= 0:
            by_execution[int(which)].append(executed)
    for reason, lost in missing.items():
        _leave_out(found, reason, lost)
    if log.unread:
        # Of the whole log, for its time is not known either.
        found.unjoined[UNREAD] = (log.unread, 0.0)
    rows: dict[tuple[int, str, Primitive], KernelPrimitive] = {}
    calls = Counter(int(row) for row in join.row_of if row >= 0)
    for execution, primitives in by_execution.items():
        number = int(join.row_of[execution])
        row = join.rows[number]
        if not _fits(join, row.info, primitives):
            _leave_out(found, OTHER_SHAPE, primitives)
            continue
        for executed, role in zip(
            primitives, roles([p.primitive for p in primitives]), strict=True
        ):
            key = number, role, executed.primitive
            if key not in rows:
                rows[key] = _new_row(join, row.name, row.type, calls[number], role, key[2])
            rows[key].calls += 1
            rows[key].busy_ms += executed.duration_ns / 1e6
    found.rows = list(rows.values())
    return found


def roles(primitives: Sequence[Primitive]) -> list[str]:
    """What each primitive of one execution of a kernel, in time order, is there for.

    A reorder of weights makes what a later contraction reads as its weights, one of an input what
    a later primitive reads, one of an output takes what an earlier one wrote. A kernel that runs
    nothing but reorders computes by them (a transpose).
    """
    if all(p.kind == REORDER for p in primitives):
        return [COMPUTE] * len(primitives)
    return [
        _role_of_reorder(p, primitives[:i], primitives[i + 1 :]) if p.kind == REORDER else COMPUTE
        for i, p in enumerate(primitives)
    ]


def _role_of_reorder(
    reorder: Primitive, before: Sequence[Primitive], after: Sequence[Primitive]
) -> str:
    made, taken = reorder.tensor("dst"), reorder.tensor("src")
    later = [p for p in after if p.kind != REORDER]
    if made is not None:
        for p in later:
            weights = p.tensor("wei")
            if weights is None or (weights.dtype, weights.layout) != (made.dtype, made.layout):
                continue
            if p.weight_count == reorder.element_count:
                return WEIGHTS
        if any((t := p.tensor("src", "data")) and t.layout == made.layout for p in later):
            return INPUT
    earlier = [p.tensor("dst", "data") for p in before if p.kind != REORDER]
    if taken is not None and any(t is not None and t.layout == taken.layout for t in earlier):
        return OUTPUT
    return REORDER


def _inside(executed: Iterable[Executed], join: Join) -> list[Executed]:
    """Those of the measured window, in time order."""
    origin = _origin_ns(join)
    if origin is None:
        return []
    first, last = origin + join.window.start // 1000, origin + join.window.end // 1000
    mine = [e for e in executed if e.start_ns is not None and first <= e.start_ns < last]
    return sorted(mine, key=lambda e: e.start_ns or 0)


def _origin_ns(join: Join) -> int | None:
    """The zero of the trace's times, in ns since the epoch; None when the trace does not say."""
    trace = join.run.trace
    starts = [v for p in trace.planes if isinstance(v := p.stats.get(_START), int)]
    return starts[0] + trace.base_ns if starts else None


def _owners(
    join: Join, executed: list[Executed]
) -> tuple[npt.NDArray[np.int64], dict[str, list[Executed]]]:
    """The execution that each primitive ran in, -1 for none, and those by the reason."""
    candidates = _candidates(join, executed)
    theirs = _onednn_kernels(join)
    owner = np.full(len(executed), -1, np.int64)
    missing: dict[str, list[Executed]] = {NO_KERNEL: [], TWO_KERNELS: []}
    for which, kernels in enumerate(candidates):
        # A kernel of TensorFlow's own beside one of oneDNN's is not in question.
        chosen = [k for k in kernels if theirs[k]] if len(kernels) > 1 else kernels
        if len(chosen) == 1:
            owner[which] = chosen[0]
        else:
            missing[TWO_KERNELS if kernels else NO_KERNEL].append(executed[which])
    return owner, missing


def _candidates(join: Join, executed: list[Executed]) -> list[list[int]]:
    """Executions of the model's kernels that lasted throughout each primitive's time.

    The log's times are cut to the microsecond and printed to a quarter of it, so a primitive
    may start that much later and end that much earlier than it says.
    """
    e, origin = join.executions, _origin_ns(join) or 0
    kernels = np.flatnonzero((e.run >= 0) & ~is_call(e) & (join.row_of >= 0))
    starts = np.array([(x.start_ns or 0) - origin for x in executed], np.int64)
    ends = starts + np.array([x.duration_ns for x in executed], np.int64)
    begun, ended = (starts + 1000 + _ROUNDED_NS) * 1000, (ends - _ROUNDED_NS) * 1000
    found: list[list[int]] = [[] for _ in executed]
    for line in np.unique(e.line[kernels]):
        on_line = kernels[e.line[kernels] == line]
        on_line = on_line[np.argsort(e.start[on_line], kind="stable")]
        last = np.searchsorted(e.start[on_line], begun, side="right") - 1
        # Kernels of a line follow each other; within that microsecond, not more than a few.
        for back in range(_AT_MOST):
            place = last - back
            lasted = (place >= 0) & (e.end[on_line][np.maximum(place, 0)] >= ended)
            for which in np.flatnonzero(lasted):
                found[which].append(int(on_line[place[which]]))
    return found


def _onednn_kernels(join: Join) -> npt.NDArray[np.bool_]:
    """Which executions are of kernels of oneDNN."""
    e = join.executions
    types = np.array([is_onednn(kind) for kind in e.types], bool)
    which: npt.NDArray[np.bool_] = types[e.kind]
    return which


def _leave_out(found: Joined, reason: str, lost: Sequence[Executed]) -> None:
    if lost:
        calls, ms = found.unjoined.get(reason, (0, 0.0))
        more = sum(e.duration_ns for e in lost) / 1e6
        found.unjoined[reason] = (calls + len(lost), ms + more)


def _fits(join: Join, info: KernelInfo | None, primitives: Sequence[Executed]) -> bool:
    """Whether the contractions are the kernel's, as far as both sizes are known."""
    found = [e.primitive.macs for e in primitives if e.primitive.is_contraction]
    if not found or None in found or info is None or info.work["macs"] is None:
        return True
    total = sum(m for m in found if m is not None)
    # The last batch may be smaller; what depends on no batch is the same in every one.
    batches = {info.batch, *_batches(join.run.manifest.run)}
    return (
        any(total * info.batch == info.work["macs"] * batch for batch in batches)
        or total == info.work["macs"]
    )


def _batches(run: Settings) -> set[int]:
    if run.trace.batches is not None:
        return set(run.trace.batches)
    size, samples = run.batch_size or 1, run.trace.samples or 0
    return {size, samples % size or size, min(size, samples)}


def _new_row(
    join: Join, op: str, op_type: str, kernel_calls: int, role: str, primitive: Primitive
) -> KernelPrimitive:
    return KernelPrimitive(
        op=op,
        op_type=op_type,
        kernel_calls=kernel_calls,
        primitive=primitive.kind,
        role=role,
        implementation=primitive.implementation or primitive.kind,
        layout=primitive.layout,
        problem=primitive.problem,
        attributes=primitive.attributes,
        variable=_from_variable(join, op) if role == WEIGHTS else None,
    )


def _from_variable(join: Join, op: str) -> bool | None:
    """Whether the kernel's second input is the value of a variable."""
    found = {answer for f in join.functions if (answer := _reads_variable(f, op)) is not None}
    return found.pop() if len(found) == 1 else None


def _reads_variable(function: Function, op: str) -> bool | None:
    kernels = function.kernels
    place = {flat_name(name): i for i, name in enumerate(kernels.name)}
    at = place.get(flat_name(op))
    source = 1
    while at is not None and len(kernels.inputs[at]) > source:
        name = kernels.inputs[at][source].partition(":")[0]
        at = place.get(flat_name(name))
        if at is None:
            return None
        kind, source = kernels.type[at], 0
        if kind == "ReadVariableOp":
            return True
        if kind not in _PASSING:
            return False if kind == "Const" else None
    return None
