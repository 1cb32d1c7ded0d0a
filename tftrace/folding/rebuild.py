"""A new Keras model from an old one: some layers left out, some with other weights."""

from __future__ import annotations

import tempfile
from typing import Any

import keras
import numpy as np

from tftrace.folding.absorbing import Weights
from tftrace.folding.graph import functional_of, is_open, nodes_in_order
from tftrace.folding.plan import Plan
from tftrace.tracer.keras_private import (
    inputs_structure,
    lambda_output_shape,
    layer_of_input,
    outputs_structure,
)


def rebuild(model: Any, plan: Plan) -> keras.Model:
    """Copy an open model layer by layer, carrying out the plan.

    Layers keep their names and configuration, except that a layer which gains a bias says so. The
    copy shares no variable with the original. It is a plain `keras.Model` (or `Sequential`), not
    compiled: it is made for inference.
    """
    copies: dict[int, Any] = {}
    originals: dict[int, Any] = {}
    copy = _copy_model(model, plan, copies, originals)
    for key, original in originals.items():
        if key in plan.weights:
            _assign(copies[key], plan.weights[key])
        else:
            _copy_weights(original, copies[key])
    return copy


def _copy_model(
    model: Any, plan: Plan, copies: dict[int, Any], originals: dict[int, Any]
) -> keras.Model:
    functional = functional_of(model)
    new_inputs = [_copy_input(tensor) for tensor in functional.inputs]
    if isinstance(model, keras.Sequential):
        stack = [
            _copy_operation(layer, plan, copies, originals)
            for layer in model.layers
            if id(layer) not in plan.removed
        ]
        # Keras cannot run a Sequential without layers.
        stack = stack or [keras.layers.Identity(name=model.layers[-1].name)]
        return keras.Sequential([*new_inputs, *stack], name=model.name, trainable=model.trainable)
    tensors = {id(old): new for old, new in zip(functional.inputs, new_inputs, strict=True)}
    for node in nodes_in_order(model):
        if any(id(tensor) not in tensors for tensor in node.input_tensors):
            continue  # Keras skips nodes that its inputs do not reach, too.
        if id(node.operation) in plan.removed:
            tensors[id(node.outputs[0])] = tensors[id(node.input_tensors[0])]
            continue
        args, kwargs = node.arguments.fill_in(tensors)
        results = _copy_operation(node.operation, plan, copies, originals)(*args, **kwargs)
        for old, new in zip(node.outputs, keras.tree.flatten(results), strict=True):
            tensors[id(old)] = new
    inputs, outputs = inputs_structure(functional), outputs_structure(functional)
    inputs = functional.inputs if inputs is None else inputs
    return keras.Model(
        keras.tree.map_structure(lambda t: tensors[id(t)], inputs),
        keras.tree.map_structure(lambda t: tensors[id(t)], outputs),
        name=model.name,
        trainable=model.trainable,
    )


def _copy_input(tensor: Any) -> Any:
    layer = layer_of_input(tensor)
    if layer is None:
        return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)
    return type(layer).from_config(layer.get_config()).output


def _copy_operation(
    operation: Any, plan: Plan, copies: dict[int, Any], originals: dict[int, Any]
) -> Any:
    key = id(operation)
    if key in copies:
        return copies[key]
    if is_open(operation):
        copies[key] = _copy_model(operation, plan, copies, originals)
        return copies[key]
    if isinstance(operation, keras.layers.Lambda):
        # Its configuration holds the function as bytecode, which Keras rightly refuses to read.
        copy = _copy_lambda(operation)
    else:
        config = operation.get_config()
        # Keras writes a lambda as bytecode, which it does not read.
        config |= {name: getattr(operation, name) for name in lambdas_of(operation)}
        if key in plan.weights and np.any(plan.weights[key]["bias"] != 0):
            config["use_bias"] = True
        copy = type(operation).from_config(config)
    if hasattr(operation, "save_assets"):
        _copy_vocabulary(operation, copy)
    copies[key] = copy
    if isinstance(operation, keras.layers.Layer):
        originals[key] = operation
    return copy


def lambdas_of(layer: Any) -> list[str]:
    """The arguments of a layer that are lambdas: an activation, say."""
    return [
        name
        for name in layer.get_config()
        if getattr(getattr(layer, name, None), "__name__", "") == "<lambda>"
    ]


def _copy_lambda(layer: Any) -> Any:
    return keras.layers.Lambda(
        layer.function,
        output_shape=lambda_output_shape(layer),
        mask=layer.mask,
        arguments=layer.arguments,
        name=layer.name,
        dtype=layer.dtype_policy,
        trainable=layer.trainable,
    )


def _copy_vocabulary(original: Any, copy: Any) -> None:
    # Before the copy's first call: a vocabulary must not change its size afterwards.
    with tempfile.TemporaryDirectory() as folder:
        original.save_assets(folder)
        copy.load_assets(folder)


def _copy_weights(original: Any, copy: Any) -> None:
    copy.set_weights(original.get_weights())
    if isinstance(original, keras.layers.Normalization):
        copy.finalize_state()  # works its mean and variance out of the adapted weights


def _assign(layer: Any, weights: Weights) -> None:
    for name, values in weights.items():
        if name != "bias" or layer.use_bias:
            getattr(layer, name).assign(values)
