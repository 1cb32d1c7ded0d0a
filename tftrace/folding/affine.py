"""A per-channel affine map `scale * x + shift`, and where on a tensor it applies.

Inference-time batch normalization is such a map (Ioffe & Szegedy 2015, section 3.1,
https://arxiv.org/abs/1502.03167): `gamma * (x - mean) / sqrt(variance + epsilon) + beta`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
Shape: TypeAlias = tuple[int | None, ...]


@dataclass(frozen=True)
class Refusal:
    """Why a fold is not exact, as a sentence fragment for people."""

    reason: str


@dataclass(frozen=True, eq=False)
class Affine:
    """`y = scale * x + shift` over a tensor's axes without the batch axis.

    Attributes:
        scale: float64, one axis per non-batch axis of the tensor; length 1 where it does not vary.
        shift: the same for the offset.
    """

    scale: Array
    shift: Array

    @property
    def rank(self) -> int:
        """Number of axes, batch excluded."""
        return self.scale.ndim

    @property
    def has_shift(self) -> bool:
        """True if any offset differs from zero."""
        return bool(np.any(self.shift != 0))

    def same_as(self, other: Affine) -> bool:
        """True if both are the same map, exactly."""
        return np.array_equal(self.scale, other.scale) and np.array_equal(self.shift, other.shift)

    def varies_along(self) -> set[int]:
        """Axes (batch excluded) along which scale or shift differ."""
        return {
            axis
            for axis in range(self.rank)
            if self.scale.shape[axis] > 1 or self.shift.shape[axis] > 1
        }

    def vectors(self, axis: int, size: int) -> tuple[Array, Array] | None:
        """Scale and shift as two vectors of `size` along `axis`; None if they vary elsewhere."""
        axis %= self.rank
        if self.varies_along() - {axis}:
            return None
        scale = np.broadcast_to(self.scale.reshape(-1), (size,))
        shift = np.broadcast_to(self.shift.reshape(-1), (size,))
        return scale, shift

    def reshaped(self, source: Shape, target: Shape) -> Affine | None:
        """The same map after a row-major reshape between two non-batch shapes.

        Returns:
            None if it varies and a length it would need is unknown.
        """
        axes = self.varies_along()
        if not axes:
            return Affine(
                self.scale.reshape((1,) * len(target)), self.shift.reshape((1,) * len(target))
            )
        last = self.rank - 1
        if axes == {last} and source[-1] is not None and source[-1] == target[-1]:
            return Affine(_on_last_axis(self.scale, target), _on_last_axis(self.shift, target))
        known = [length for length in source if length is not None]
        if len(known) < len(source) or None in target:
            return None
        if math.prod(known) != math.prod(length for length in target if length is not None):
            return None
        scale = np.broadcast_to(self.scale, tuple(known)).reshape(target)
        shift = np.broadcast_to(self.shift, tuple(known)).reshape(target)
        return Affine(_collapse_constant(scale), _collapse_constant(shift))


def affine_of_batch_norm(layer: keras.layers.BatchNormalization, rank: int) -> Affine | Refusal:
    """The map a BatchNormalization applies at inference, in float64.

    Args:
        layer: a built layer.
        rank: rank of its input, batch axis included.
    """
    axis = layer.axis % rank
    if axis == 0:
        return Refusal("it normalizes along the batch axis")
    variance = _float64(layer.moving_variance)
    gamma = _float64(layer.gamma) if layer.scale else np.ones_like(variance)
    beta = _float64(layer.beta) if layer.center else np.zeros_like(variance)
    scale = gamma / np.sqrt(variance + layer.epsilon)
    shift = beta - _float64(layer.moving_mean) * scale
    if not (np.all(np.isfinite(scale)) and np.all(np.isfinite(shift))):
        return Refusal("its statistics are not finite")
    shape = [1] * (rank - 1)
    shape[axis - 1] = -1
    return Affine(scale.reshape(shape), shift.reshape(shape))


def _float64(variable: Any) -> Array:
    return np.asarray(keras.ops.convert_to_numpy(variable), dtype=np.float64)


def _on_last_axis(values: Array, target: Shape) -> Array:
    return values.reshape((1,) * (len(target) - 1) + (-1,))


def _collapse_constant(values: Array) -> Array:
    for axis in range(values.ndim):
        first = np.take(values, [0], axis=axis)
        if np.array_equal(np.broadcast_to(first, values.shape), values):
            values = first
    return values
