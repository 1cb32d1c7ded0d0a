"""A Keras model as a flat list of layer calls, nested models opened.

Keras has no public way to walk the call nodes of a functional model; what it hides is found as
`keras.models.clone_model` itself finds it (see `tftrace.tracer.keras_private`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras

from tftrace.folding.affine import Shape
from tftrace.tracer.keras_private import (
    functional_of_sequential,
    inputs_structure,
    layers_within,
    nodes_by_depth,
)


@dataclass(eq=False)
class Value:
    """A symbolic tensor: who makes it, who reads it.

    Attributes:
        shape: batch axis first; None where unknown.
        is_output: True if the whole model returns it.
    """

    shape: Shape
    producer: Call | None = None
    consumers: list[Call] = field(default_factory=list)
    is_output: bool = False


@dataclass(eq=False)
class Call:
    """One call of one layer or Keras operation.

    Attributes:
        operation: the layer or operation; the same object in every call that shares it.
        path: names of the enclosing models and of the operation, joined by `/`.
        training: the `training` argument it was called with; None if not given.
    """

    operation: Any
    path: str
    inputs: list[Value]
    outputs: list[Value]
    training: bool | None


@dataclass
class CallGraph:
    """All calls, in an order in which they can be executed.

    Attributes:
        hidden: names of operations that keep layers to themselves, by `id` of the kept layer.
    """

    calls: list[Call] = field(default_factory=list)
    hidden: dict[int, str] = field(default_factory=dict)

    def calls_of(self, operation: Any) -> list[Call]:
        """Calls of that very object."""
        return [call for call in self.calls if call.operation is operation]

    def remove(self, operation: Any) -> None:
        """Take a one-in-one-out operation out; readers of its output read its input instead."""
        for call in self.calls_of(operation):
            source, result = call.inputs[0], call.outputs[0]
            source.consumers = [c for c in source.consumers if c is not call] + result.consumers
            source.is_output = source.is_output or result.is_output
            for consumer in result.consumers:
                consumer.inputs = [source if v is result else v for v in consumer.inputs]
            self.calls.remove(call)


def call_graph(model: Any) -> CallGraph:
    """The calls of an open model (see `is_open`), those of nested open models in their place."""
    graph = CallGraph()
    feeds = [Value(tuple(tensor.shape)) for tensor in functional_of(model).inputs]
    for value in _expand(model, feeds, model.name, None, graph):
        value.is_output = True
    return graph


def is_open(operation: Any) -> bool:
    """True for a Functional or built Sequential whose layer graph is all that its call does."""
    if not isinstance(operation, keras.Model) or not _keras_defines(operation, "call"):
        return False
    functional = functional_of(operation)
    return isinstance(functional, keras.Function) and nodes_by_depth(functional) is not None


def predicts_plainly(model: Any) -> bool:
    """True if `model.predict` does nothing but call the model on batches of its input."""
    return all(
        _keras_defines(model, name) for name in ("predict", "predict_step", "make_predict_function")
    )


def functional_of(model: Any) -> Any:
    """The functional graph of an open model."""
    return functional_of_sequential(model) if isinstance(model, keras.Sequential) else model


def nodes_in_order(model: Any) -> Iterator[Any]:
    """Call nodes of an open model, inputs left out, each after those it depends on."""
    by_depth = nodes_by_depth(functional_of(model)) or {}
    for depth in sorted(by_depth, reverse=True):
        yield from (node for node in by_depth[depth] if not node.is_input)


def batch_norms_inside(operation: Any) -> list[keras.layers.BatchNormalization]:
    """BatchNormalization layers that a layer keeps to itself, where no graph shows them."""
    return [
        layer
        for layer in _layers_inside(operation)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]


def opens_in_place(node: Any) -> bool:
    """True if the called nested model can be read as part of the graph that calls it."""
    if not is_open(node.operation):
        return False
    inner = functional_of(node.operation)
    given = node.arguments.args[0] if node.arguments.args else None
    # Keras matches a dict to a list of inputs by name; only like for like is matched by position.
    like_for_like = isinstance(given, dict) == isinstance(inputs_structure(inner), dict)
    return len(node.input_tensors) == len(inner.inputs) and like_for_like


def _expand(
    model: Any, feeds: list[Value], path: str, training: bool | None, graph: CallGraph
) -> list[Value]:
    functional = functional_of(model)
    values = {id(tensor): value for tensor, value in zip(functional.inputs, feeds, strict=True)}
    for node in nodes_in_order(model):
        if any(id(tensor) not in values for tensor in node.input_tensors):
            continue  # Keras skips nodes that its inputs do not reach, too.
        operands = [values[id(tensor)] for tensor in node.input_tensors]
        node_path = f"{path}/{node.operation.name}"
        node_training = node.arguments.kwargs.get("training", training)
        if opens_in_place(node):
            results = _expand(node.operation, operands, node_path, node_training, graph)
        else:
            results = [Value(tuple(tensor.shape)) for tensor in node.outputs]
            call = Call(node.operation, node_path, operands, results, node_training)
            for value in operands:
                value.consumers.append(call)
            for value in results:
                value.producer = call
            graph.calls.append(call)
            graph.hidden |= {
                id(layer): call.operation.name for layer in _layers_inside(call.operation)
            }
        values |= {id(tensor): value for tensor, value in zip(node.outputs, results, strict=True)}
    return [values[id(tensor)] for tensor in functional.outputs]


def _layers_inside(operation: Any) -> list[Any]:
    if not isinstance(operation, keras.layers.Layer):
        return []
    return layers_within(operation)


def _keras_defines(model: Any, method: str) -> bool:
    owner = next(cls for cls in type(model).__mro__ if method in vars(cls))
    return owner.__module__.split(".")[0] == "keras"
