"""The one source of all charts of layers, row by row that of the table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource

from tftrace.report.html.rows import Rows


def source_of(rows: Rows, samples: int | None, colors: Mapping[str, str]) -> ColumnDataSource:
    """The source of all charts of layers, row by row that of the table."""
    c = rows.columns
    longest = max([ms or 0.0 for ms in c["ms"][: rows.sites]], default=0.0)
    rates = [
        flops * samples / ms / 1e6 if flops and ms and samples else math.nan
        for flops, ms in zip(c["flops"], c["ms"], strict=True)
    ]
    columns: dict[str, Sequence[Any]] = {
        "name": c["name"],
        "type": c["type"],
        "color": [colors[kind] for kind in c["type"]],
        "ms": _numbers(c["ms"]),
        "mults": _numbers(c["mults"]),
        "time_percent": [percent(ms, rows.base) for ms in c["ms"]],
        "mults_percent": [percent(mults, rows.totals["mults"]) for mults in c["mults"]],
        "intensity": [i or math.nan for i in _numbers(c["intensity"])],
        "rate": rates,
        "size": [6 + 30 * math.sqrt(min(1, (ms or 0) / (longest or 1))) for ms in c["ms"]],
        "all_ms": _numbers(c["all_ms"]),
        "top": [-depth for depth in c["depth"]],
        "bottom": [-depth - 0.92 for depth in c["depth"]],
    }
    for key, left, right in (("ms", "left", "right"), ("mults", "work_left", "work_right")):
        columns[left], columns[right] = icicle_places(c[key], c["parent"], rows.sites)
    told = {k: v if isinstance(v[0], str) else _short(v) for k, v in columns.items()}
    return ColumnDataSource(told, name="layers")


def icicle_places(
    values: Sequence[float | None], parent: Sequence[int], sites: int
) -> tuple[list[float], list[float]]:
    """Left and right edge per row: a row is as wide as it and all below it, and those below stand
    side by side from its left edge on, in order of execution, then its own part.

    What is unknown has no width; rows from ``sites`` on have no place.
    """
    width = [float(value or 0.0) for value in values[:sites]]
    below: dict[int, list[int]] = {}
    for number in range(sites):
        below.setdefault(parent[number], []).append(number)
    order: list[int] = []
    waiting = list(below.get(-1, []))
    while waiting:
        order.append(waiting.pop())
        waiting.extend(below.get(order[-1], []))
    for number in reversed(order):
        width[number] += sum(width[child] for child in below.get(number, []))
    left = [math.nan] * len(values)
    for group, start in [(below.get(-1, []), 0.0)]:
        _place(group, start, width, left)
    for number in order:
        _place(below.get(number, []), left[number], width, left)
    right = [left[n] + width[n] if n < sites else math.nan for n in range(len(values))]
    return left, right


def _place(group: Sequence[int], start: float, width: list[float], left: list[float]) -> None:
    for number in group:
        left[number] = start
        start += width[number]


def _numbers(values: Sequence[Any]) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]


def _short(values: Sequence[Any]) -> Any:
    """Half the size in the page; a screen shows less than this anyway."""
    return np.array(values, np.float32)


def percent(part: float | None, whole: float | None) -> float:
    """NaN where it is not known."""
    return math.nan if part is None or not whole else 100 * part / whole
