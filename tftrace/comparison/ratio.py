"""Two ways to predict, measured in turn in one process, and what their times really show."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_RESAMPLES = 10_000
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Ratio:
    """Ratio of the medians, B to A, with its bootstrap interval.

    ``resolvable`` is False when the interval includes 1: the passes do not show a difference.
    """

    ratio: float
    low: float
    high: float
    confidence: float
    pairs: int

    @property
    def resolvable(self) -> bool:
        """Whether the interval excludes 1."""
        return not self.low <= 1 <= self.high

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "ratio": self.ratio,
            "low": self.low,
            "high": self.high,
            "confidence": self.confidence,
            "pairs": self.pairs,
            "resolvable": self.resolvable,
        }


def interleave(
    first: Callable[[], Any], second: Callable[[], Any], pairs: int, warmup: int = 1
) -> tuple[list[float], list[float]]:
    """Time both in turn, ``pairs`` times each; ms.

    The order alternates (A B, B A, …), so that neither always runs on what the other left behind.
    """
    for _ in range(warmup):
        first()
        second()
    times: tuple[list[float], list[float]] = ([], [])
    for pair in range(pairs):
        order = ((0, first), (1, second)) if pair % 2 == 0 else ((1, second), (0, first))
        for which, run in order:
            begin = time.perf_counter()
            run()
            times[which].append((time.perf_counter() - begin) * 1e3)
    return times


def ratio_of(a: Sequence[float], b: Sequence[float], seed: int = 0) -> Ratio:
    """Ratio of the median of ``b`` to that of ``a``, with a percentile bootstrap interval.

    Pairs are resampled together, since what disturbs the machine disturbs neighbours alike
    (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).

    Raises:
        ValueError: the lists are empty or of different lengths.
    """
    if len(a) != len(b) or len(a) == 0:
        raise ValueError("ratio_of needs as many times of a as of b, and at least one")
    left, right = np.asarray(a), np.asarray(b)
    picks = np.random.default_rng(seed).integers(0, len(a), (_RESAMPLES, len(a)))
    ratios = np.median(right[picks], axis=1) / np.median(left[picks], axis=1)
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return Ratio(
        ratio=float(np.median(right) / np.median(left)),
        low=float(low),
        high=float(high),
        confidence=_CONFIDENCE,
        pairs=len(a),
    )
