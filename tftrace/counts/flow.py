"""Who produced what, across calls, loops and branches of an inlined program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tftrace.counts.traffic import VIEWS
from tftrace.graph import Edge, FlatOp, Program, flatten
from tftrace.graph.flatten import hands_through
from tftrace.graph.types import BRANCHES, CALLS, LOOPS


@dataclass(frozen=True, slots=True)
class Flow:
    """The operations of a program by key, and how tensors pass between them.

    ``aliases`` lead from a call's result, a callee's argument or what a loop only hands
    through to the tensor it really is. ``carried`` holds what a loop hands on from turn to
    turn, inside (arguments) and behind it (results): what enters the first turn and what a turn
    leaves. ``results`` are what the bodies of a loop or branch give back to it. ``outputs`` and
    ``arguments`` are the program's own.
    """

    ops: Mapping[str, FlatOp]
    aliases: dict[Edge, Edge] = field(default_factory=dict)
    carried: dict[Edge, tuple[Edge, Edge]] = field(default_factory=dict)
    results: dict[str, tuple[Edge, ...]] = field(default_factory=dict)
    outputs: tuple[Edge, ...] = ()
    arguments: frozenset[str] = frozenset()

    def resolve(self, edge: Edge) -> Edge:
        """The tensor that ``edge`` really is: its producer's own output."""
        while edge in self.aliases:
            edge = self.aliases[edge]
        return edge

    def behind_views(self, edge: Edge) -> Edge:
        """As ``resolve``, and back through operations that only rename or reshape."""
        edge = self.resolve(edge)
        while (op := self.ops.get(edge.name)) is not None:
            if op.node.type == "IdentityN":
                edge = self.resolve(op.inputs[edge.output])
            elif op.node.type in VIEWS and op.inputs:
                edge = self.resolve(op.inputs[0])
            else:
                break
        return edge


def flow_of(program: Program) -> Flow:
    """Follow every tensor of ``program`` once."""
    ops = {op.key: op for op in flatten(program)}
    root = program.functions[program.root]
    flow = Flow(ops, outputs=root.outputs, arguments=root.arguments)
    for op in ops.values():
        if op.node.type in CALLS:
            _enter_call(program, flow, op)
        elif op.node.type in LOOPS:
            _enter_loop(program, flow, op)
        elif op.node.type in BRANCHES:
            _enter_branches(program, flow, op)
    return flow


def _enter_call(program: Program, flow: Flow, op: FlatOp) -> None:
    callee = program.functions.get(str(op.node.attrs.get("f")))
    if callee is not None:
        for argument, edge in zip(callee.inputs, op.inputs, strict=False):
            flow.aliases[Edge(f"{op.key}/{argument}", 0)] = edge
        for index, edge in enumerate(callee.outputs):
            flow.aliases[Edge(op.key, index)] = _inside(op.key, edge)


def _enter_loop(program: Program, flow: Flow, op: FlatOp) -> None:
    body = program.functions.get(str(op.node.attrs.get("body")))
    condition = program.functions.get(str(op.node.attrs.get("cond")))
    if body is None:
        return
    left: list[Edge] = []
    for index, (first, last) in enumerate(zip(op.inputs, body.outputs, strict=False)):
        names = [Edge(op.key, index), Edge(f"{op.key}/body/{body.inputs[index]}", 0)]
        if condition is not None:
            names.append(Edge(f"{op.key}/cond/{condition.inputs[index]}", 0))
        if hands_through(body, index):
            flow.aliases.update(dict.fromkeys(names, first))
            continue
        left.append(_inside(f"{op.key}/body", last))
        flow.carried.update(dict.fromkeys(names, (first, left[-1])))
    flow.results[op.key] = tuple(left)


def _enter_branches(program: Program, flow: Flow, op: FlatOp) -> None:
    results: list[Edge] = []
    for part, name in branches_of(op):
        branch = program.functions.get(name)
        if branch is None:
            continue
        for argument, edge in zip(branch.inputs, op.inputs[1:], strict=False):
            flow.aliases[Edge(f"{op.key}/{part}/{argument}", 0)] = edge
        results += [_inside(f"{op.key}/{part}", edge) for edge in branch.outputs]
    flow.results[op.key] = tuple(results)


def branches_of(op: FlatOp) -> Iterator[tuple[str, str]]:
    """Part name and function name of each branch of an If or Case."""
    if "Case" in op.node.type:
        for index, name in enumerate(op.node.attrs.get("branches") or []):
            yield f"branch{index}", str(name)
    else:
        yield "then", str(op.node.attrs.get("then_branch"))
        yield "else", str(op.node.attrs.get("else_branch"))


def _inside(prefix: str, edge: Edge) -> Edge:
    return Edge(f"{prefix}/{edge.name}", edge.output)
