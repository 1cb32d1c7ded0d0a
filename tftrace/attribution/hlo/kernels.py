"""Which traced operations a kernel of XLA stands for: through the compiled module, exactly.

Every instruction of a module carries the name of the graph operation that it was made for, and a
fusion lists the instructions inside. Two things carry no such truth: XLA keeps one copy of equal
constants, with the name of whichever came first, and it makes copies and conversions for nobody by
name. Those belong to what they feed. What it writes out as a computation of its own (a random
generator's rounds, say) has no names inside: it belongs to the operation whose call runs it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from tftrace.attribution.function import Function, Share
from tftrace.attribution.graph_names import GraphNames
from tftrace.attribution.kernel_owner import (
    FLOPS_PER_BYTE,
    OUTSIDE,
    TRANSCENDENTAL_FLOPS,
    WORK,
    KernelInfo,
    modelled_cost,
    work_of,
)
from tftrace.attribution.provenance import WORKLESS, Members
from tftrace.graph import TensorSpec
from tftrace.graph.phases import FORWARD
from tftrace.graph.types import BRANCHES
from tftrace.parsers.hlo import HloComputation, HloInstruction, HloModule

# Nothing is computed or moved for these inside a fusion.
_FREE = frozenset(
    (
        *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "broadcast"),
        *("iota", "after-all", "domain", "opt-barrier", "partition-id", "replica-id"),
    )
)
_MOVES = frozenset(
    (
        *("copy", "copy-start", "copy-done", "reshape", "transpose", "slice", "dynamic-slice"),
        *("dynamic-update-slice", "concatenate", "pad", "gather", "reverse"),
    )
)
_TRANSCENDENTAL = frozenset(
    (
        *("exponential", "exponential-minus-one", "log", "log-plus-one", "logistic", "tanh"),
        *("tan", "sine", "cosine", "rsqrt", "sqrt", "cbrt", "power", "atan2", "erf"),
    )
)
_AS_COUNTED = frozenset(
    (
        *("dot", "convolution", "custom-call", "reduce-window", "select-and-scatter", "scatter"),
        *("fft", "sort", "topk", "triangular-solve", "cholesky"),
    )
)
"""Opcodes whose work does not follow from the result's size: what the operation counts."""

_RUNS_BODIES = frozenset(("while", "conditional", "call", "async-start"))


@dataclass
class _Body:
    """A computation whose instructions are kernels.

    ``prefix`` is the graph body that it compiles, ``callers`` the operations that run it by a
    plain call: several where XLA kept one copy of equal computations.
    """

    computation: HloComputation
    prefix: str
    callers: list[int] = field(default_factory=list)


@dataclass
class _Kernel:
    """An instruction that may run as a kernel: its cost per graph operation (by index)."""

    instruction: HloInstruction
    prefix: str
    cost: dict[int, float] = field(default_factory=dict)
    parts: list[tuple[int, str, float]] = field(default_factory=list)
    """(operation, opcode, cost) of the instructions inside."""


def hlo_kernels(module: HloModule, names: GraphNames, call: str) -> dict[str, KernelInfo]:
    """What is known of every instruction that may run as a kernel, by its name.

    Args:
        names: the function that was compiled, or that holds the compiled call.
        call: flat key of the call operation that ``module`` was compiled from.

    ``times`` of the result are executions per call of the function.
    """
    return _Attribution(module, names, call).infos()


