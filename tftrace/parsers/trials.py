"""Kernels of a GPU that cuDNN only tried, to find its fastest algorithm."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

AUTOTUNING = "autotuning"
"""Type of the kernels that were only tried."""

CHECK = "redzone_checker"
"""Every trial is followed by kernels of this name, which check that it wrote nothing beyond its
output."""


def only_tried(
    op: npt.NDArray[np.integer],
    group: npt.NDArray[np.integer],
    start: npt.NDArray[np.int64],
    check: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    """Which kernels were only tried: what an operation runs in a step up to its last check.

    The kernel that counts runs after them all.

    Args:
        op, group, start: per kernel its operation and step (any numbers), and its begin.
        check: which of them are checks.
    """
    if not check.any():
        return np.zeros(len(op), bool)
    _, key = np.unique(np.stack([op, group], axis=1), axis=0, return_inverse=True)
    key = key.reshape(-1)
    last = np.full(int(key.max()) + 1, np.iinfo(np.int64).min)
    np.maximum.at(last, key[check], start[check])
    tried: npt.NDArray[np.bool_] = start <= last[key]
    return tried
