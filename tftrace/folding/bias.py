"""Biases that Keras 2 adds in front of a batch norm, worked into the norm's mean.

The norm subtracts the mean of what comes, bias included: `(y + b) - m = y - (m - b)`. Without the
bias TensorFlow fuses convolution and norm into one kernel.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tftrace.errors import TftraceError
from tftrace.tracer.keras_private import nodes_by_depth


def biased_norms(model: Any) -> list[tuple[Any, Any]]:
    """Convolutions with a bias, each with the batch norm that alone reads what it computes.

    Only those of the graph of ``model`` itself, a model of Keras 2, that are called once, and have
    no activation in between. Nothing where the model has no graph, or it is hidden.
    """
    nodes = [node for level in (nodes_by_depth(model) or {}).values() for node in level]
    calls, readers = defaultdict(list), defaultdict(list)
    for node in nodes:
        calls[id(node.layer)].append(node)
        for parent in node.parent_nodes:
            readers[id(parent)].append(node)
    results = {id(tensor) for tensor in getattr(model, "outputs", None) or ()}
    found = []
    for node in nodes:
        conv, reading = node.layer, readers[id(node)]
        if not _adds_its_bias_last(conv) or len(calls[id(conv)]) > 1 or len(reading) != 1:
            continue
        norm = reading[0].layer
        once = len(calls[id(norm)]) == 1 and id(node.outputs) not in results
        if once and type(norm).__name__ == "BatchNormalization" and list(norm.axis) == [3]:
            found.append((conv, norm))
    return found


def without_biases(model: Any) -> Any:
    """A copy of a model of Keras 2, not compiled, without the biases of `biased_norms`.

    Raises:
        TftraceError: it has none, or its layers cannot be made anew.
    """
    import tf_keras

    pairs = biased_norms(model)
    if not pairs:
        raise TftraceError("no convolution adds a bias in front of a batch norm")
    biased, norms = {conv.name for conv, _ in pairs}, {norm.name: conv for conv, norm in pairs}

    def clone(layer: Any) -> Any:
        without = {"use_bias": False} if layer.name in biased else {}
        return type(layer).from_config(layer.get_config() | without)

    try:
        copy = tf_keras.models.clone_model(model, clone_function=clone)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise TftraceError(f"its layers cannot be made anew: {error}") from error
    for layer, new in zip(model.layers, copy.layers, strict=True):  # names may have changed
        if layer.name in biased:
            new.kernel.assign(layer.kernel)
            continue
        new.set_weights(layer.get_weights())
        if layer.name in norms:
            new.moving_mean.assign(layer.moving_mean - norms[layer.name].bias)
    return copy


def _adds_its_bias_last(layer: Any) -> bool:
    if type(layer).__name__ != "Conv2D" or layer.data_format != "channels_last":
        return False
    return bool(layer.use_bias) and getattr(layer.activation, "__name__", "") == "linear"
