"""Timing a callable many times, and saying how steady the answer is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

NOISY_SPREAD = 0.2
"""Interquartile range over median above which a measurement is called noisy."""


@dataclass(frozen=True)
class Measured:
    """A quantity measured several times.

    Attributes:
        best: the repetition least disturbed by others (shortest time, highest rate).
        median: middle of the repetitions.
        iqr: third minus first quartile, same unit.
        n: number of repetitions.
    """

    best: float
    median: float
    iqr: float
    n: int

    @property
    def noisy(self) -> bool:
        """True if half of the repetitions differ by more than `NOISY_SPREAD` of the median."""
        return self.iqr > NOISY_SPREAD * abs(self.median)

    def map(self, function: Callable[[float], float]) -> Measured:
        """The same after a linear change of unit or origin."""
        return Measured(
            best=function(self.best),
            median=function(self.median),
            iqr=abs(function(self.median + self.iqr) - function(self.median)),
            n=self.n,
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


def measure_seconds(
    run: Callable[[], object],
    *,
    repeats: int = 7,
    at_least: float = 0.002,
    budget: float = 0.5,
) -> Measured:
    """Seconds for one call of `run`.

    Args:
        run: called once to warm up, then in timed blocks.
        repeats: blocks; at least two are run.
        at_least: seconds a block lasts at least (calls are repeated within it), so that the clock
            and the loop do not matter.
        budget: seconds after which no further block is begun.
    """
    run()
    calls = max(1, round(at_least / max(_block(run, 1), 1e-9)))
    began = time.perf_counter()
    seconds: list[float] = []
    while len(seconds) < 2 or (len(seconds) < repeats and time.perf_counter() - began < budget):
        seconds.append(_block(run, calls) / calls)
    return summarize(seconds, best=min)


def summarize(values: list[float], best: Callable[[list[float]], float]) -> Measured:
    """Median, quartiles and the best of at least two values."""
    if len(values) < 2:
        raise ValueError("a spread needs at least two values")
    quartiles = statistics.quantiles(values, n=4, method="inclusive")
    return Measured(
        best=best(values),
        median=statistics.median(values),
        iqr=quartiles[2] - quartiles[0],
        n=len(values),
    )


def pooled(rounds: Sequence[Measured]) -> Measured:
    """Rounds at several times as one measurement; what they disagree by is spread, too."""
    medians = [measured.median for measured in rounds]
    disagree = max(medians) - min(medians)
    if len(medians) > 2:  # the quartiles of two would be half as far apart as they are
        disagree = summarize(medians, best=min).iqr
    return Measured(
        best=min(measured.best for measured in rounds),
        median=statistics.median(medians),
        iqr=max(*(measured.iqr for measured in rounds), disagree),
        n=sum(measured.n for measured in rounds),
    )


def rate(work: float, seconds: Measured) -> Measured:
    """Work per second from a time: the spread is carried over in proportion."""
    relative = seconds.iqr / seconds.median
    return Measured(
        best=work / seconds.best,
        median=work / seconds.median,
        iqr=relative * work / seconds.median,
        n=seconds.n,
    )


def less(measured: Measured, overhead: float) -> Measured:
    """Without an overhead that was measured apart.

    Where the work nearly vanishes in the overhead their difference is worth little: at most half
    of what was measured is taken off, which understates a rate rather than inventing one.
    """
    return Measured(
        best=max(measured.best - overhead, measured.best / 2),
        median=max(measured.median - overhead, measured.median / 2),
        iqr=measured.iqr,
        n=measured.n,
    )


def _block(run: Callable[[], object], calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        run()
    return time.perf_counter() - began
