"""How often a While loop turns, read from its condition; unknown is said, never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

from tftrace.graph.types import Graph, Node, Program

_COMPARISONS = {"Less": 0, "LessEqual": 1}
_PASS_THROUGH = {"Identity", "Cast", "Enter", "StopGradient"}


def trip_count(program: Program, caller: Graph, node: Node) -> tuple[int | None, str | None]:
    """Trip count of the While ``node`` of ``caller``, and the reason when it is unknown.

    The condition must be a conjunction of ``counter < limit`` (or ``<=``) where the counter
    starts at a constant and grows by a constant per turn; the smallest bound decides. That is
    the form of ``tf.while_loop`` with a known number of iterations and of every Keras RNN.
    """
    condition = program.functions.get(str(node.attrs.get("cond")))
    body = program.functions.get(str(node.attrs.get("body")))
    if condition is None or body is None:
        return None, "the loop's functions are not in the graph"
    bounds: list[int] = []
    for conjunct in _conjuncts(condition, condition.outputs[0].name):
        bound = _bound(caller, node, condition, body, conjunct)
        if bound is None:
            return None, f"trip count depends on data ({conjunct.type})"
        bounds.append(bound)
    return min(bounds), None


def _conjuncts(graph: Graph, name: str) -> list[Node]:
    node = graph.nodes[name]
    if node.type in ("LogicalAnd", "Identity"):
        return [leaf for edge in node.inputs for leaf in _conjuncts(graph, edge.name)]
    return [node]


def _bound(caller: Graph, loop: Node, condition: Graph, body: Graph, compare: Node) -> int | None:
    """Turns that one comparison allows, or None when it is not of the counted form."""
    if compare.type not in _COMPARISONS:
        return None
    position = _argument(condition, compare.inputs[0].name)
    limit = _constant(caller, loop, condition, compare.inputs[1].name)
    if position is None or limit is None:
        return None
    start = _value(caller, loop.inputs[position].name)
    step = _increment(body, position)
    if start is None or not step:
        return None
    return max(0, ceil((limit + _COMPARISONS[compare.type] - start) / step))


def _argument(graph: Graph, name: str) -> int | None:
    """Position of the argument that ``name`` passes through, or None."""
    node = graph.nodes[name]
    while node.type in _PASS_THROUGH:
        node = graph.nodes[node.inputs[0].name]
    return graph.inputs.index(node.name) if node.name in graph.inputs else None


def _constant(caller: Graph, loop: Node, graph: Graph, name: str) -> float | None:
    """Value of ``name`` in the condition: its own constant, or one handed in by the caller."""
    value = _value(graph, name)
    if value is not None:
        return value
    position = _argument(graph, name)
    return None if position is None else _value(caller, loop.inputs[position].name)


def _value(graph: Graph, name: str) -> float | None:
    node = graph.nodes[name]
    if isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return node.value
    if node.type in _PASS_THROUGH:
        return _value(graph, node.inputs[0].name)
    if node.type in ("Max", "Min"):
        # Keras bounds a while_loop by the maximum over a constant vector of lengths.
        source = graph.nodes[node.inputs[0].name].value
        if isinstance(source, int | float):
            return source
        if isinstance(source, list) and source:
            return float(max(source) if node.type == "Max" else min(source))
    if node.type == "StridedSlice" and node.attrs.get("shrink_axis_mask") == 1:
        # ``tf.shape(x)[0]``, which TensorFlow leaves as it is even where the shape is known.
        source, begin = _vector(graph, node.inputs[0].name), graph.nodes[node.inputs[1].name].value
        if source is not None and isinstance(begin, list) and begin[0] < len(source):
            picked = source[begin[0]]
            return picked if isinstance(picked, int | float) else None
    return None


def _vector(graph: Graph, name: str) -> Sequence[Any] | None:
    """Elements of the vector ``name``; of a shape those that are known, None for the others."""
    node = graph.nodes[name]
    if isinstance(node.value, list):
        return node.value
    if node.type != "Shape":
        return None
    source = node.inputs[0]
    return graph.nodes[source.name].outputs[source.output].shape


def _increment(body: Graph, position: int) -> float | None:
    """The constant by which the body raises loop variable ``position``, or None."""
    node = body.nodes[body.outputs[position].name]
    while node.type in _PASS_THROUGH:
        node = body.nodes[node.inputs[0].name]
    if node.type not in ("Add", "AddV2"):
        return None
    for counter, step in (node.inputs, node.inputs[::-1]):
        if _argument(body, counter.name) == position:
            return _value(body, step.name)
    return None
