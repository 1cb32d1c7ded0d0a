"""The largest batch whose memory fits into a limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tftrace.counts.memory import Memory

MOST_SAMPLES = 2**31 - 1


@dataclass(frozen=True)
class FittingBatch:
    """The largest batch that fits.

    Attributes:
        limit: in bytes.
        batch: samples; 0 where not even one fits, None where the memory is not known.
        memories: of that batch and of one sample more, each computed; where it is not known, of
            the batch whose note says why.
    """

    limit: int
    batch: int | None
    memories: tuple[Memory, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        memories = [memory.to_dict() for memory in self.memories]
        return {"schema": 1, "limit_bytes": self.limit, "batch": self.batch, "memory": memories}


def find_fitting(memory_at: Callable[[int], Memory], limit: int) -> FittingBatch:
    """The batch that takes at most ``limit`` bytes in all, while one sample more takes more.

    Memory grows with the batch, most often along a line: the next size to try is where the line
    through the two nearest sizes meets the limit, or the middle where that line leads nowhere.

    Args:
        memory_at: what a batch of so many samples takes.
    """
    known: dict[int, Memory] = {}

    def total(batch: int) -> int | None:
        if batch not in known:
            known[batch] = memory_at(batch)
        return known[batch].total_bytes

    fits, too_large, next_size = 0, MOST_SAMPLES + 1, 1
    while too_large - fits > 1:
        size = total(next_size)
        if size is None:
            return FittingBatch(limit, None, (known[next_size],))
        if size <= limit:
            fits = next_size
        else:
            too_large = next_size
        next_size = _next(known, limit, fits, too_large)
    around = tuple(known[batch] for batch in (fits, too_large) if batch in known)
    return FittingBatch(limit, fits, around)


def _next(known: dict[int, Memory], limit: int, fits: int, too_large: int) -> int:
    """Between what fits and what does not; twice as much where nothing is too large yet."""
    sizes = sorted(known, key=lambda batch: abs((known[batch].total_bytes or 0) - limit))[:2]
    middle = (fits + too_large) // 2 if too_large <= MOST_SAMPLES else 2 * max(fits, 1)
    guess = middle
    if len(sizes) == 2:
        low, high = sorted(sizes)
        at_low, at_high = (known[batch].total_bytes or 0 for batch in (low, high))
        if at_high > at_low:
            guess = low + (limit - at_low) * (high - low) // (at_high - at_low)
            guess = min(guess, MOST_SAMPLES)
            # The line is met: what is left is whether one sample more is too large.
            guess += guess == fits
            guess -= guess == too_large
    inside = fits < guess < too_large
    return min(guess if inside else max(middle, fits + 1), MOST_SAMPLES)
