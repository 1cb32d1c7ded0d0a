"""The roofline: what each layer reaches, below what the machine could do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bokeh.models import ColumnDataSource, LabelSet, Range1d
from bokeh.plotting import figure

from tftrace.machine.model import MachineModel
from tftrace.report.html.drawing import filled, hover, new_figure

_LABELED = 5


def roofline(source: ColumnDataSource, machine: MachineModel | None) -> figure | None:
    """Layers (area: time) over intensity and rate, below the machine's roofs; None where no layer
    has both arithmetic and a time."""
    data = source.data
    places = [
        (x, y, n)
        for n, (x, y) in enumerate(zip(data["intensity"], data["rate"], strict=True))
        if x > 0 and y > 0
    ]
    if not places:
        return None
    xs, ys = [p[0] for p in places], [p[1] for p in places]
    roofs = [] if machine is None else memory_roofs(machine)
    peak = None if machine is None else 2 * machine.peak_gmacs()
    tops = ys + ([] if peak is None else [peak])
    x_range = Range1d(min(xs) / 2, max([*xs, *([peak / roofs[0][1]] if peak else [])]) * 2)
    y_range = Range1d(min(ys) / 2, max(tops) * 2)
    plot = new_figure(
        420,
        "pan,box_zoom,wheel_zoom,reset",
        x_axis_type="log",
        y_axis_type="log",
        x_range=x_range,
        y_range=y_range,
        x_axis_label="intensity, FLOP per byte",
        y_axis_label="GFLOP/s",
    )
    if peak is not None:
        ridge = min(peak / rate for _, rate in roofs)
        ends = [min(max(ridge, x_range.start), x_range.end), x_range.end]
        _roof(plot, ends, [peak, peak], f"peak {peak:.0f} GFLOP/s", "solid")
        for name, rate in roofs:
            end = min(x_range.end, peak / rate)
            _roof(plot, [x_range.start, end], [x_range.start * rate, end * rate], name, "dashed")
    dots = plot.scatter(
        "intensity",
        "rate",
        size="size",
        source=source,
        **filled("color", 0.6),
    )
    longest = sorted((p[2] for p in places), key=lambda n: -data["ms"][n])[:_LABELED]
    _label(plot, data, _apart(longest, data))
    hover(plot, dots, ("intensity", "@intensity{0.00} FLOP/byte"), ("rate", "@rate{0.00} GFLOP/s"))
    return plot


def memory_roofs(machine: MachineModel) -> list[tuple[str, float]]:
    """The two bandwidths that frame the rest, in GB/s: of the largest data, and the best."""
    rates = [measured.best for _, measured in machine.bandwidth_gb]
    memory, cache = rates[-1], max(rates)
    roofs = [(f"memory {memory:.0f} GB/s", memory)]
    return roofs if cache < 1.5 * memory else [*roofs, (f"cache {cache:.0f} GB/s", cache)]


def _roof(plot: figure, xs: list[float], ys: list[float], name: str, dash: str) -> None:
    line = plot.line(xs, ys, line_width=1.5, line_dash=dash)
    line.name = "roof"
    where = ColumnDataSource({"x": [xs[-1]], "y": [ys[-1]], "text": [name]})
    if dash == "dashed":
        middle = math.sqrt(xs[0] * xs[1]), math.sqrt(ys[0] * ys[1])
        where = ColumnDataSource({"x": [middle[0]], "y": [middle[1]], "text": [name]})
    align = "left" if dash == "dashed" else "right"
    plot.add_layout(
        LabelSet(
            x="x",
            y="y",
            text="text",
            source=where,
            text_align=align,
            text_baseline="top" if dash == "dashed" else "bottom",
            x_offset=8 if dash == "dashed" else -4,
            text_font_size="12px",
        )
    )


def _apart(rows: Sequence[int], data: Mapping[str, Any]) -> list[int]:
    """Those whose dots are far enough from each other for a name beside each."""
    kept: list[int] = []
    for n in rows:
        place = math.log10(data["intensity"][n]), math.log10(data["rate"][n])
        others = [(math.log10(data["intensity"][m]), math.log10(data["rate"][m])) for m in kept]
        if all(abs(place[1] - y) > 0.15 or abs(place[0] - x) > 1.5 for x, y in others):
            kept.append(n)
    return kept


def _label(plot: figure, data: Mapping[str, Any], rows: Sequence[int]) -> None:
    middle = math.sqrt(plot.x_range.start * plot.x_range.end)
    source = ColumnDataSource(
        {
            "x": [data["intensity"][n] for n in rows],
            "y": [data["rate"][n] for n in rows],
            "text": [data["name"][n] for n in rows],
            # Away from the nearer edge, where a name would be cut off.
            "align": ["left" if data["intensity"][n] < middle else "right" for n in rows],
            "offset": [12 if data["intensity"][n] < middle else -12 for n in rows],
        }
    )
    plot.add_layout(
        LabelSet(
            x="x",
            y="y",
            text="text",
            source=source,
            text_font_size="12px",
            text_align="align",
            x_offset="offset",
            y_offset=8,
        )
    )
