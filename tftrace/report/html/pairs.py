"""Paired bars: time beside multiplications, or one run beside another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bokeh.models import ColumnDataSource, FactorRange, HoverTool, Legend, LegendItem, TapTool
from bokeh.plotting import figure
from bokeh.transform import dodge

from tftrace.report.html.drawing import MULTS, TIME, filled, hover, new_figure
from tftrace.report.html.rows import Rows
from tftrace.report.html.source import percent

_LONGEST = 12


def layer_pairs(source: ColumnDataSource, rows: Rows) -> figure | None:
    """The layers with most time: share of predict over share of multiplications."""
    ms = rows.columns["ms"]
    found = sorted((n for n in range(rows.sites) if ms[n]), key=lambda n: -ms[n])[:_LONGEST]
    if not found:
        return None
    names = [rows.columns["name"][n] for n in found]
    plot = _pairs_figure(names, "layers with most time", _axis(rows))
    _two_bars(plot, source, "name")
    # Rows that have no place on the axis are not drawn: a category that is not there.
    hover(plot, plot.renderers[0])
    return plot


def type_pairs(rows: Rows, colors: Mapping[str, str]) -> figure:
    """Types of layers: share of predict over share of multiplications."""
    kinds: dict[str, list[int]] = {}
    for number in range(rows.sites):
        kinds.setdefault(rows.columns["type"][number], []).append(number)

    def added(key: str, kind: str) -> float | None:
        values = [rows.columns[key][n] for n in kinds[kind]]
        return None if None in values else sum(values)

    shown = [k for k in kinds if added("ms", k) or added("mults", k) != 0]
    shown = sorted(shown or kinds, key=lambda k: -(added("ms", k) or 0))[:_LONGEST]
    source = ColumnDataSource(
        {
            "name": shown,
            "type": shown,
            "color": [colors[kind] for kind in shown],
            "ms": [added("ms", kind) or 0.0 for kind in shown],
            "time_percent": [percent(added("ms", kind), rows.base) for kind in shown],
            "mults_percent": [
                percent(added("mults", kind), rows.totals["mults"]) for kind in shown
            ],
        },
        name="types",
    )
    plot = _pairs_figure(shown, "types; choose one to filter by it", _axis(rows))
    _two_bars(plot, source, "name")
    hover(plot, plot.renderers[0])
    return plot


def two_sides(names: Sequence[str], a: Sequence[float], b: Sequence[float], unit: str) -> figure:
    """Paired bars of two runs; NaN on the side that lacks the layer."""
    source = ColumnDataSource({"name": list(names), "a": list(a), "b": list(b)})
    plot = _pairs_figure(names, f"layers that differ most, {unit}", unit)
    bars = _bars(plot, source, "name", (("a", TIME, "A"), ("b", MULTS, "B")))
    tips = [("", "@name"), ("A", f"@a{{0.00}} {unit}"), ("B", f"@b{{0.00}} {unit}")]
    plot.add_tools(HoverTool(renderers=bars, tooltips=tips))
    return plot


def _axis(rows: Rows) -> str:
    return f"% of {rows.way}, % of multiplications"


def _pairs_figure(names: Sequence[str], title: str, axis: str) -> figure:
    plot = new_figure(
        90 + 34 * len(names),
        "",
        y_range=FactorRange(*reversed(names)),
        x_axis_label=axis,
        title=title,
    )
    plot.x_range.start = 0
    plot.ygrid.visible = False
    return plot


def _two_bars(plot: figure, source: ColumnDataSource, y: str) -> None:
    _bars(plot, source, y, (("time_percent", TIME, "time"), ("mults_percent", MULTS, "mults")))


def _bars(
    plot: figure, source: ColumnDataSource, y: str, sides: Sequence[tuple[str, str, str]]
) -> list[Any]:
    bars = [
        plot.hbar(
            y=dodge(y, offset, range=plot.y_range),
            right=right,
            left=0,
            height=0.36,
            source=source,
            **filled(color, 1.0),
        )
        for (right, color, _), offset in zip(sides, (0.19, -0.19), strict=True)
    ]
    items = [
        LegendItem(label=label, renderers=[bar], index=0)
        for bar, (_, _, label) in zip(bars, sides, strict=True)
    ]
    legend = Legend(items=items, orientation="horizontal", background_fill_color=None)
    plot.add_layout(legend, "above")
    plot.add_tools(TapTool(renderers=bars))
    return bars
