"""Entries that agree in several columns, put together."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from tftrace.native.loops import executions as execution_loops

Int32 = npt.NDArray[np.int32]


def grouped(*columns: npt.NDArray[np.integer | np.bool_]) -> list[tuple[tuple[int, ...], Int32]]:
    """What each group of entries has in the columns, and its entries, ascending.

    Groups are in the order of their first entries.
    """
    if not len(columns[0]):
        return []
    rank, count = _ranked(_code(columns))
    ends = np.cumsum(np.bincount(rank, minlength=count))
    order = np.empty(len(rank), np.int32)
    execution_loops.sort_by_rank(len(rank), rank, np.r_[0, ends[:-1]], order)
    members = np.split(order, ends[:-1])
    members.sort(key=lambda entries: int(entries[0]))
    return [(tuple(int(column[entries[0]]) for column in columns), entries) for entries in members]


def _code(columns: tuple[npt.NDArray[np.integer | np.bool_], ...]) -> npt.NDArray[np.integer]:
    """One number from 0 for what an entry has in all columns."""
    if any(int(column.max()) - int(column.min()) > 1 << 20 for column in columns):
        columns = tuple(np.unique(column, return_inverse=True)[1] for column in columns)
    lows = [int(column.min()) for column in columns]
    widths = [int(column.max()) - low + 1 for column, low in zip(columns, lows, strict=True)]
    dtype = np.int32 if math.prod(widths) < 1 << 31 else np.int64
    code = np.zeros(len(columns[0]), dtype)
    for column, low, width in zip(columns, lows, widths, strict=True):
        if width > 1:
            code *= width
            code += column if low == 0 else column.astype(dtype) - low
    return code


def _ranked(code: npt.NDArray[np.integer]) -> tuple[Int32, int]:
    """Codes as numbers without gaps, and how many numbers there are."""
    span = int(code.max()) + 1
    if span > 4 * len(code) + (1 << 16):
        values, rank = np.unique(code, return_inverse=True)
        return rank.astype(np.int32), len(values)
    there = np.zeros(span, bool)
    there[code] = True
    rank = np.cumsum(there, dtype=np.int32) - np.int32(1)
    return rank[code], int(there.sum())
