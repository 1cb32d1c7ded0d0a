"""The module tree as boxes, containers above what they hold."""

from __future__ import annotations

import math

from bokeh.models import ColumnDataSource, NumeralTickFormatter, Range1d
from bokeh.plotting import figure

from tftrace.report.html.drawing import filled, hover, new_figure

_MANY = 200  # boxes so narrow that a line around each would be all that is seen


def icicle(source: ColumnDataSource, left: str, right: str, label: str) -> figure | None:
    """Containers above what they hold; None where nothing has a width."""
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
    )
    plot.xaxis.formatter = NumeralTickFormatter(format="0.[0]a")
    plot.yaxis.visible = False
    plot.ygrid.visible = False
    boxes = plot.quad(
        left=left,
        right=right,
        top="top",
        bottom="bottom",
        source=source,
        **filled("color", 0.8, line="#ffffff" if len(source.data["top"]) < _MANY else None),
    )
    hover(plot, boxes, ("with all below", "@all_ms{0.000} ms"))
    return plot
