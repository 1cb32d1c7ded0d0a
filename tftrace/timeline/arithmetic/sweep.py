"""What nested intervals on several lines have of the time, in one sweep.

The same answer as `self_segments` and `concurrent_shares` of `intervals`, without the segments: a
trace has millions, and sorting them costs more than reading it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tftrace.native.loops import intervals as interval_loops
from tftrace.native.loops import sweep as sweep_loops

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]


class Swept(NamedTuple):
    """Per interval `own`, the time in which it is the innermost of its line, and `share`, what it
    has of that when every instant is shared equally by the lines active in it; `covered`, the
    disjoint spans in which any is, of shape (n, 2).
    """

    own: Int64
    share: npt.NDArray[np.float64]
    covered: Int64


def is_ordered(line: Int32, start: Int64, end: Int64) -> bool:
    """Whether intervals are in order of line, start, and the longest first."""
    return bool(interval_loops.is_ordered(len(line), line, start, end))


def sweep(line: Int32, start: Int64, end: Int64, ignored: npt.NDArray[np.bool_]) -> Swept:
    """Sweep over intervals in order (see `is_ordered`), but for those that are ignored."""
    if len({len(line), len(start), len(end), len(ignored)}) > 1:
        raise ValueError("columns of different lengths")
    bounds = np.flatnonzero(np.diff(line)) + 1
    first = np.r_[0, bounds] if len(line) else bounds
    lines = len(first)
    own, share = np.zeros(len(line), np.int64), np.zeros(len(line))
    covered = np.empty((len(line), 2), np.int64)
    count = sweep_loops.sweep(
        lines,
        first,
        np.r_[first[1:], len(line)][:lines],
        start,
        end,
        ignored.view(np.int8),
        np.empty(len(line), np.int64),
        np.zeros(lines, np.int64),
        np.empty(lines, np.int64),
        np.empty(lines),
        np.empty(lines, np.int64),
        np.empty(lines, np.int64),
        1 / np.maximum(np.arange(lines + 1), 1),
        own,
        share,
        covered,
    )
    return Swept(own, share, covered[:count])
