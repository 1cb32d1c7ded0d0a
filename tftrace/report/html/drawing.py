"""How every chart of a page is drawn: frame, colors, hover, and what fades."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bokeh.models import ColumnDataSource, HoverTool, TapTool
from bokeh.plotting import figure

from tftrace.report.html.rows import BESIDE, Rows

PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b5a900", "#8a63b8")
REST = "#8a94a0"
TIME, MULTS = "#0b6bcb", "#e08a1e"
TICKS = 5
"""About so many on an axis of a chart that a phone shows, too."""
_FAINT = 0.15
_CHARACTER, _MARGIN = 6.5, 8  # pixels


def type_colors(rows: Rows) -> dict[str, str]:
    """A color per type: the types with most time have one of their own."""
    ms: dict[str, float] = {}
    for kind, value in zip(rows.columns["type"], rows.columns["ms"], strict=True):
        ms[kind] = ms.get(kind, 0.0) + (value or 0.0)
    return _colors({kind: value for kind, value in ms.items() if kind != BESIDE}) | (
        {BESIDE: REST} if BESIDE in ms else {}
    )


def colors_by_time(kinds: Iterable[str], ms: Iterable[float]) -> dict[str, str]:
    """The same for types of ops."""
    times: dict[str, float] = {}
    for kind, value in zip(kinds, ms, strict=True):
        times[kind] = times.get(kind, 0.0) + value
    return _colors(times)


def _colors(ms: Mapping[str, float]) -> dict[str, str]:
    ordered = sorted(ms, key=lambda kind: -ms[kind])
    return {kind: PALETTE[n] if n < len(PALETTE) else REST for n, kind in enumerate(ordered)}


def named_boxes(
    plot: figure,
    names: Sequence[str],
    ends: Sequence[tuple[float, float]],
    middles: Sequence[float],
    colors: Sequence[str],
    pixels: int,
) -> None:
    """Write their names into the boxes that are wide enough for it on a phone too, and of boxes
    that overlap into the widest.

    Args:
        ends: left and right edge of each.
        middles: on the other axis.
        colors: of the boxes, as ``#rrggbb``.
        pixels: the width of the whole chart on a phone.
    """
    whole = max((right for _, right in ends), default=0.0)
    taken: dict[float, list[tuple[float, float]]] = {}
    found: dict[str, list[Any]] = {"x": [], "y": [], "text": [], "ink": []}
    for n in sorted(range(len(ends)), key=lambda n: ends[n][0] - ends[n][1]):
        left, right = ends[n]
        half = (len(names[n]) * _CHARACTER + _MARGIN) / 2 * whole / pixels
        middle, others = (left + right) / 2, taken.setdefault(middles[n], [])
        if 2 * half < right - left and all(
            middle + half < start or end < middle - half for start, end in others
        ):
            others.append((middle - half, middle + half))
            found["x"].append(middle)
            found["y"].append(middles[n])
            found["text"].append(names[n])
            found["ink"].append(ink_on(colors[n]))
    plot.text(
        source=ColumnDataSource(found),
        text_align="center",
        text_baseline="middle",
        text_font_size="11px",
        text_color="ink",
        name="names",
    )


def ink_on(color: str) -> str:
    """Black or white, whichever is read better on ``#rrggbb``: the contrast is at least 4.5.

    https://www.w3.org/TR/WCAG21/#dfn-relative-luminance
    """
    parts = (int(color[n : n + 2], 16) / 255 for n in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#ffffff"


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
        ("time", "@ms{0.000} ms, @time_percent{0.0}% of the time"),
        ("mults", "@mults_percent{0.0}% of all"),
        *more,
    ]
    plot.add_tools(HoverTool(renderers=[renderer], tooltips=tips))
    if not plot.select(TapTool):
        plot.add_tools(TapTool(renderers=[renderer]))
