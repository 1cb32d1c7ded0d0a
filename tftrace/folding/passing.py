"""Moving an affine map past a layer that holds no weights.

A rule answers: if `affine` is applied on one side of the layer, which map on its other side gives
the same result? `source` and `target` are the non-batch shapes of the side left and the side
reached, so one rule serves both directions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import layers

from tftrace.folding.affine import Affine, Array, Refusal, Shape

PassRule: TypeAlias = Callable[[Any, Affine, Shape, Shape], Affine | Refusal]

_RULES: dict[type, PassRule] = {}


def passes(*layer_types: type) -> Callable[[PassRule], PassRule]:
    """Register a rule for layers of exactly these types (a subclass may do anything)."""

    def register(rule: PassRule) -> PassRule:
        _RULES.update(dict.fromkeys(layer_types, rule))
        return rule

    return register


def move_past(layer: Any, affine: Affine, source: Shape, target: Shape) -> Affine | Refusal:
    """The equivalent map on the other side of `layer`, or why there is none.

    Args:
        source: non-batch shape of the tensor that `affine` applies to.
        target: non-batch shape of the tensor on the layer's other side.
    """
    rule = _RULES.get(type(layer))
    if rule is None:
        return Refusal(f"no exact rule moves it past {describe(layer)}")
    return rule(layer, affine, source, target)


def describe(layer: Any) -> str:
    """A layer for a reason: `relu_1 (ReLU)`; an activation by what it computes."""
    kind = type(layer).__name__
    if isinstance(layer, layers.Activation):
        kind = f"Activation {getattr(layer.activation, '__name__', layer.activation)}"
    return f"{layer.name} ({kind})"


@passes(
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.AlphaDropout,
    layers.ActivityRegularization,
    layers.Identity,
)
def _identity(layer: Any, affine: Affine, source: Shape, target: Shape) -> Affine | Refusal:
    return affine


@passes(layers.Activation)
def _activation(layer: Any, affine: Affine, source: Shape, target: Shape) -> Affine | Refusal:
    if layer.activation is keras.activations.linear:
        return affine
    return Refusal(f"{describe(layer)} is not linear")


@passes(layers.Flatten, layers.Reshape)
def _reshape(layer: Any, affine: Affine, source: Shape, target: Shape) -> Affine | Refusal:
    if getattr(layer, "data_format", None) == "channels_first":
        return Refusal(f"{describe(layer)} with channels first moves the channels")
    moved = affine.reshaped(source, target)
    if moved is None:
        return Refusal(f"the shape at {describe(layer)} is not known, so nor is a channel's place")
    return moved


@passes(
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.UpSampling1D,
    layers.UpSampling2D,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Cropping3D,
    layers.UpSampling3D,
)
def _spatial_mean(layer: Any, affine: Affine, source: Shape, target: Shape) -> Affine | Refusal:
    # Every output is a mean of inputs of its channel with weights that sum to 1; TensorFlow's
    # average pooling with "same" padding leaves the padding out of the mean, so it is one as well.
    if getattr(layer, "interpolation", "nearest") not in ("nearest", "bilinear"):
        return Refusal(f"the weights of {describe(layer)} are not known to sum to one")
    return _constant_over_space(layer, affine)


@passes(layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D)
def _maximum(layer: Any, affine: Affine, source: Shape, target: Shape) -> Affine | Refusal:
    if np.any(affine.scale < 0):
        return Refusal(f"a negative scale does not commute with the maximum of {describe(layer)}")
    return _constant_over_space(layer, affine)


@passes(layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)
def _zero_padding(layer: Any, affine: Affine, source: Shape, target: Shape) -> Affine | Refusal:
    if affine.has_shift:
        return Refusal(f"its offset is not zero and {describe(layer)} pads with zeros")
    return _constant_over_space(layer, affine)


@passes(
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
)
def _global_mean(layer: Any, affine: Affine, source: Shape, target: Shape) -> Affine | Refusal:
    return _between_space_and_vector(layer, affine, len(target))


@passes(layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D)
def _global_maximum(layer: Any, affine: Affine, source: Shape, target: Shape) -> Affine | Refusal:
    if np.any(affine.scale < 0):
        return Refusal(f"a negative scale does not commute with the maximum of {describe(layer)}")
    return _between_space_and_vector(layer, affine, len(target))


def _constant_over_space(layer: Any, affine: Affine) -> Affine | Refusal:
    if affine.varies_along() - {_channel_axis(layer, affine.rank)}:
        return Refusal(f"it differs from position to position at {describe(layer)}")
    return affine


def _between_space_and_vector(layer: Any, affine: Affine, target_rank: int) -> Affine | Refusal:
    axis = _channel_axis(layer, affine.rank)
    if affine.varies_along() - {axis}:
        return Refusal(f"it differs from position to position at {describe(layer)}")
    shape = [1] * target_rank
    shape[_channel_axis(layer, target_rank)] = -1

    def placed(values: Array) -> Array:
        return values.reshape(shape)

    return Affine(placed(affine.scale), placed(affine.shift))


def _channel_axis(layer: Any, rank: int) -> int:
    first = getattr(layer, "data_format", "channels_last") == "channels_first"
    return 0 if first else rank - 1
