"""Time of a kernel as a sum of a few non-negative costs, learned from samples.

Each family of kernels names the quantities its time grows with (multiply-accumulates, bytes,
window positions, ...); a fit is one price per quantity, in seconds. Prices cannot be negative, so a
fit can be read and never predicts a negative time outside of what it has seen. Errors count in
proportion to the time, since a network has kernels of microseconds and of seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tftrace.machine.kernels import KernelWork

Quantities: TypeAlias = dict[str, float]
Array: TypeAlias = npt.NDArray[np.float64]

_L1_BYTES = 32 * 1024
_IN_CACHE_BYTES = 4 * 1024 * 1024
_THREAD_THRESHOLDS = (0.0, 2e5, 4e5, 8e5, 1.6e6, 3.2e6)
_ROUNDS = 8
_GROUPED = "Conv2D, grouped"
_NEGLIGIBLE_SECONDS = 5e-6  # what the executor needs for an operation anyway


@dataclass(frozen=True)
class KernelFit:
    """Prices of one kernel type.

    Attributes:
        prices: seconds per unit of each quantity.
        threshold: bytes from which the kernel is split over threads, which has a price of its own.
        spread: standard deviation of log(predicted / measured) over held-out samples.
        n: number of samples.
    """

    prices: Mapping[str, float]
    threshold: float
    spread: float
    n: int

    def seconds(self, work: KernelWork) -> float:
        """Predicted seconds of one execution."""
        quantities = quantities_of(work, self.threshold)
        return sum(self.prices.get(name, 0.0) * amount for name, amount in quantities.items())

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self) | {"prices": dict(self.prices)}


def fit_key(work: KernelWork) -> str:
    """Which fit a kernel belongs to: its type, whether an operand is broadcast, or in groups."""
    if work.op_type == "Conv2D" and work.groups > 1:
        return _GROUPED
    return f"{work.op_type}, broadcast" if work.broadcast else work.op_type


def quantities_of(work: KernelWork, threshold: float) -> Quantities:
    """The quantities that the kernel's family is priced by."""
    family = _FAMILIES.get(fit_key(work), _streaming)
    fresh = float(work.bytes_out) if work.fresh else 0.0
    return family(work, work.bytes >= threshold) | {"fresh_bytes": fresh}


def fit_kernels(samples: Iterable[tuple[KernelWork, float]]) -> dict[str, KernelFit]:
    """One fit per kernel type from (work, seconds); types with fewer than eight are left out."""
    by_key: dict[str, list[tuple[KernelWork, float]]] = {}
    for work, seconds in samples:
        if seconds > 0:  # a difference of two noisy times can come out negative
            by_key.setdefault(fit_key(work), []).append((work, seconds))
    return {key: _fit(group) for key, group in by_key.items() if len(group) >= 8}


def _convolution(work: KernelWork, threaded: bool) -> Quantities:
    # TensorFlow's CPU convolution is a matrix product, (positions x window) by (window x filters);
    # packing either side and writing the result cost memory traffic beside the arithmetic.
    depth = work.window * work.cin / work.groups
    copied = work.window > 1 or work.stride > 1
    elements = work.rows * depth * work.groups
    # Windows are gathered four channels at a time where the channels allow it, and once more for
    # each block of filters.
    ragged = copied and work.cin / work.groups % 4 != 0
    return {
        "macs": work.macs,
        "macs_beyond_block": work.macs * max(0.0, math.log2(work.cout / 256)) if copied else 0.0,
        "window_elements": elements if copied and not ragged else 0.0,
        "ragged_window_elements": elements if ragged else 0.0,
        "input_elements": 0.0 if copied else elements,
        "output_elements": float(work.rows * work.cout),
        "weights": depth * work.cout,
        "calls": 1.0,
    }


def _grouped_convolution(work: KernelWork, threaded: bool) -> Quantities:
    # XLA's CPU convolution makes a small matrix product for each position and group.
    depth = work.window * work.cin / work.groups
    ragged = work.cin / work.groups % 4 != 0
    elements = work.rows * depth * work.groups
    return {
        "macs": work.macs,
        "products": float(work.rows * work.groups),
        "window_elements": 0.0 if ragged else elements,
        "ragged_window_elements": elements if ragged else 0.0,
        "output_elements": float(work.rows * work.cout),
        "calls": 1.0,
    }


def _depthwise(work: KernelWork, threaded: bool) -> Quantities:
    # The kernel gathers one window of all channels per position; once that no longer fits the
    # first-level cache, each multiplication waits for the next level.
    footprint = 4 * work.window * work.cin
    return {
        "macs": work.macs,
        "macs_beyond_l1": work.macs * max(0.0, math.log2(2 * footprint / _L1_BYTES)),
        "window_positions": float(work.rows * work.window),
        "bytes": float(work.bytes),
        "calls": 1.0,
    }


def _matrix_product(work: KernelWork, threaded: bool) -> Quantities:
    return {
        "macs": work.macs,
        "left": float(work.rows * work.cin),
        "right": float(work.macs / max(1, work.rows)),
        "output": float(work.rows * work.cout),
        "calls": 1.0,
    }


