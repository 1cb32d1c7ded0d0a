"""Which layers a kernel works for, in what proportion, and how much work it does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tftrace.attribution.function import Function, Share
from tftrace.attribution.provenance import MACHINERY, Members
from tftrace.graph.flatten import flat_name
from tftrace.graph.phases import FORWARD
from tftrace.graph.types import LOOPS

OUTSIDE = -1
WORK = ("mults", "macs", "flops", "transcendentals", "bytes")

TRANSCENDENTAL_FLOPS = 10
FLOPS_PER_BYTE = 0.01


@dataclass(frozen=True)
class KernelInfo:
    """A kernel of one function.

    ``shares`` are those of its time by call site (index into the run's sites, -1 for operations
    that no call of the model made) and phase; they sum to 1. ``layer`` and ``phase`` are those of
    the costliest member. ``times`` are executions per call of the function, None when unknown.
    ``work`` is that of one execution over ``batch`` samples; None where unknown.
    """

    shares: dict[Share, float]
    layer: int
    members: tuple[str, ...]
    times: int | None
    work: dict[str, int | None]
    batch: int
    phase: str = FORWARD

    @cached_property
    def weights(self) -> dict[int, float]:
        """The shares by call site alone."""
        found: dict[int, float] = {}
        for (site, _), share in self.shares.items():
            found[site] = found.get(site, 0.0) + share
        return found


def kernel_info(function: Function, name: str, kind: str | None = None) -> KernelInfo | None:
    """What is known of the executed kernel ``name`` of type ``kind`` (None: as in the graph).

    Returns: None when the graphs do not have it.
    """
    flat = flat_name(name)
    members = function.members.get(flat)
    if members is None and flat in function.index:
        members = Members((function.index[flat],))
    if members is None or not members.ops:
        return _workless(function, flat, kind or function.kernel_type.get(flat))
    return info_of(function, members)


def info_of(function: Function, members: Members) -> KernelInfo:
    """The kernel that does the work of ``members`` (at least one)."""
    cost: dict[Share, float] = defaultdict(float)
    for op in members.ops:
        cost[function.share(op)] += modelled_cost(function.work[op])
    total = sum(cost.values())
    shares = (
        {share: c / total for share, c in cost.items()}
        if total
        else {share: 1 / len(cost) for share in cost}
    )
    costliest = max(members.ops, key=lambda op: modelled_cost(function.work[op]))
    layer, phase = function.share(costliest)
    return KernelInfo(
        shares=shares,
        layer=layer,
        phase=phase,
        members=tuple(function.ops.key[op] for op in members.ops),
        times=function.times[members.ops[0]],
        work=work_of(function, members) if members.counts else dict.fromkeys(WORK, 0),
        batch=function.counted_batch,
    )


def modelled_cost(work: dict[str, Any]) -> float:
    """Cost of a member inside a fused kernel, in operations.

    A member that is fused in reads and writes no memory of its own, so arithmetic decides and
    traffic only breaks ties (a Pad or a Transpose has no arithmetic). An evaluation of exp or
    tanh counts as 10 operations, about what a vectorized polynomial takes.
    """
    arithmetic = (work.get("flops") or 0) + TRANSCENDENTAL_FLOPS * (
        work.get("transcendentals") or 0
    )
    return float(arithmetic + FLOPS_PER_BYTE * (work.get("bytes") or 0))


def _workless(function: Function, flat: str, kind: str | None) -> KernelInfo | None:
    """A kernel that computes nothing, such as a loop's switch: it belongs to its own owner.

    A node that lowering made has no traced twin; its name begins with its loop's, and that of a
    node in a function with its call's.
    """
    op = function.index.get(flat)
    prefix = flat
    while op is None and "/" in prefix:
        prefix = prefix.rpartition("/")[0]
        op = function.index.get(prefix)
    if op is None and flat not in function.kernel_type:
        return None
    site, phase = (OUTSIDE, FORWARD) if op is None else function.share(op)
    return KernelInfo(
        shares={(site, phase): 1.0},
        layer=site,
        phase=phase,
        members=(),
        times=None if op is None else _turns(function, op, kind),
        work=dict.fromkeys(WORK, 0),
        batch=function.counted_batch,
    )


def _turns(function: Function, op: int, kind: str | None) -> int | None:
    """Executions of a node of the machinery that ``op``, a loop or branch, was lowered to.

    Condition and body run as often as their operations do: what tests a turn runs once more
    than what begins the next one.
    """
    if kind not in MACHINERY:
        return None
    if function.ops.type[op] not in LOOPS or kind in ("Enter", "Exit"):
        return function.times[op]
    part = "/body/" if kind == "NextIteration" else "/cond/"
    prefix = function.ops.key[op] + part
    first = next(
        (i for key, i in function.index.items() if key.startswith(prefix) and function.ops.live[i]),
        None,
    )
    return None if first is None else function.times[first]


def work_of(function: Function, members: Members) -> dict[str, int | None]:
    """Sum over the members; what passes between them inside the kernel moves no bytes."""
    result: dict[str, int | None] = {}
    for column in WORK:
        values = [function.work[op].get(column) for op in members.ops]
        known = [v for v in values if v is not None]
        result[column] = sum(known) if len(known) == len(values) else None
    if result["bytes"] is not None:
        saved = _internal_bytes(function, members.ops)
        result["bytes"] = None if saved is None else result["bytes"] - saved
    return result


def _internal_bytes(function: Function, ops: Sequence[int]) -> int | None:
    inside = set(ops)
    saved = 0
    written: set[int] = set()
    for op in ops:
        for source in function.ops.inputs[op]:
            if source not in inside:
                continue
            size = function.out_bytes[source]
            if size is None:
                return None
            saved += size if source in written else 2 * size
            written.add(source)
    return saved
