"""Scalars of a graph evaluated without TensorFlow: what a loop's counters and limits are made of.

A value is a bool, a number, a vector as a list (None where an element is not known), or None:
only the data knows it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tftrace.graph.types import LOOPS, Edge, Graph, Node

Value = Any
Function = Callable[..., Value]
Loops = Callable[[Node, int], Value]
"""The value that an output of a loop ends with."""

_PASSES = ("Identity", "Enter", "StopGradient", "PreventGradient", "Snapshot", "Cast")


@dataclass(frozen=True)
class Slice:
    """The operations that some outputs of a graph rest on, each behind its inputs.

    A step is a function and the places of its inputs among the earlier steps; the first steps
    are the graph's arguments. ``arguments`` are the positions of those that are read, ``results``
    the places of the outputs asked for.
    """

    given: int
    steps: Sequence[tuple[Function, tuple[int, ...]]]
    arguments: frozenset[int]
    results: Sequence[int]

    def run(self, arguments: Sequence[Value]) -> list[Value]:
        """Values of the outputs, in the order they were asked for."""
        values = list(arguments[: self.given])
        for function, places in self.steps:
            values.append(function(*[values[place] for place in places]))
        return [values[place] for place in self.results]


def slice_of(graph: Graph, outputs: Sequence[Edge], loops: Loops) -> Slice:
    """What ``outputs`` rest on; operations that are not scalar arithmetic give unknown values.

    Args:
        loops: what the loops of ``graph`` leave behind.
    """
    place = {Edge(name, 0): i for i, name in enumerate(graph.inputs)}
    steps: list[tuple[Function, tuple[int, ...]]] = []
    pending = list(reversed(outputs))
    while pending:
        edge = pending[-1]
        function, inputs = _step(graph, edge, loops)
        missing = [source for source in inputs if source not in place]
        if edge in place or not missing:
            pending.pop()
        if edge not in place and not missing:
            steps.append((function, tuple(place[source] for source in inputs)))
            place[edge] = len(place)
        elif edge not in place:
            pending += missing
    read = {i for _, places in steps for i in places} | {place[edge] for edge in outputs}
    given = len(graph.inputs)
    arguments = frozenset(i for i in read if i < given)
    return Slice(given, steps, arguments, [place[edge] for edge in outputs])


def _step(graph: Graph, edge: Edge, loops: Loops) -> tuple[Function, tuple[Edge, ...]]:
    """How the value of ``edge`` comes about, and from which other values."""
    node = graph.nodes[edge.name]
    if edge.output == 0 and node.value is not None:
        return _always(node.value), ()
    if node.type == "Shape":
        source = node.inputs[0]
        shape = graph.nodes[source.name].outputs[source.output].shape
        return _always(None if shape is None else list(shape)), ()
    if node.type == "StridedSlice" and node.attrs.get("shrink_axis_mask") == 1:
        # ``tf.shape(x)[0]``, which TensorFlow leaves as it is even where the shape is known.
        return _element, node.inputs[:2]
    if node.type in LOOPS:
        return _always(loops(node, edge.output)), ()
    if node.type in ("LogicalAnd", "LogicalOr"):
        return partial(_logical, node.type == "LogicalOr"), node.inputs
    function = _FUNCTIONS.get(node.type)
    if function is None or edge.output:
        return _always(None), ()
    return partial(_typed, function, _CONVERSIONS.get(_dtype(node))), node.inputs


def _always(value: Value) -> Function:
    return lambda: value


def _typed(function: Function, convert: Function | None, *inputs: Value) -> Value:
    """The function's result in the node's element type; unknown if an input is."""
    if convert is None or None in inputs:
        return None
    result = function(*inputs)
    return None if result is None else convert(result)


def _logical(decides: bool, left: Value, right: Value) -> Value:
    """Or (and) of two truths: one that is true (false) decides alone."""
    for value in (left, right):
        if value is not None and bool(value) is decides:
            return decides
    return None if left is None or right is None else not decides


def _element(vector: Value, begin: Value) -> Value:
    if not isinstance(vector, list) or not isinstance(begin, list):
        return None
    picked = vector[begin[0]] if -len(vector) <= begin[0] < len(vector) else None
    return None if isinstance(picked, list) else picked


def _of_scalars(function: Function) -> Function:
    def applied(*values: Value) -> Value:
        return None if list in map(type, values) else function(*values)

    return applied


def _over(function: Function) -> Function:
    """A reduction of a vector whose elements are all known; its axis can only be that one."""

    def applied(values: Value, _axes: Value) -> Value:
        listed = values if isinstance(values, list) else [values]
        known = listed and not any(v is None or isinstance(v, list) for v in listed)
        return function(listed) if known else None

    return applied


def _divided(left: Value, right: Value) -> Value:
    return left / right if right else None


def _floor_divided(left: Value, right: Value) -> Value:
    return left // right if right else None


def _remainder(left: Value, right: Value) -> Value:
    return left % right if right else None


_SCALAR: Mapping[str, Function] = {
    **dict.fromkeys(_PASSES, lambda value: value),
    "Add": operator.add,
    "AddV2": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "RealDiv": _divided,
    "FloorDiv": _floor_divided,
    "FloorMod": _remainder,
    "Neg": operator.neg,
    "Abs": abs,
    "Square": lambda value: value * value,
    "Maximum": max,
    "Minimum": min,
    "Less": operator.lt,
    "LessEqual": operator.le,
    "Greater": operator.gt,
    "GreaterEqual": operator.ge,
    "Equal": operator.eq,
    "NotEqual": operator.ne,
    "LogicalNot": operator.not_,
    "SelectV2": lambda which, left, right: left if which else right,
    "Select": lambda which, left, right: left if which else right,
}
_FUNCTIONS: Mapping[str, Function] = {
    **{kind: _of_scalars(function) for kind, function in _SCALAR.items()},
    # Keras bounds a while_loop by the maximum over a constant vector of lengths.
    **{k: _over(f) for k, f in (("Max", max), ("Min", min), ("Sum", sum), ("Prod", math.prod))},
    **{k: _over(f) for k, f in (("All", all), ("Any", any))},
}


def _whole(bits: int, signed: bool, value: Value) -> Value:
    """As an integer of so many bits, which wraps around."""
    low = -(1 << bits - 1) if signed else 0
    if type(value) is int and low <= value < low + (1 << bits):
        return value
    if not math.isfinite(value):
        return None
    return (int(value) - low) % (1 << bits) + low


def _rounded(kind: type[np.floating[Any]], value: Value) -> float:
    with np.errstate(over="ignore"):
        return float(kind(value))


def _conversions() -> Iterator[tuple[str, Function]]:
    yield "bool", bool
    yield "float64", float
    yield "float32", partial(_rounded, np.float32)
    yield "float16", partial(_rounded, np.float16)
    for bits in (8, 16, 32, 64):
        yield f"int{bits}", partial(_whole, bits, True)
        yield f"uint{bits}", partial(_whole, bits, False)


_CONVERSIONS: Mapping[str, Function] = dict(_conversions())
"""Into the element types whose arithmetic is known; the values of others are unknown."""


def _dtype(node: Node) -> str:
    return node.outputs[0].dtype if node.outputs else ""
