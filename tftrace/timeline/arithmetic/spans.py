"""Sets of time: sorted, disjoint [start, end) spans as an int64 array of shape (n, 2), in ps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tftrace.native.loops import spans as span_loops

Spans = npt.NDArray[np.int64]


def spans(start: npt.ArrayLike, end: npt.ArrayLike) -> Spans:
    """The union of the intervals [start, end), in any order, empty ones dropped."""
    begin, stop = (np.require(a, np.int64, ["C"]).ravel() for a in (start, end))
    if len(begin) != len(stop):  # the compiled loops do not check bounds
        raise ValueError("as many starts as ends are needed")
    out = np.empty((len(begin), 2), np.int64)
    order = np.argsort(begin, kind="stable")
    return out[: span_loops.merge(len(begin), order, begin, stop, out)]


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


def overlap(a: Spans, b: Spans) -> int:
    """Length in ps of what is in both."""
    return span_loops.overlap(len(a), a, len(b), b)


def union(a: Spans, b: Spans) -> Spans:
    """What is in either."""
    if not len(b):
        return a
    out = np.empty((len(a) + len(b), 2), np.int64)
    return out[: span_loops.unite(len(a), a, len(b), b, out)]


def subtract(a: Spans, b: Spans) -> Spans:
    """What is in ``a`` but not in ``b``."""
    out = np.empty((len(a) + len(b), 2), np.int64)
    return out[: span_loops.subtract(len(a), a, len(b), b, out)]


def intersect(a: Spans, b: Spans) -> Spans:
    """What is in both."""
    out = np.empty((len(a) + len(b), 2), np.int64)
    return out[: span_loops.intersect(len(a), a, len(b), b, out)]
