"""Which traced operations an executed kernel stands for, read from the graphs, not from names.

The optimizer keeps the name of the operation whose value a node computes, and invents names for
nodes that compute something new. So a kept name is a fixed point: what lies before it in the traced
graph, back to the next fixed points, and is no longer there, was fused into it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tftrace.graph.flatten import flat_name
from tftrace.graph.kernel_types import kernel_type, plain_type
from tftrace.graph.types import BRANCHES, CALLS, LOOPS

K = TypeVar("K", bound=Hashable)

WORKLESS = frozenset(
    ("Const", "Identity", "IdentityN", "NoOp", "Placeholder", "StopGradient", "Snapshot")
)
"""Types whose presence in a fused kernel says nothing."""

COMMUTATIVE = frozenset(
    ("Add", "AddN", "AddV2", "Equal", "LogicalAnd", "LogicalOr", "Maximum", "Minimum", "Mul")
)
"""Types whose inputs may change places."""

STATEFUL = re.compile("Random|Variable|VarHandle|PyFunc|Call|While|If|Case|Print|Assert")

MACHINERY = frozenset(("Enter", "Exit", "LoopCond", "Merge", "NextIteration", "Switch"))
"""What a lowered loop or branch runs on: it works for the loop, not for what it hands on."""


@dataclass(frozen=True)
class TracedOps:
    """The traced operations in columns: flat key, type, indices of inputs, and whether needed.

    Operations of one type and one ``form`` do the same to the same inputs: they have the same
    attributes, read the same outputs of their inputs, and as constants have the same value.
    None where a run does not tell (one of tftrace 0.1).
    """

    key: Sequence[str]
    type: Sequence[str]
    inputs: Sequence[Sequence[int]]
    live: Sequence[bool]
    form: Sequence[int] | None = None


@dataclass(frozen=True)
class KernelNodes:
    """The optimized graph in columns: name, type, and names of the inputs."""

    name: Sequence[str]
    type: Sequence[str]
    inputs: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Members:
    """The operations that a kernel does the work of, costliest not implied.

    ``counts`` is False for a kernel that only helps another: the work of the members is
    counted at that other kernel.
    """

    ops: tuple[int, ...]
    counts: bool = True


def members_of_kernels(ops: TracedOps, kernels: KernelNodes) -> dict[str, Members]:
    """Members of every kernel, by flat kernel name.

    A kernel without members (the machinery of a loop) has an empty tuple.
    """
    index = {key: i for i, key in enumerate(ops.key)}
    names = [flat_name(name) for name in kernels.name]
    types = dict(zip(names, kernels.type, strict=True))
    inputs = {
        name: [flat_name(i) for i in sources]
        for name, sources in zip(names, kernels.inputs, strict=True)
    }
    covered = _inside_calls(ops, index, types)
    kept = {name: index[name] for name in names if name in index}
    taken = _taken_from_behind(ops, kept, types)
    twins = taken | _twins(ops, set(kept.values()))
    fixed = set(kept.values()) | set(covered) | set(twins)
    new = [name for name in names if name not in kept]
    aliases = _aliases(ops, inputs, kept, new, fixed, twins, types)
    fixed |= set(aliases.values())

    result: dict[str, Members] = {}
    for name, op in (*kept.items(), *aliases.items()):
        inner = [i for i, call in covered.items() if call == op]
        # What was folded into a constant, or shown to do nothing, costs nothing any more.
        idle = types[name] in WORKLESS
        found = [] if idle else inner or _walk_back(ops, op, fixed)
        found += [i for i, by in taken.items() if by == op]
        result[name] = Members(tuple(i for i in found if ops.type[i] not in WORKLESS))
    consumers = _consumers(inputs)
    helped = dict(result)
    for name in new:
        if types[name] in MACHINERY:
            result[name] = Members(())
        elif name not in result:
            result[name] = Members(_downstream(name, consumers, helped), counts=False)
    return result


def constant_kernels(kernels: KernelNodes) -> frozenset[str]:
    """Names of the kernels that rest on constants alone.

    TensorFlow's runtime folds them when the function is first called, after the graph that it
    shows; a loop takes them in without running a kernel.
    """
    kind = dict(zip(kernels.name, kernels.type, strict=True))
    missing = {n: set(i) for n, i in zip(kernels.name, kernels.inputs, strict=True)}
    consumers = _consumers(dict(zip(kernels.name, kernels.inputs, strict=True)))
    found = [name for name in kernels.name if kind[name] == "Const"]
    for name in found:
        for consumer in consumers.get(name, ()):
            missing[consumer].discard(name)
            if not missing[consumer] and not STATEFUL.search(kind[consumer]):
                found.append(consumer)
    return frozenset(found)


def _inside_calls(ops: TracedOps, index: dict[str, int], types: dict[str, str]) -> dict[int, int]:
    """Operations inside a call that runs as one kernel (XLA, noinline) -> the call's index."""
    calls = [
        (key + "/", i)
        for key, i in index.items()
        if ops.type[i] in (*CALLS, *LOOPS, *BRANCHES) and types.get(key) == ops.type[i]
    ]
    covered: dict[int, int] = {}
    for prefix, call in calls:
        for key, i in index.items():
            if key.startswith(prefix) and ops.live[i]:
                covered.setdefault(i, call)
    return covered


