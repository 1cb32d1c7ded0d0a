"""Sets of time: sorted, disjoint [start, end) spans as an int64 array of shape (n, 2), in ps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Spans = npt.NDArray[np.int64]


def spans(start: npt.ArrayLike, end: npt.ArrayLike) -> Spans:
    """The union of the intervals [start, end), in any order, empty ones dropped."""
    begin = np.asarray(start, np.int64).ravel()
    stop = np.asarray(end, np.int64).ravel()
    whole = stop > begin
    begin, stop = begin[whole], stop[whole]
    if not len(begin):
        return np.empty((0, 2), np.int64)
    order = np.argsort(begin, kind="stable")
    begin, stop = begin[order], np.maximum.accumulate(stop[order])
    first = np.r_[True, begin[1:] > stop[:-1]]
    last = np.r_[np.flatnonzero(first)[1:] - 1, len(begin) - 1]
    return np.stack([begin[first], stop[last]], axis=1)


def grouped_spans(
    group: npt.ArrayLike, start: npt.ArrayLike, end: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], Spans]:
    """The union of the intervals of each group: group of every span, and the spans."""
    owner, begin, stop = (np.asarray(a, np.int64) for a in (group, start, end))
    if not len(owner):
        return owner, np.empty((0, 2), np.int64)
    order = np.lexsort((begin, owner))
    owner, begin, stop = owner[order], begin[order], stop[order]
    # Ranks instead of times keep group and time together within one integer.
    times, rank = np.unique(np.r_[begin, stop], return_inverse=True)
    low = owner * len(times) + rank[: len(begin)]
    high = np.maximum.accumulate(owner * len(times) + rank[len(begin) :])
    first = np.r_[True, low[1:] > high[:-1]]
    last = np.r_[np.flatnonzero(first)[1:] - 1, len(begin) - 1]
    return owner[first], np.stack([begin[first], times[high[last] % len(times)]], axis=1)


def length(a: Spans) -> int:
    """Total length in ps."""
    return int((a[:, 1] - a[:, 0]).sum())


def union(a: Spans, b: Spans) -> Spans:
    """What is in either."""
    return spans(np.r_[a[:, 0], b[:, 0]], np.r_[a[:, 1], b[:, 1]])


def subtract(a: Spans, b: Spans) -> Spans:
    """What is in ``a`` but not in ``b``."""
    if not len(a) or not len(b):
        return a
    # The gaps of b, reaching beyond a on both sides.
    low = min(a[0, 0], b[0, 0]) - 1
    high = max(a[-1, 1], b[-1, 1]) + 1
    gaps = np.stack([np.r_[low, b[:, 1]], np.r_[b[:, 0], high]], axis=1)
    return intersect(a, gaps)


def intersect(a: Spans, b: Spans) -> Spans:
    """What is in both."""
    if not len(a) or not len(b):
        return np.empty((0, 2), np.int64)
    first = np.searchsorted(b[:, 1], a[:, 0], side="right")
    stop = np.searchsorted(b[:, 0], a[:, 1], side="left")
    pairs = np.maximum(stop - first, 0)
    left = np.repeat(np.arange(len(a)), pairs)
    right = np.arange(pairs.sum()) - np.repeat(np.cumsum(pairs) - pairs, pairs)
    right += np.repeat(first, pairs)
    begin = np.maximum(a[left, 0], b[right, 0])
    end = np.minimum(a[left, 1], b[right, 1])
    return spans(begin, end)
