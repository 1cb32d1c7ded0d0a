"""Clean latency: the untraced passes whose figures people quote."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

_SUSPECT_SPREAD = 0.25


@dataclass(frozen=True)
class Latency:
    """Wall times of whole predict passes in ms, in the order measured."""

    all_ms: list[float]

    def to_dict(self) -> dict[str, Any]:
        """Median, interquartile range, minimum, n, and a warning when the spread is suspect."""
        middle = median(self.all_ms)
        iqr = 0.0
        if len(self.all_ms) > 1:
            low, _, high = quantiles(self.all_ms, n=4, method="inclusive")
            iqr = high - low
        return {
            "median_ms": middle,
            "iqr_ms": iqr if len(self.all_ms) > 1 else None,
            "min_ms": min(self.all_ms),
            "n": len(self.all_ms),
            "all_ms": self.all_ms,
            "warning": _warning(middle, iqr, len(self.all_ms)),
        }


def measure(run: Callable[[], Any], repeats: int) -> Latency:
    """Run ``run`` ``repeats`` times and time each."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        times.append((time.perf_counter() - begin) * 1e3)
    return Latency(times)


def _warning(middle: float, iqr: float, n: int) -> str | None:
    if n < 3:
        return f"only {n} measured pass{'es' if n > 1 else ''}: the spread is unknown"
    if iqr > _SUSPECT_SPREAD * middle:
        return f"noisy: the middle half of the passes spreads over {iqr / middle:.0%} of the median"
    return None
