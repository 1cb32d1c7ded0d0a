"""Clean latency: the untraced passes whose figures people quote."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import Any

from tftrace.runs.manifest import Passes

_SUSPECT_SPREAD = 0.25


def passes(all_ms: list[float]) -> Passes:
    """Median, interquartile range, minimum, n, and a warning when the spread is suspect.

    Args:
        all_ms: wall times in the order measured, at least one.
    """
    middle = median(all_ms)
    iqr = None
    if len(all_ms) > 1:
        low, _, high = quantiles(all_ms, n=4, method="inclusive")
        iqr = high - low
    return Passes(
        median_ms=middle,
        iqr_ms=iqr,
        min_ms=min(all_ms),
        n=len(all_ms),
        all_ms=all_ms,
        warning=_warning(middle, iqr or 0.0, len(all_ms)),
    )


def measure(run: Callable[[], Any], repeats: int) -> list[float]:
    """Run ``run`` ``repeats`` times; the wall time of each in ms."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        times.append((time.perf_counter() - begin) * 1e3)
    return times


def _warning(middle: float, iqr: float, n: int) -> str | None:
    if n < 3:
        return f"only {n} measured pass{'es' if n > 1 else ''}: the spread is unknown"
    if iqr > _SUSPECT_SPREAD * middle:
        return f"noisy: the middle half of the passes spreads over {iqr / middle:.0%} of the median"
    return None