class _Attribution:
    def __init__(self, module: HloModule, names: GraphNames, call: str) -> None:
        self.module = module
        self.names = names
        self.function: Function = names.function
        self.within = call + "/"
        self.kernels: list[_Kernel] = []

    def infos(self) -> dict[str, KernelInfo]:
        for body in self._bodies():
            self._add_kernels(body)
        largest: dict[int, tuple[float, str]] = {}
        for kernel in self.kernels:
            for op, opcode, cost in kernel.parts:
                largest[op] = max(largest.get(op, (0.0, "")), (cost, opcode))
        return {k.instruction.name: self._info(k, largest) for k in self.kernels}

    def _bodies(self) -> list[_Body]:
        """Computations whose instructions are kernels, callers before what they call."""
        entry = self.module.computations[self.module.entry]
        bodies = {entry.id: _Body(entry, self.within)}
        for computation in self._callers_first():
            body = bodies[computation.id]
            for instruction in computation.instructions:
                if instruction.opcode not in _RUNS_BODIES:
                    continue
                prefixes = self._called_prefixes(instruction, body.prefix)
                for called, prefix in zip(instruction.called, prefixes, strict=True):
                    inner = _Body(self.module.computations[called], prefix)
                    inner = bodies.setdefault(called, inner)
                    if prefix == body.prefix:
                        own = self._own(instruction, prefix)
                        callers = body.callers if own is None else [own]
                        inner.callers += [op for op in callers if op not in inner.callers]
        return list(bodies.values())

    def _callers_first(self) -> list[HloComputation]:
        """The computations that run as kernels, each behind all that run it."""
        finished: dict[int, HloComputation] = {}

        def visit(computation_id: int) -> None:
            if computation_id in finished:
                return
            computation = self.module.computations[computation_id]
            for instruction in computation.instructions:
                if instruction.opcode in _RUNS_BODIES:
                    for called in instruction.called:
                        visit(called)
            finished[computation_id] = computation

        visit(self.module.entry)
        return list(reversed(finished.values()))

    def _called_prefixes(self, instruction: HloInstruction, prefix: str) -> list[str]:
        op = self._own(instruction, prefix)
        count = len(instruction.called)
        if op is None or instruction.opcode not in ("while", "conditional"):
            return [prefix] * count
        key = self.function.ops.key[op]
        if instruction.opcode == "while":
            return [f"{key}/body/", f"{key}/cond/"]
        if self.function.ops.type[op] in BRANCHES and "Case" in self.function.ops.type[op]:
            return [f"{key}/branch{i}/" for i in range(count)]
        # A predicate picks the first computation when true, as `then` is the first branch.
        return [f"{key}/then/", f"{key}/else/"][:count]

    def _own(self, instruction: HloInstruction, prefix: str) -> int | None:
        if not instruction.op_name:
            return None
        return self.names.find(instruction.op_name, prefix, self.within)

    def _add_kernels(self, body: _Body) -> None:
        """The computation's kernels; one that nothing names is attributed to its consumer."""
        computation, prefix = body.computation, body.prefix
        kernels = {i.id: self._kernel(i, prefix) for i in computation.instructions}
        main = {key: max(k.cost, key=lambda op: k.cost[op]) for key, k in kernels.items() if k.cost}
        _spread(computation, main)
        for key, kernel in kernels.items():
            if not kernel.cost:
                op = main.get(key)
                if op is None:
                    op = self._own(kernel.instruction, prefix)
                if op is not None:
                    kernel.cost[op] = 0.0
                for caller in body.callers if op is None else ():
                    self._add_parts(kernel, caller)
                op = self.names.operation(prefix)
                if not kernel.cost and op is not None:
                    kernel.cost[op] = 0.0
            self.kernels.append(kernel)

    def _kernel(self, instruction: HloInstruction, prefix: str) -> _Kernel:
        kernel = _Kernel(instruction, prefix)
        self._add_parts(kernel, self._own(instruction, prefix))
        return kernel

    def _add_parts(self, kernel: _Kernel, default: int | None) -> None:
        """Count what the kernel computes; ``default`` is whose the nameless is."""
        for part, op, operands in self._parts(kernel.instruction, kernel.prefix, default):
            if op is None or part.opcode in _FREE:
                continue
            cost = self._cost(part, op, operands)
            kernel.parts.append((op, part.opcode, cost))
            kernel.cost[op] = kernel.cost.get(op, 0.0) + cost

    def _parts(
        self, instruction: HloInstruction, prefix: str, op: int | None
    ) -> Iterator[tuple[HloInstruction, int | None, list[HloInstruction]]]:
        """The instructions inside a fusion (of fusions), each with its operation and operands."""
        if instruction.opcode != "fusion":
            yield instruction, op, []
            return
        for called in instruction.called:
            computation = self.module.computations[called]
            by_id = {i.id: i for i in computation.instructions}
            ops = {
                i.id: own
                for i in computation.instructions
                if i.opcode not in _FREE and (own := self._own(i, prefix)) is not None
            }
            if op is not None:
                ops.setdefault(computation.root, op)
            _spread(computation, ops)
            for inner in computation.instructions:
                for part, own, operands in self._parts(inner, prefix, ops.get(inner.id)):
                    yield part, own, operands or [by_id[i] for i in inner.operands]

    def _cost(self, part: HloInstruction, op: int, operands: list[HloInstruction]) -> float:
        """Cost in operations, comparable between the instructions of one fusion."""
        if part.opcode in _AS_COUNTED:
            return modelled_cost(self.function.work[op])
        if part.opcode in _MOVES:
            return FLOPS_PER_BYTE * (TensorSpec(part.dtype, part.dims).bytes or 0)
        if part.opcode == "reduce":
            return float(max((o.elements for o in operands), default=part.elements))
        each = TRANSCENDENTAL_FLOPS if part.opcode in _TRANSCENDENTAL else 1
        return float(each * part.elements)

    def _info(self, kernel: _Kernel, largest: dict[int, tuple[float, str]]) -> KernelInfo:
        function = self.function
        by_share: dict[Share, float] = defaultdict(float)
        for op, cost in kernel.cost.items():
            by_share[function.share(op)] += cost
        total = sum(by_share.values())
        ranked = sorted(kernel.cost, key=lambda op: -kernel.cost[op])
        members = [op for op in ranked if function.ops.type[op] not in WORKLESS]
        # An operation may have become several instructions. Its work is counted where its
        # costliest one runs; a duplicate of that one is work done again.
        mine = {op for op, opcode, cost in kernel.parts if largest[op] == (cost, opcode)}
        counted = tuple(op for op in members if op in mine)
        layer, phase = function.share(ranked[0]) if ranked else (OUTSIDE, FORWARD)
        return KernelInfo(
            shares={s: c / total if total else 1 / len(by_share) for s, c in by_share.items()}
            or {(OUTSIDE, FORWARD): 1.0},
            layer=layer,
            phase=phase,
            members=tuple(function.ops.key[op] for op in members),
            times=self.names.times(kernel.prefix),
            work=work_of(function, Members(counted)) if counted else dict.fromkeys(WORK, 0),
            batch=function.counted_batch,
        )


def _spread(computation: HloComputation, ops: dict[int, int]) -> None:
    """Give instructions without an operation that of their first user, else of an operand."""
    known = frozenset(ops)
    for instruction in reversed(computation.instructions):
        if instruction.id in ops:
            # Reversed, so the user that runs first has the last word.
            ops.update((o, ops[instruction.id]) for o in instruction.operands if o not in known)
    for instruction in computation.instructions:
        source = next((ops[o] for o in instruction.operands if o in ops), None)
        if source is not None:
            ops.setdefault(instruction.id, source)
