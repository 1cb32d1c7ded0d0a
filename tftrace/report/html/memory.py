"""The memory of one step on the page: what each holder has, over time, and at the peak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource, Span
from bokeh.plotting import figure

from tftrace.report.html.drawing import PALETTE, REST, TICKS, new_figure
from tftrace.report.html.page import plain_table
from tftrace.tables.memory import OTHERS
from tftrace.text import bytes_text, short_names

if TYPE_CHECKING:
    from tftrace.api.profile import Profile

_MB = 1_000_000
_FINEST = 1000
"""Changes of less than such a part of the peak are not drawn one by one."""
_OTHERS = "others"


def memory_chart(profile: Profile) -> figure | None:
    """Bytes held over the step of the peak, stacked by holder; None where they are not known."""
    if not profile.run["memory"] or not len(profile.memory_timeline):
        return None
    held = _held(profile.memory_timeline)
    plot = new_figure(
        320,
        "xpan,xwheel_zoom,box_zoom,reset",
        x_axis_label="ms since the step began",
        y_axis_label="MB",
    )
    names = [*held.columns]
    colors = [REST if name == _OTHERS else PALETTE[n] for n, name in enumerate(names)]
    # What is held stays so until the next change: each has its value at both ends of its time.
    ms = held.index.to_numpy(float)
    end = np.r_[ms[1:], ms[-1]]
    columns: dict[str, Any] = {"ms": np.stack([ms, end], axis=1).ravel()}
    columns |= {f"h{n}": np.repeat(held[name].to_numpy(float), 2) for n, name in enumerate(names)}
    plot.varea_stack(
        [f"h{n}" for n in range(len(names))],
        x="ms",
        color=colors,
        legend_label=names,
        source=ColumnDataSource(columns, name="memory"),
    )
    peak = float(ms[int(np.argmax(held.sum(axis=1).to_numpy()))])
    plot.add_layout(
        Span(location=peak, dimension="height", line_dash="dashed", line_color="#d55e00")
    )
    plot.xaxis.ticker.desired_num_ticks = TICKS
    plot.y_range.start = 0
    if plot.legend:
        plot.add_layout(plot.legend[0], "below")
        plot.legend[0].ncols = 2
    return plot


def memory_note(profile: Profile) -> str | None:
    """What the section says; None where memory was not asked for."""
    if not profile.run["memory"]:
        return None
    known = profile.memory["held_at_peak_bytes"]
    if known.isna().all():
        return f"{profile.memory['note'].dropna().iloc[0]}."
    total = None if known.isna().any() else int(known.sum())
    return (
        f"{bytes_text(total)} at the peak (the dashed line), of the step that has it. A buffer is "
        "its layer's until nobody needs it any more."
    )


def memory_table(profile: Profile) -> dict[str, Any] | None:
    """The holders at the peak, the largest first."""
    if not profile.run["memory"] or not len(profile.memory_timeline):
        return None
    names = short_names(list(profile.memory["path"]))
    table = profile.memory.assign(holder=profile.memory["path"].map(names))
    table = table[table["held_at_peak_bytes"].fillna(0) > 0]
    columns = {
        "holder": str,
        "held at the peak": ("held_at_peak_bytes", bytes_text),
        "output": ("output_bytes", bytes_text),
        "most live while it ran": ("peak_live_bytes", bytes_text),
    }
    note = "; ".join(table["note"].dropna().unique())
    ordered = table.sort_values("held_at_peak_bytes", ascending=False)
    return plain_table("Holders at the peak", ordered, columns, note)


def _held(timeline: pd.DataFrame) -> pd.DataFrame:
    """MB by moment (index, ms) and holder: those that ever hold most, and all others together."""
    most = timeline.groupby("path")["held_bytes"].max().sort_values(ascending=False)
    # What is there all the time stands below.
    shown = sorted(most.index[: len(PALETTE) - 1], key=lambda path: path not in OTHERS)
    name = short_names(shown)
    live = timeline["live_bytes"].astype(int)
    large = timeline["change_bytes"].abs() * _FINEST >= live.max()
    drawn = large | (timeline["time_ms"] == 0) | (live == live.max())
    drawn.iloc[-1] = True
    every = {
        name[path]: timeline["held_bytes"].where(timeline["path"] == path).ffill().fillna(0)
        for path in shown
    }
    found = pd.DataFrame(every).astype(float)
    rest = live - found.sum(axis=1)
    if rest.max() > 0:
        found[_OTHERS] = rest
    found.index = pd.Index(timeline["time_ms"].astype(float))
    # Of what changes at one moment, the last is what holds from then on.
    kept = found[drawn.to_numpy()] / _MB
    return kept[~kept.index.duplicated(keep="last")]
