"""A program as one flat list of operations, function bodies inlined under TensorFlow's names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tftrace.graph.phases import FORWARD, LOSS, OPTIMIZER, phase_of
from tftrace.graph.trips import trip_count
from tftrace.graph.types import BRANCHES, CALLS, LOOPS, Edge, Graph, Node, Program, TensorSpec

_LOWERED = re.compile(r"/(body|cond|then|else|branch\d+)/_\d+/")


def flat_name(executed: str) -> str:
    """The flat key of an executed node: TensorFlow numbers inlined bodies, ``body/_7/``."""
    # Most names have none, and every kernel is asked about several times.
    return _LOWERED.sub(r"/\1/", executed) if "/_" in executed else executed


@dataclass(frozen=True, slots=True)
class FlatOp:
    """One operation of the inlined program.

    ``key`` is unique: the operation's name behind the names of the call operations that lead
    to it. ``times`` is the number of executions per call of the root, None when it depends on
    data (then ``reason`` says why). ``inputs`` name producers by key, across call borders;
    inside a loop they end at the body's arguments. ``sources`` are the specs of those inputs.
    ``live`` is False when no output or side effect of the program needs the operation. What a
    call runs has the call's ``phase``, if that is not the forward one.
    """

    key: str
    node: Node
    function: str
    owner: str | None
    times: int | None
    reason: str | None
    inputs: tuple[Edge, ...]
    sources: tuple[TensorSpec, ...]
    input_values: tuple[object, ...]
    live: bool
    phase: str = FORWARD


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where the walk stands: the call's prefix, its owner, and how often it runs."""

    prefix: str = ""
    owner: str | None = None
    times: int | None = 1
    reason: str | None = None
    live: bool = True
    phase: str = FORWARD
    # Argument and result keys differ from the plain names once a call is entered.
    arguments: tuple[Edge, ...] | None = None


def flatten(program: Program) -> list[FlatOp]:
    """Every operation of ``program``, callers before the bodies they call.

    Calls are kept as operations of their own, since a call that TensorFlow does not inline
    (XLA) runs under its own name. Recursion is refused with ValueError.
    """
    return list(_walk(program, program.root, _Frame(), ()))


def hands_through(body: Graph, index: int) -> bool:
    """Whether a turn of the loop leaves variable ``index`` as it found it."""
    node = body.nodes[body.outputs[index].name]
    while node.type == "Identity":
        node = body.nodes[node.inputs[0].name]
    return node.name == body.inputs[index]


def _walk(
    program: Program, function: str, frame: _Frame, stack: tuple[str, ...]
) -> Iterator[FlatOp]:
    if function in stack:
        raise ValueError(f"function {function} calls itself; recursion cannot be flattened")
    graph = program.functions[function]
    live = live_names(graph)
    for node in graph.nodes.values():
        owner = _deeper(frame.owner, node.owner)
        here = FlatOp(
            key=frame.prefix + node.name,
            node=node,
            function=function,
            owner=owner,
            times=frame.times,
            reason=frame.reason,
            inputs=tuple(_resolve(program, graph, frame, edge) for edge in node.inputs),
            sources=tuple(_spec(graph, edge) for edge in node.inputs),
            input_values=tuple(
                graph.nodes[e.name].value if e.output == 0 else None for e in node.inputs
            ),
            live=frame.live and node.name in live,
            phase=_phase(node, frame.phase),
        )
        yield here
        inner = replace(frame, owner=owner, live=here.live, phase=here.phase)
        for callee, entered in _callees(program, graph, node, here, inner):
            yield from _walk(program, callee, entered, (*stack, function))


def _callees(
    program: Program, graph: Graph, node: Node, here: FlatOp, frame: _Frame
) -> Iterator[tuple[str, _Frame]]:
    prefix = here.key + "/"
    if node.type in CALLS:
        callee = str(node.attrs.get("f"))
        if callee in program.functions:
            yield callee, replace(frame, prefix=prefix, arguments=here.inputs)
    elif node.type in LOOPS:
        trips, reason = trip_count(program, graph, node)
        for part, extra in (("cond", 1), ("body", 0)):
            known = frame.times is not None and trips is not None
            times = frame.times * (trips + extra) if known else None  # type: ignore[operator]
            entered = replace(
                frame,
                prefix=f"{prefix}{part}/",
                times=times,
                reason=frame.reason or reason,
                arguments=None,
            )
            if str(node.attrs.get(part)) in program.functions:
                yield str(node.attrs[part]), entered
    elif node.type in BRANCHES:
        names = node.attrs.get("branches") or [
            node.attrs.get("then_branch"),
            node.attrs.get("else_branch"),
        ]
        parts = (
            [f"branch{i}" for i in range(len(names))] if "Case" in node.type else ["then", "else"]
        )
        for part, callee in zip(parts, names, strict=True):
            entered = replace(
                frame,
                prefix=f"{prefix}{part}/",
                times=None,
                reason=frame.reason or "which branch runs depends on data",
                arguments=here.inputs[1:],
            )
            if str(callee) in program.functions:
                yield str(callee), entered


def _resolve(program: Program, graph: Graph, frame: _Frame, edge: Edge) -> Edge:
    """The flat producer of ``edge``: through arguments upward, through calls downward."""
    node = graph.nodes[edge.name]
    if frame.arguments is not None and edge.name in graph.inputs:
        return frame.arguments[graph.inputs.index(edge.name)]
    if node.type in CALLS and str(node.attrs.get("f")) in program.functions:
        callee = program.functions[str(node.attrs["f"])]
        arguments = tuple(_resolve(program, graph, frame, e) for e in node.inputs)
        entered = replace(frame, prefix=f"{frame.prefix}{node.name}/", arguments=arguments)
        return _resolve(program, callee, entered, callee.outputs[edge.output])
    return Edge(frame.prefix + edge.name, edge.output)


def _spec(graph: Graph, edge: Edge) -> TensorSpec:
    outputs = graph.nodes[edge.name].outputs
    return outputs[edge.output] if edge.output < len(outputs) else TensorSpec("unknown", None)


def _deeper(outer: str | None, inner: str | None) -> str | None:
    """Owner of an operation inside a call: the inner one where it lies below the call's own.

    A function body is traced once and may then be called from another layer, whose name the
    body's operations do not know.
    """
    if outer is None or (inner is not None and (inner + "/").startswith(outer + "/")):
        return inner
    return outer


def live_names(graph: Graph) -> set[str]:
    """Names that the graph's outputs and control outputs reach."""
    pending = [edge.name for edge in graph.outputs] + list(graph.controls)
    reached: set[str] = set()
    while pending:
        name = pending.pop()
        if name in reached or name not in graph.nodes:
            continue
        reached.add(name)
        node = graph.nodes[name]
        pending.extend(edge.name for edge in node.inputs)
        pending.extend(node.controls)
    return reached


def _phase(node: Node, around: str) -> str:
    """Phase of a node in a function that a call of the phase ``around`` runs.

    A step's own code, which is the loss where nothing says otherwise, may call layers, tapes and
    optimizers in a branch.
    """
    if around == FORWARD or (around == LOSS and (node.phase != FORWARD or node.owner is not None)):
        return node.phase
    # An optimizer that scales the loss, or adds gradients up, does all else in a branch.
    if phase_of(around) == phase_of(node.phase) == OPTIMIZER:
        return node.phase
    return around
