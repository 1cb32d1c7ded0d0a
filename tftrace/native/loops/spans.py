"""The compiled loops of `spans`: spans are pairs of numbers, low and high, one after the other."""

from __future__ import annotations

import numpy as np

from tftrace.native.jit import loop
from tftrace.native.language import Int, Int64s


@loop
def merge(n: Int, order: Int64s, start: Int64s, end: Int64s, out: Int64s) -> Int:
    """Fill `out` with the union of `n` intervals, ordered by start by `order`; returns how many."""
    count = 0
    for place in range(n):
        this = order[place]
        if end[this] <= start[this]:
            continue
        if count > 0 and start[this] <= out[2 * count - 1]:
            out[2 * count - 1] = max(out[2 * count - 1], end[this])
        else:
            out[2 * count] = start[this]
            out[2 * count + 1] = end[this]
            count += 1
    return count


@loop
def unite(n: Int, a: Int64s, m: Int, b: Int64s, out: Int64s) -> Int:
    """Fill `out`, room for `n` + `m` spans, with what is in either; returns how many there are."""
    count = 0
    i = 0
    j = 0
    while i < n or j < m:
        if j >= m or (i < n and a[2 * i] <= b[2 * j]):
            low = a[2 * i]
            high = a[2 * i + 1]
            i += 1
        else:
            low = b[2 * j]
            high = b[2 * j + 1]
            j += 1
        if count > 0 and low <= out[2 * count - 1]:
            out[2 * count - 1] = max(out[2 * count - 1], high)
        else:
            out[2 * count] = low
            out[2 * count + 1] = high
            count += 1
    return count


@loop
def overlap(n: Int, a: Int64s, m: Int, b: Int64s) -> Int:
    """The length of what is in both."""
    total = np.int64(0)
    i = 0
    j = 0
    while i < n and j < m:
        low = max(a[2 * i], b[2 * j])
        high = min(a[2 * i + 1], b[2 * j + 1])
        if low < high:
            total += high - low
        if a[2 * i + 1] < b[2 * j + 1]:
            i += 1
        else:
            j += 1
    return total


@loop
def intersect(n: Int, a: Int64s, m: Int, b: Int64s, out: Int64s) -> Int:
    """Fill `out`, room for `n` + `m` spans, with what is in both; returns how many there are."""
    count = 0
    i = 0
    j = 0
    while i < n and j < m:
        low = max(a[2 * i], b[2 * j])
        high = min(a[2 * i + 1], b[2 * j + 1])
        if low < high:
            out[2 * count] = low
            out[2 * count + 1] = high
            count += 1
        if a[2 * i + 1] < b[2 * j + 1]:
            i += 1
        else:
            j += 1
    return count


@loop
def subtract(n: Int, a: Int64s, m: Int, b: Int64s, out: Int64s) -> Int:
    """Fill `out`, room for `n` + `m` spans, with what is in `a` only; returns how many spans."""
    count = 0
    j = 0
    for i in range(n):
        low = a[2 * i]
        high = a[2 * i + 1]
        while j < m and b[2 * j] < high:
            if b[2 * j] > low:
                out[2 * count] = low
                out[2 * count + 1] = b[2 * j]
                count += 1
            low = max(low, b[2 * j + 1])
            if b[2 * j + 1] > high:
                break  # also covers what follows
            j += 1
        if low < high:
            out[2 * count] = low
            out[2 * count + 1] = high
            count += 1
    return count
