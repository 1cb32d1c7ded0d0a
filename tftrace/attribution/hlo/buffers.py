"""What fills a buffer of XLA's: the values that lie in it when it is fullest."""

from __future__ import annotations

from collections.abc import Iterator

from tftrace.parsers.hlo import HloComputation, HloModule
from tftrace.parsers.hlo_buffers import Allocation, ModuleBuffers, Value

_RUN_INSIDE = frozenset(("while", "conditional", "call", "async-start"))
"""Opcodes whose computations run while they do, with buffers of their own."""
_ALIASES = _RUN_INSIDE | {
    *("bitcast", "tuple", "get-tuple-element", "opt-barrier", "optimization-barrier", "domain"),
    *("async-update", "async-done"),
}
"""Opcodes whose result is, or may be, what they take: it lasts as long as theirs."""


class Lifetimes:
    """When the values of a module are made, and when they are used last, by its schedule."""

    def __init__(self, module: HloModule, buffers: ModuleBuffers) -> None:
        order = list(_in_order(module, buffers, module.computations[module.entry], set()))
        self.made = {instruction: place for place, instruction in enumerate(order)}
        readers: dict[int, list[int]] = {}
        alias = set()
        for computation in module.computations.values():
            for instruction in computation.instructions:
                sources = [*instruction.operands]
                if instruction.opcode in _RUN_INSIDE:
                    roots = (module.computations.get(c) for c in instruction.called)
                    sources += [c.root for c in roots if c is not None]
                if instruction.opcode in _ALIASES:
                    alias.add(instruction.id)
                for source in sources:
                    readers.setdefault(source, []).append(instruction.id)
        # The result of the whole is used behind its end.
        self.last = {module.computations[module.entry].root: len(order)}
        for number in reversed(order):
            last = max(self.last.get(number, 0), self.made[number])
            for reader in readers.get(number, ()):
                last = max(last, self.made.get(reader, 0))
                if reader in alias:
                    last = max(last, self.last.get(reader, 0))
            self.last[number] = last


def fullest(allocation: Allocation, lifetimes: Lifetimes) -> dict[int, int]:
    """Bytes by the instruction that made them, at the moment of a run at which the values in use
    fill most of ``allocation``: the last such. A value that lies where another did takes its
    place."""
    known = [v for v in allocation.values if v.instruction in lifetimes.made]
    live: list[Value] = []
    best: list[Value] = []
    most = 0
    for value in sorted(known, key=lambda v: lifetimes.made[v.instruction]):
        now = lifetimes.made[value.instruction]
        live = [v for v in live if lifetimes.last[v.instruction] >= now and not _overlap(v, value)]
        live.append(value)
        filled = sum(v.size for v in live)
        if filled >= most:
            most, best = filled, list(live)
    found: dict[int, int] = {}
    for value in best:
        found[value.instruction] = found.get(value.instruction, 0) + value.size
    return found


def _overlap(left: Value, right: Value) -> bool:
    return left.offset < right.offset + right.size and right.offset < left.offset + left.size


def _in_order(
    module: HloModule, buffers: ModuleBuffers, computation: HloComputation, seen: set[int]
) -> Iterator[int]:
    """Ids of instructions as they run; those inside of one before it, as it ends behind them."""
    seen.add(computation.id)
    by_id = {instruction.id: instruction for instruction in computation.instructions}
    for number in buffers.schedule.get(computation.id) or by_id:
        instruction = by_id.get(number)
        if instruction is None:
            continue
        for called in instruction.called if instruction.opcode in _RUN_INSIDE else ():
            if called in module.computations and called not in seen:
                yield from _in_order(module, buffers, module.computations[called], seen)
        yield number