def _pool(work: KernelWork, threaded: bool) -> Quantities:
    return {
        "bytes": float(work.bytes),
        "bytes_beyond_cache": float(max(0, work.bytes - _IN_CACHE_BYTES)),
        "window_elements": float(work.rows * work.window * work.cout),
        "window_positions": float(work.rows * work.window),
        "calls": 1.0,
    }


def _streaming(work: KernelWork, threaded: bool) -> Quantities:
    """Every element once: bytes at one price inside a core, another when split over threads."""
    return {
        "bytes_one_thread": 0.0 if threaded else float(work.bytes),
        "bytes": float(work.bytes) if threaded else 0.0,
        "bytes_beyond_cache": float(max(0, work.bytes - _IN_CACHE_BYTES)),
        "positions": float(work.rows),
        "threaded_calls": 1.0 if threaded else 0.0,
        "calls": 1.0,
    }


_FAMILIES: dict[str, Callable[[KernelWork, bool], Quantities]] = {
    "Conv2D": _convolution,
    _GROUPED: _grouped_convolution,
    "DepthwiseConv2dNative": _depthwise,
    "MatMul": _matrix_product,
    "MaxPool": _pool,
    "AvgPool": _pool,
}


def _fit(group: list[tuple[KernelWork, float]]) -> KernelFit:
    splits = fit_key(group[0][0]) not in _FAMILIES
    candidates = _THREAD_THRESHOLDS if splits else (0.0,)
    fits = [_fit_with_threshold(group, threshold) for threshold in candidates]
    return min(fits, key=lambda fit: fit.spread)


def _fit_with_threshold(group: list[tuple[KernelWork, float]], threshold: float) -> KernelFit:
    rows = [quantities_of(work, threshold) for work, _ in group]
    names = list(rows[0])
    matrix = np.array([[row[name] for name in names] for row in rows], dtype=np.float64)
    seconds = np.array([time for _, time in group], dtype=np.float64)
    prices = _balanced_prices(matrix, seconds)
    return KernelFit(
        prices=dict(zip(names, (float(price) for price in prices), strict=True)),
        threshold=threshold,
        spread=_held_out_spread(matrix, seconds),
        n=len(group),
    )


def _held_out_spread(matrix: Array, seconds: Array, folds: int = 5) -> float:
    """Standard deviation of the log error of each fold under the fit of the others."""
    fold = np.arange(len(seconds)) % folds
    errors = np.zeros(len(seconds))
    for held_out in range(folds):
        test = fold == held_out
        prices = _balanced_prices(matrix[~test], seconds[~test])
        predicted = matrix[test] @ prices
        errors[test] = np.log(
            (predicted + _NEGLIGIBLE_SECONDS) / (seconds[test] + _NEGLIGIBLE_SECONDS)
        )
    return float(np.sqrt(np.mean(errors**2)))


def _balanced_prices(matrix: Array, seconds: Array) -> Array:
    """Prices p >= 0 under which predicted over measured is 1 on average.

    Relative least squares alone would not do: a prediction of a tenth costs it less than one of
    twice the time, so it favors low prices. Weighting each squared error with
    `1 / (measured * predicted)`, predicted by the round before, makes both directions alike.
    """
    predicted = seconds
    for _ in range(_ROUNDS):
        weights = 1 / np.sqrt((seconds + _NEGLIGIBLE_SECONDS) * (predicted + _NEGLIGIBLE_SECONDS))
        prices = _non_negative_least_squares(matrix * weights[:, np.newaxis], seconds * weights)
        predicted = matrix @ prices
    return prices


def _non_negative_least_squares(matrix: Array, target: Array) -> Array:
    """Prices p >= 0 that minimize the sum of (matrix p - target)^2.

    The active-set method of Lawson and Hanson 1974, "Solving Least Squares Problems", chapter 23.
    """
    scale = np.linalg.norm(matrix, axis=0)
    scale[scale == 0] = 1.0
    gram = (matrix / scale).T @ (matrix / scale)
    aim = (matrix / scale).T @ target
    prices = np.zeros(matrix.shape[1])
    free = np.zeros(matrix.shape[1], dtype=bool)
    for _ in range(3 * matrix.shape[1]):
        slope = np.where(free, -np.inf, aim - gram @ prices)
        if slope.max() <= 1e-9 * np.abs(aim).max():
            break
        free[slope.argmax()] = True
        while True:
            solution = np.zeros_like(prices)
            solution[free] = np.linalg.lstsq(gram[np.ix_(free, free)], aim[free])[0]
            negative = free & (solution <= 0)
            if not negative.any():
                break
            # Walk towards the solution until the first price reaches zero; that one is fixed there.
            reach = prices[negative] / (prices[negative] - solution[negative])
            prices = prices + reach.min() * (solution - prices)
            free &= prices > 1e-14
            prices[~free] = 0.0
        prices = solution
    return np.asarray(prices / scale, dtype=np.float64)
