"""Layers whose weights can take an affine map in: applied to their output, or to their input.

A rule gets the layer's weights by attribute name in float64 (`bias` always present, zeros if the
layer has none) and answers with the weights of the layer that does both. Output `y = W x + b` turns
into `s y + t = (s W) x + (s b + t)`; input `x` into `W (s x + t) + b = (W s) x + (b + W t)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import layers

from tftrace.folding.affine import Affine, Array, Refusal, Shape

Weights: TypeAlias = dict[str, Array]
AbsorbRule: TypeAlias = Callable[[Any, Weights, Array, Array], Weights]

_BACKWARD: dict[type, AbsorbRule] = {}
_FORWARD: dict[type, AbsorbRule] = {}

_CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
_TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
_DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
_SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)


def _register(
    rules: dict[type, AbsorbRule], layer_types: tuple[type, ...]
) -> Callable[[AbsorbRule], AbsorbRule]:
    def register(rule: AbsorbRule) -> AbsorbRule:
        rules.update(dict.fromkeys(layer_types, rule))
        return rule

    return register


def folds_backward(*layer_types: type) -> Callable[[AbsorbRule], AbsorbRule]:
    """Register how layers of exactly these types absorb a map applied to their output."""
    return _register(_BACKWARD, layer_types)


def folds_forward(*layer_types: type) -> Callable[[AbsorbRule], AbsorbRule]:
    """Register how layers of exactly these types absorb a map applied to their input."""
    return _register(_FORWARD, layer_types)


def absorbs_output(layer: Any) -> bool:
    """True if a rule for maps on its output exists."""
    return type(layer) in _BACKWARD


def absorbs_input(layer: Any) -> bool:
    """True if a rule for maps on its input exists."""
    return type(layer) in _FORWARD


def absorb_output(layer: Any, weights: Weights, affine: Affine, output: Shape) -> Weights | Refusal:
    """Weights with which the layer computes `affine(layer(x))`.

    Args:
        weights: current weights, see `read_weights`.
        output: non-batch shape of the layer's output.
    """
    if layer.activation is not keras.activations.linear:
        name = getattr(layer.activation, "__name__", str(layer.activation))
        return Refusal(f"{layer.name} applies its activation {name} before it")
    vectors = _channel_vectors(layer, affine, output)
    if isinstance(vectors, Refusal):
        return vectors
    return _BACKWARD[type(layer)](layer, weights, *vectors)


def absorb_input(layer: Any, weights: Weights, affine: Affine, given: Shape) -> Weights | Refusal:
    """Weights with which the layer computes `layer(affine(x))`.

    Args:
        weights: current weights, see `read_weights`.
        given: non-batch shape of the layer's input.
    """
    vectors = _channel_vectors(layer, affine, given)
    if isinstance(vectors, Refusal):
        return vectors
    if affine.has_shift and not isinstance(layer, layers.Dense):
        obstacle = _zeros_at_the_border(layer, given)
        if obstacle is not None:
            return obstacle
    return _FORWARD[type(layer)](layer, weights, *vectors)


def read_weights(layer: Any) -> Weights | Refusal:
    """A built layer's kernels and bias in float64, by attribute name."""
    if layer.quantization_mode is not None or getattr(layer, "lora_enabled", False):
        return Refusal(f"{layer.name} is quantized or has LoRA weights")
    names = [
        name for name in ("kernel", "depthwise_kernel", "pointwise_kernel") if hasattr(layer, name)
    ]
    weights = {name: _float64(getattr(layer, name)) for name in names}
    weights["bias"] = (
        _float64(layer.bias) if layer.use_bias else np.zeros(_output_channels(layer, weights))
    )
    return weights


@folds_backward(*_CONVOLUTIONS, layers.Dense)
def _scale_filters(layer: Any, weights: Weights, scale: Array, shift: Array) -> Weights:
    return {"kernel": weights["kernel"] * scale, "bias": weights["bias"] * scale + shift}


@folds_backward(*_TRANSPOSED)
def _scale_transposed(layer: Any, weights: Weights, scale: Array, shift: Array) -> Weights:
    # Transposed kernels are (..., filters, input channels).
    kernel = weights["kernel"] * scale[:, np.newaxis]
    return {"kernel": kernel, "bias": weights["bias"] * scale + shift}


@folds_backward(*_DEPTHWISE)
def _scale_depthwise(layer: Any, weights: Weights, scale: Array, shift: Array) -> Weights:
    # (..., channels, multiplier): output channel is channel * multiplier + index.
    kernel = weights["kernel"]
    return {
        "kernel": kernel * scale.reshape(kernel.shape[-2:]),
        "bias": weights["bias"] * scale + shift,
    }


@folds_backward(*_SEPARABLE)
def _scale_separable(layer: Any, weights: Weights, scale: Array, shift: Array) -> Weights:
    return {
        "depthwise_kernel": weights["depthwise_kernel"],
        "pointwise_kernel": weights["pointwise_kernel"] * scale,
        "bias": weights["bias"] * scale + shift,
    }


