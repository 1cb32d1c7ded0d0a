"""How often a While loop turns: its counters are turned as the loop would; unknown is said."""

from __future__ import annotations

from tftrace.graph.scalars import Slice, Value, slice_of
from tftrace.graph.types import Edge, Graph, Node, Program

MOST_TURNS = 1_000_000
"""Where following a loop is given up: it may never end."""


def trip_count(program: Program, caller: Graph, node: Node) -> tuple[int | None, str | None]:
    """Trip count of the While ``node`` of ``caller``, and the reason when it is unknown.

    What the condition rests on (a counter, a limit that the body may move, a vector of lengths)
    is evaluated turn by turn, in the element types of the graph. That gives the count of
    ``tf.while_loop``, ``for`` over a ``tf.range`` and every Keras RNN, as long as the number of
    turns does not depend on data.
    """
    condition = program.functions.get(str(node.attrs.get("cond")))
    body = program.functions.get(str(node.attrs.get("body")))
    if condition is None or body is None:
        return None, "the loop's functions are not in the graph"
    parts = _conjuncts(condition, condition.outputs[0])
    test = slice_of(condition, [condition.outputs[0], *parts])
    variables = _variables(test, body)
    turn = slice_of(body, [body.outputs[i] for i in variables])
    state: list[Value] = [None] * len(node.inputs)
    first = slice_of(caller, [node.inputs[i] for i in variables]).run([None] * len(caller.inputs))
    for turns in range(MOST_TURNS + 1):
        for variable, value in zip(variables, first, strict=True):
            state[variable] = value
        goes_on, *known = test.run(state)
        if goes_on is None:
            unknown = parts[known.index(None)].name if None in known else parts[0].name
            return None, f"trip count depends on data ({condition.nodes[unknown].type})"
        if not goes_on:
            return turns, None
        last, first = first, turn.run(state)
        if first == last:
            break
    return None, f"the loop turns more than {MOST_TURNS:,} times, or never ends"


def _variables(test: Slice, body: Graph) -> list[int]:
    """Positions of the loop's variables that its condition rests on, sooner or later."""
    found = set(test.arguments)
    while True:
        more = slice_of(body, [body.outputs[i] for i in sorted(found)]).arguments - found
        if not more:
            return sorted(found)
        found |= more


def _conjuncts(graph: Graph, edge: Edge) -> list[Edge]:
    node = graph.nodes[edge.name]
    if node.type in ("LogicalAnd", "Identity"):
        return [leaf for source in node.inputs for leaf in _conjuncts(graph, source)]
    return [edge]
