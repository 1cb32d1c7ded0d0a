"""Whether two models compute the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tftrace.errors import TftraceError

FLOAT_ROUNDING = 1e-3
"""Relative difference above which two models do not compute the same: float32 networks of 100
layers that do stay below 1e-4."""


_BATCHES = 2


def checked_difference(a: tuple[Any, int], b: tuple[Any, int], x: Any) -> float:
    """How much the outputs of a model and of the same with its weights frozen differ.

    Over the first batches of ``x``, relative to the outputs' scale; each model comes with its batch
    size.

    Raises:
        TftraceError: by more than float rounding explains.
    """
    from tftrace.machine.bench.batches import steady_batches
    from tftrace.tracer.data.inputs import fit_inputs, given, samples_of, take
    from tftrace.tracer.data.own_batches import OwnBatches

    found = []
    for model, batch_size in (a, b):
        fitted = fit_inputs(model, x)
        some = take(fitted, min(samples_of(fitted), _BATCHES * a[1]))
        own = isinstance(some, OwnBatches)
        batches = given(some, batch_size) if own else {"x": steady_batches(some, batch_size)}
        found.append(_flat(model.predict(**batches, verbose=0)))
    _, relative = differences(*found)
    if relative > FLOAT_ROUNDING:
        raise TftraceError(
            f"with frozen weights the outputs differ by {relative:.1e} of their scale, more than "
            "float rounding explains: the model changes what is frozen, or draws random numbers"
        )
    return relative


def differences(
    expected: Sequence[np.ndarray], actual: Sequence[np.ndarray]
) -> tuple[float, float]:
    """The largest difference over all outputs: absolute, and relative to the scale of its output.

    The scale is the largest absolute value expected. Equal infinities and two NaN are no
    difference; a NaN on one side alone is an infinite one.
    """
    absolute = [_difference(e, a) for e, a in zip(expected, actual, strict=True)]
    scales = [float(np.max(np.abs(e), initial=0.0)) for e in expected]
    relative = [_ratio(error, scale) for error, scale in zip(absolute, scales, strict=True)]
    return max(absolute, default=0.0), max(relative, default=0.0)


def _difference(expected: np.ndarray, actual: np.ndarray) -> float:
    e, a = np.asarray(expected, np.float64), np.asarray(actual, np.float64)
    with np.errstate(invalid="ignore"):
        found = np.where((e == a) | (np.isnan(e) & np.isnan(a)), 0.0, np.abs(e - a))
    return float(np.max(np.where(np.isnan(found), np.inf, found), initial=0.0))


def _ratio(error: float, scale: float) -> float:
    if error == 0:
        return 0.0
    return error / scale if scale > 0 else math.inf


def _flat(outputs: Any) -> list[Any]:
    """The arrays in a structure of lists, tuples and mappings."""
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    if isinstance(outputs, list | tuple):
        return [array for part in outputs for array in _flat(part)]
    return [outputs]
