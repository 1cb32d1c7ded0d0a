"""Pooling: output elements times the full window, padding included."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from tftrace.counts.registry import OpRecord, register_count
from tftrace.counts.work import Work


@register_count("MaxPool", "MaxPool3D", "MaxPoolWithArgmax")
def max_pool(record: OpRecord) -> Work:
    """Window of k elements: k - 1 comparisons per output."""
    return Work.elementwise(record.out_size(), ops=_window(record.attrs["ksize"]) - 1)


@register_count("MaxPoolV2")
def max_pool_dynamic(record: OpRecord) -> Work:
    """As MaxPool, the window handed in as a tensor."""
    return Work.elementwise(record.out_size(), ops=_window(record.value(1)) - 1)


@register_count("AvgPool", "AvgPool3D")
def average_pool(record: OpRecord) -> Work:
    """Window of k elements: k - 1 additions and one division per output."""
    return Work.elementwise(record.out_size(), mults=1, ops=_window(record.attrs["ksize"]))


def _window(sizes: Iterable[int]) -> int:
    return prod(sizes)
