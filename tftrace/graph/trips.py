"""How often a While loop turns: its counters are turned as the loop would; unknown is said."""

from __future__ import annotations

from collections.abc import Sequence

from tftrace.graph.scalars import Slice, Value, slice_of
from tftrace.graph.types import Edge, Graph, Node, Program

MOST_TURNS = 1_000_000
"""Where following a loop is given up: it may never end."""


def trip_count(program: Program, caller: Graph, node: Node) -> tuple[int | None, str | None]:
    """Trip count of the While ``node`` of ``caller``, and the reason when it is unknown.

    What the condition rests on (a counter, a limit that the body may move, a vector of lengths)
    is evaluated turn by turn, in the element types of the graph. That gives the count of
    ``tf.while_loop``, ``for`` over a ``tf.range`` and every Keras RNN, as long as the number of
    turns does not depend on data; and that of the loop's gradient, whose limit is the counter
    that the loop itself leaves behind.
    """
    turns, reason, _ = _outcome(program, caller, node, ())
    return turns, reason


def _outcome(
    program: Program, caller: Graph, node: Node, outputs: Sequence[int]
) -> tuple[int | None, str | None, list[Value]]:
    """Trip count, the reason when it is unknown, and the values that ``outputs`` end with."""
    unknown: list[Value] = [None] * len(outputs)
    condition = program.functions.get(str(node.attrs.get("cond")))
    body = program.functions.get(str(node.attrs.get("body")))
    if condition is None or body is None:
        return None, "the loop's functions are not in the graph", unknown
    parts = _conjuncts(condition, condition.outputs[0])
    test = _slice(program, condition, [condition.outputs[0], *parts])
    variables = _variables(program, test, body, outputs)
    turn = _slice(program, body, [body.outputs[i] for i in variables])
    state: list[Value] = [None] * len(node.inputs)
    starts = [node.inputs[i] for i in variables]
    first = _slice(program, caller, starts).run([None] * len(caller.inputs))
    for turns in range(MOST_TURNS + 1):
        for variable, value in zip(variables, first, strict=True):
            state[variable] = value
        goes_on, *known = test.run(state)
        if goes_on is None:
            part = parts[known.index(None)] if None in known else parts[0]
            kind = condition.nodes[part.name].type
            return None, f"trip count depends on data ({kind})", unknown
        if not goes_on:
            return turns, None, [state[output] for output in outputs]
        last, first = first, turn.run(state)
        if first == last:
            break
    return None, f"the loop turns more than {MOST_TURNS:,} times, or never ends", unknown


def _slice(program: Program, graph: Graph, outputs: Sequence[Edge]) -> Slice:
    """The slice in which loops of ``graph`` end with the values that they leave."""

    def left_behind(node: Node, output: int) -> Value:
        return _outcome(program, graph, node, (output,))[2][0]

    return slice_of(graph, outputs, left_behind)


def _variables(program: Program, test: Slice, body: Graph, outputs: Sequence[int]) -> list[int]:
    """Positions of the loop's variables that its condition, or an output, rests on."""
    found = test.arguments | set(outputs)
    while True:
        more = _slice(program, body, [body.outputs[i] for i in sorted(found)]).arguments - found
        if not more:
            return sorted(found)
        found |= more


def _conjuncts(graph: Graph, edge: Edge) -> list[Edge]:
    node = graph.nodes[edge.name]
    if node.type in ("LogicalAnd", "Identity"):
        return [leaf for source in node.inputs for leaf in _conjuncts(graph, source)]
    return [edge]
