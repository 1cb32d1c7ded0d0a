"""Numbers and names as people read them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from math import floor

_UNITS = ("", "k", "M", "G", "T", "P")


# What a terminal would act on, or cannot show: control characters but for tab and line feed,
# marks that turn the direction of writing, half a surrogate pair.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """The text with each character that a terminal would act on, or cannot show, as ``\ufffd``.

    Names come from files of strangers: an escape sequence among them could rewrite the screen.
    """
    return _UNPRINTABLE.sub("\ufffd", text)


def count_text(value: float | int | None) -> str:
    """``884736`` -> ``884.7k``; a dash for unknown."""
    return "–" if value is None else _scaled(float(value), 1000, _UNITS)


def bytes_text(size: float | int | None) -> str:
    """``262160`` -> ``262.2 kB`` (powers of 1000); a dash for unknown."""
    if size is None:
        return "–"
    number = _scaled(float(size), 1000, _UNITS)
    head = number.rstrip("kMGTP")
    return f"{head} {number[len(head) :]}B"


def ms_text(value: float | None) -> str:
    """Milliseconds with three significant digits; a dash for unknown."""
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def share_text(value: float | None) -> str:
    """``0.0812`` -> ``8.1%``; tiny ones as ``<0.1%``; a dash for unknown."""
    if value is None:
        return "–"
    if 0 < value < 0.001:
        return "<0.1%"
    return f"{value:.1%}"


def _scaled(value: float, base: int, units: tuple[str, ...]) -> str:
    for unit in units:
        if abs(value) < base or unit == units[-1]:
            break
        value /= base
    whole = value == int(value) and abs(value) < 1000
    return f"{int(value)}{unit}" if whole else f"{value:.1f}{unit}"


def time_text(ms: float | None) -> str:
    """A time with its unit: ``98 us``, ``0.10 ms``, ``293 ms``, ``12.3 s``; a dash for unknown."""
    if ms is None:
        return "–"
    if ms < 0.1:
        return f"{ms * 1e3:.2g} us" if ms < 0.0099 else f"{ms * 1e3:.0f} us"
    if ms < 9995:
        return f"{ms_text(ms)} ms"
    return f"{ms_text(ms / 1e3)} s"


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """Each path with its shortest suffix, in whole parts, that no other path ends with.

    ``m/a/conv`` beside ``m/b/conv`` is ``a/conv``; ``m/a/dense`` is ``dense``. A path that another
    one ends with stays whole.
    """
    ending = Counter(suffix for path in set(paths) for suffix in _suffixes(path))
    return {path: next((s for s in _suffixes(path) if ending[s] == 1), path) for path in set(paths)}


def _suffixes(path: str) -> list[str]:
    """Shortest first, the path itself last."""
    parts = path.split("/")
    return ["/".join(parts[n:]) for n in range(len(parts) - 1, -1, -1)]


def percentages(shares: Sequence[float]) -> list[int]:
    """Whole percents of shares that sum to 1: they sum to 100, none off by one or more.

    What is cut off is given back to those that lost most (largest remainders).
    """
    exact = [100 * share for share in shares]
    whole = [floor(value) for value in exact]
    missing = round(sum(exact)) - sum(whole)
    lost = sorted(range(len(exact)), key=lambda n: whole[n] - exact[n])
    for n in lost[:missing]:
        whole[n] += 1
    return whole


class Stage(str):
    """What is being done, in words, for a ``progress`` that is called with it.

    Attributes:
        left: seconds until all is done, as far as they are known; None where nothing is.
        unplanned: whether it comes beside the stages that the command counts on.
        within: whether it is a word on the stage that goes on, not a new one.
    """

    left: float | None
    unplanned: bool
    within: bool

    def __new__(
        cls,
        words: str,
        left: float | None = None,
        unplanned: bool = False,
        within: bool = False,
    ) -> Stage:
        """The words, with what else is known."""
        stage = super().__new__(cls, words)
        stage.left, stage.unplanned, stage.within = left, unplanned, within
        return stage