def _twins(ops: TracedOps, kept: set[int]) -> dict[int, int]:
    """Dropped operations that compute what a kept one computes, which now runs for both.

    Inputs count as the same when they compute the same, too. Without forms nothing is a twin:
    two convolutions of one input and one kernel may differ in their dilation.
    """
    if ops.form is None:
        return {}
    first: dict[tuple[str, int, tuple[int, ...]], int] = {}
    value = list(range(len(ops.key)))
    for i, (kind, form, sources) in enumerate(zip(ops.type, ops.form, ops.inputs, strict=True)):
        if sources or kind == "Const":
            same = [value[source] for source in sources]
            inputs = sorted(same) if kind in COMMUTATIVE else same
            value[i] = first.setdefault((kind, form, tuple(inputs)), i)
    runs = {value[i]: i for i in sorted(kept, reverse=True)}
    return {i: runs[same] for i, same in enumerate(value) if i not in kept and same in runs}


def _taken_from_behind(
    ops: TracedOps, kept: dict[str, int], types: dict[str, str]
) -> dict[int, int]:
    """Activations that the batch norm before them does, which keeps its own name.

    All other fusions bear the name of what they end in.
    """
    norms = [op for name, op in kept.items() if _norm_with_activation(types[name])]
    if not norms:
        return {}
    readers = _consumers({i: sources for i, sources in enumerate(ops.inputs) if ops.live[i]})
    taken: dict[int, int] = {}
    for norm in norms:
        # On a GPU a sum may stand between.
        behind = [norm]
        while len(found := set(readers.get(behind[-1], ()))) == 1:
            behind += found
            if types.get(ops.key[behind[-1]], "NoOp") not in WORKLESS:
                break
            if ops.type[behind[-1]] == "Relu":
                taken |= dict.fromkeys(behind[1:], norm)
                break
    return taken


def _norm_with_activation(kind: str) -> bool:
    found = kernel_type(kind)
    return found.fused and found.plain == ("FusedBatchNorm",)


def _walk_back(ops: TracedOps, start: int, fixed: set[int]) -> list[int]:
    """``start`` and what lies before it up to the next fixed points, nearest first."""
    found = [start]
    seen = {start}
    for op in found:
        for source in ops.inputs[op]:
            if source not in fixed and source not in seen and ops.live[source]:
                seen.add(source)
                found.append(source)
    return found


def _aliases(
    ops: TracedOps,
    inputs: dict[str, list[str]],
    kept: dict[str, int],
    new: list[str],
    fixed: set[int],
    twins: dict[int, int],
    types: dict[str, str],
) -> dict[str, int]:
    """New kernels that compute the value of a dropped operation: both rest on the same leaves.

    Rewriting ``(x*m + s) + r`` to ``AddN(r, x*m) + s`` drops both additions and names two new
    nodes; the last of them rests on all three leaves, as the last dropped addition does.
    """
    if not new:
        return {}
    given = {key: i for i, key in enumerate(ops.key) if ops.type[i] == "Placeholder"}

    def leaf_of_op(i: int) -> int | None:
        known = i in fixed or ops.type[i] == "Placeholder"
        return twins.get(i, i) if known and ops.type[i] != "Const" else None

    def leaf_of_kernel(name: str) -> int | None:
        i = kept.get(name, given.get(name))
        return i if i is not None and ops.type[i] != "Const" else None

    dropped = [i for i in range(len(ops.key)) if i not in fixed and ops.live[i]]
    of_op = _leaf_sets(dropped, lambda i: ops.inputs[i], leaf_of_op)
    of_new = _leaf_sets(new, lambda n: inputs.get(n, []), leaf_of_kernel)
    working = {i: leaves for i, leaves in of_op.items() if ops.type[i] not in WORKLESS}
    # Later entries win: of several with the same leaves the most downstream is the value. On one
    # leaf alone rests much that is not the same; there the type has to agree.
    by_type = {(leaves, plain_type(ops.type[i])): i for i, leaves in working.items()}
    by_leaves = {leaves: i for i, leaves in working.items() if len(leaves) > 1}
    alike = {
        by_type[leaves, plain_type(types[name])]: name
        for name, leaves in of_new.items()
        if (leaves, plain_type(types[name])) in by_type
    }
    last_new = {leaves: name for name, leaves in of_new.items()}
    found = {name: op for op, name in alike.items()}
    for leaves, name in last_new.items():
        if leaves in by_leaves and by_leaves[leaves] not in alike:
            found.setdefault(name, by_leaves[leaves])
    return found


def _leaf_sets(
    items: Iterable[K], sources: Callable[[K], Iterable[K]], leaf: Callable[[K], int | None]
) -> dict[K, frozenset[int]]:
    """The fixed points that each item rests on; recursion ends at them and at loops."""
    wanted = list(items)
    inside = set(wanted)
    result: dict[K, frozenset[int]] = {}
    begun: set[K] = set()
    pending = list(reversed(wanted))
    while pending:
        item = pending[-1]
        if item in result:
            pending.pop()
            continue
        begun.add(item)
        inner = [s for s in sources(item) if leaf(s) is None and s in inside]
        first = [s for s in inner if s not in result and s not in begun]
        if first:
            pending += reversed(first)
            continue
        own = {at for source in sources(item) if (at := leaf(source)) is not None}
        result[item] = frozenset(own.union(*(result.get(s, frozenset()) for s in inner)))
    return result


def _consumers(inputs: Mapping[K, Sequence[K]]) -> dict[K, list[K]]:
    consumers: dict[K, list[K]] = {}
    for name, sources in inputs.items():
        for source in sources:
            consumers.setdefault(source, []).append(name)
    return consumers


def _downstream(
    name: str, consumers: Mapping[str, Sequence[str]], known: Mapping[str, Members]
) -> tuple[int, ...]:
    """Members of the nearest consumers that have any: a helper is attributed to its consumer."""
    pending = deque([name])
    seen = {name}
    while pending:
        for consumer in consumers.get(pending.popleft(), ()):
            if consumer in seen:
                continue
            if consumer in known and known[consumer].ops:
                return known[consumer].ops
            seen.add(consumer)
            pending.append(consumer)
    return ()
