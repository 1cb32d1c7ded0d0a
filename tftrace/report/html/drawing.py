"""How every chart of a page is drawn: frame, colors, hover, and what fades."""

from __future__ import annotations

from typing import Any

from bokeh.models import HoverTool, TapTool
from bokeh.plotting import figure

from tftrace.report.html.rows import BESIDE, Rows

PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b5a900", "#8a63b8")
REST = "#8a94a0"
TIME, MULTS = "#0b6bcb", "#e08a1e"
_FAINT = 0.15


def type_colors(rows: Rows) -> dict[str, str]:
    """A color per type: the types with most time have one of their own."""
    ms: dict[str, float] = {}
    for kind, value in zip(rows.columns["type"], rows.columns["ms"], strict=True):
        ms[kind] = ms.get(kind, 0.0) + (value or 0.0)
    ordered = sorted((kind for kind in ms if kind != BESIDE), key=lambda kind: -ms[kind])
    colors = {kind: PALETTE[n] if n < len(PALETTE) else REST for n, kind in enumerate(ordered)}
    return colors | ({BESIDE: REST} if BESIDE in ms else {})


def new_figure(height: int, tools: str, **options: Any) -> figure:
    """An empty chart of the page\'s width, its background that of the page."""
    return figure(
        height=height,
        sizing_mode="stretch_width",
        tools=tools,
        toolbar_location="above" if tools else None,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        output_backend="canvas",
        min_border_right=12,
        **options,
    )


def filled(color: str, alpha: float, line: str | None = None) -> dict[str, Any]:
    """A glyph that fades when others are selected."""
    return {
        "fill_color": color,
        "fill_alpha": alpha,
        "line_color": line or color,
        "line_width": 0.5,
        "selection_fill_alpha": 1.0,
        "nonselection_fill_alpha": _FAINT,
        "nonselection_line_alpha": _FAINT,
    }


def hover(plot: figure, renderer: Any, *more: tuple[str, str]) -> None:
    """Tell a row under the pointer, and let a click choose it."""
    tips = [
        ("", "@name (@type)"),
        ("time", "@ms{0.000} ms, @time_percent{0.0}% of predict"),
        ("mults", "@mults_percent{0.0}% of all"),
        *more,
    ]
    plot.add_tools(HoverTool(renderers=[renderer], tooltips=tips))
    if not plot.select(TapTool):
        plot.add_tools(TapTool(renderers=[renderer]))