@folds_forward(*_CONVOLUTIONS)
def _scale_input_channels(layer: Any, weights: Weights, scale: Array, shift: Array) -> Weights:
    kernel = weights["kernel"]
    groups = scale.size // kernel.shape[-2]
    filters_per_group = kernel.shape[-1] // groups
    # (input channels per group, filters): each filter sees the channels of its own group.
    scales = np.repeat(scale.reshape(groups, -1).T, filters_per_group, axis=1)
    shifts = np.repeat(shift.reshape(groups, -1).T, filters_per_group, axis=1)
    over_window = tuple(range(kernel.ndim - 1))
    return {
        "kernel": kernel * scales,
        "bias": weights["bias"] + np.sum(kernel * shifts, axis=over_window),
    }


@folds_forward(layers.Dense)
def _scale_rows(layer: Any, weights: Weights, scale: Array, shift: Array) -> Weights:
    kernel = weights["kernel"]
    return {"kernel": kernel * scale[:, np.newaxis], "bias": weights["bias"] + shift @ kernel}


@folds_forward(*_TRANSPOSED)
def _scale_transposed_input(layer: Any, weights: Weights, scale: Array, shift: Array) -> Weights:
    # An offset gets here only if every output is made of exactly one input.
    kernel = weights["kernel"]
    over_window = (*range(kernel.ndim - 2), kernel.ndim - 1)
    return {
        "kernel": kernel * scale,
        "bias": weights["bias"] + np.sum(kernel * shift, axis=over_window),
    }


@folds_forward(*_DEPTHWISE)
def _scale_depthwise_input(layer: Any, weights: Weights, scale: Array, shift: Array) -> Weights:
    kernel, offset = _through_depthwise(weights["kernel"], scale, shift)
    return {"kernel": kernel, "bias": weights["bias"] + offset}


@folds_forward(*_SEPARABLE)
def _scale_separable_input(layer: Any, weights: Weights, scale: Array, shift: Array) -> Weights:
    kernel, offset = _through_depthwise(weights["depthwise_kernel"], scale, shift)
    pointwise = weights["pointwise_kernel"]
    matrix = pointwise.reshape(pointwise.shape[-2:])
    return {
        "depthwise_kernel": kernel,
        "pointwise_kernel": pointwise,
        "bias": weights["bias"] + offset @ matrix,
    }


def _through_depthwise(kernel: Array, scale: Array, shift: Array) -> tuple[Array, Array]:
    over_window = tuple(range(kernel.ndim - 2))
    offset = np.sum(kernel * shift[:, np.newaxis], axis=over_window).reshape(-1)
    return kernel * scale[:, np.newaxis], offset


def _channel_vectors(layer: Any, affine: Affine, shape: Shape) -> tuple[Array, Array] | Refusal:
    first = getattr(layer, "data_format", "channels_last") == "channels_first"
    axis = 0 if first else len(shape) - 1
    channels = shape[axis]
    vectors = None if channels is None else affine.vectors(axis, channels)
    if vectors is None:
        return Refusal(f"it differs along another axis than the channels of {layer.name}")
    return vectors


def _zeros_at_the_border(layer: Any, given: Shape) -> Refusal | None:
    """Why an offset is not the same for every output: zeros enter windows after it was added."""
    window = layer.kernel_size
    if all(size == 1 for size in window) and isinstance(layer, _TRANSPOSED):
        window = layer.strides  # with stride 1 each output is one input; else gaps hold zeros
    if all(size == 1 for size in window):
        return None
    if isinstance(layer, _TRANSPOSED):
        return Refusal(f"its offset is not zero and {layer.name} overlaps unevenly at the border")
    if layer.padding == "valid":
        return None
    if layer.padding == "same" and not _pads(layer, given):
        return None
    return Refusal(f"its offset is not zero and {layer.name} pads ({layer.padding}) with zeros")


def _pads(layer: Any, given: Shape) -> bool:
    """Whether "same" padding adds anything (https://www.tensorflow.org/api_docs/python/tf/nn)."""
    space = given[1:] if layer.data_format == "channels_first" else given[:-1]
    for length, size, stride, dilation in zip(
        space, layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
    ):
        if length is None:
            return True
        outputs = -(-length // stride)
        if (outputs - 1) * stride + (size - 1) * dilation + 1 > length:
            return True
    return False


def _output_channels(layer: Any, weights: Weights) -> int:
    if isinstance(layer, _DEPTHWISE):
        channels, multiplier = weights["kernel"].shape[-2:]
        return int(channels * multiplier)
    if isinstance(layer, _TRANSPOSED):
        return int(weights["kernel"].shape[-2])
    last = weights.get("pointwise_kernel", weights.get("kernel"))
    assert last is not None
    return int(last.shape[-1])


def _float64(variable: Any) -> Array:
    return np.asarray(keras.ops.convert_to_numpy(variable), dtype=np.float64)
