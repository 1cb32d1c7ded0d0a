"""The module tree as boxes, containers above what they hold."""

from __future__ import annotations

import math

from bokeh.models import ColumnDataSource, NumeralTickFormatter, Range1d
from bokeh.plotting import figure

from tftrace.report.html.drawing import TICKS, filled, hover, named_boxes, new_figure

_NARROW = 350  # pixels for the boxes on a phone
_MANY = 200  # boxes so narrow that a line around each would be all that is seen


WIDTHS = {
    "ms": ("left", "right", "ms"),
    "mults": (
        *("work_left", "work_right"),
        "multiplications per sample (k, m, b: 1e3, 1e6, 1e9)",
    ),
}
"""What boxes can be as wide as: their edges in the source, and what the axis is called."""


def icicle(source: ColumnDataSource, by: str) -> figure | None:
    """Containers above what they hold; None where nothing has a width.

    Args:
        by: one of `WIDTHS`.
    """
    left, right, label = WIDTHS[by]
    widest = max([r for r in source.data[right] if not math.isnan(r)], default=0.0)
    if not widest:
        return None
    levels = max(1, round(1 - min(source.data["top"])))
    plot = new_figure(
        min(460, 70 + 34 * levels),
        "xpan,xbox_zoom,xwheel_zoom,reset",
        x_range=Range1d(0, widest, bounds=(0, widest)),
        y_range=Range1d(-levels, 0.1),
        x_axis_label=label,
        min_border_left=14,  # half a label of the axis
    )
    if by == "mults":
        plot.xaxis.formatter = NumeralTickFormatter(format="0.[0]a")
    plot.xaxis.ticker.desired_num_ticks = TICKS
    plot.yaxis.visible = False
    plot.ygrid.visible = False
    boxes = plot.quad(
        left=left,
        right=right,
        top="top",
        bottom="bottom",
        source=source,
        **filled("color", 1.0, line="#ffffff" if len(source.data["top"]) < _MANY else None),
    )
    data = source.data
    seen = [n for n, edge in enumerate(data[left]) if not math.isnan(edge)]
    named_boxes(
        plot,
        [data["name"][n] for n in seen],
        [(float(data[left][n]), float(data[right][n])) for n in seen],
        [float(data["top"][n] + data["bottom"][n]) / 2 for n in seen],
        [data["color"][n] for n in seen],
        _NARROW,
    )
    hover(plot, boxes, ("with all below", "@all_ms{0.000} ms"))
    return plot
