"""One step of a run as lanes: layers nested above their kernels, each thread and device below."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, Range1d, TapTool
from bokeh.plotting import figure

from tftrace.report.foreign import short_device
from tftrace.report.html.drawing import REST, TICKS, colors_by_time, named_boxes
from tftrace.report.html.rows import BESIDE, Rows, row_numbers
from tftrace.text import ms_text

if TYPE_CHECKING:
    from tftrace.api.profile import Profile

_MOST = 1500
_MOST_LANES = 40
_FAINT = 0.12
_GAP = 0.01
_NARROW = 230  # pixels for the bars on a phone, beside the names of lanes
_LONG = 18  # characters of a thread's or a stream's name
_THREAD = re.compile(r"/-?\d{4,}$")


@dataclass(frozen=True)
class Timeline:
    """Executions of one stretch, and in words which.

    ``slices`` has ``op, op_type, layer, lane, start_ms, ms`` (since the stretch began).
    """

    slices: pd.DataFrame
    length_ms: float
    told: str


def timeline_of(profile: Profile) -> Timeline | None:
    """The median step; of a trace whose steps are not known the whole window. None where nothing
    was recorded."""
    steps = profile.steps
    if not profile.foreign and len(steps):
        ordered = steps.sort_values("wall_ms", kind="stable")
        step = ordered.iloc[(len(ordered) - 1) // 2]
        found = _longest(profile, int(step["step"]))
        told = (
            f"Step {int(step['step']) + 1} of {len(steps):,}, the median one: "
            f"{ms_text(float(step['wall_ms']))} ms"
        )
    else:
        found = _longest(profile, None)
        told = f"The whole window, {ms_text(profile.window_ms)} ms: its steps are not known"
    if found is None:
        return None
    events, left_out = found
    start = int(events["start_ns"].min())
    slices = pd.DataFrame(
        {
            "op": events["op"],
            "op_type": events["op_type"],
            "layer": events["layer"],
            "lane": lane_names(list(zip(events["device"], events["line"], strict=True))),
            "start_ms": (events["start_ns"] - start) / 1e6,
            "ms": events["duration_ns"] / 1e6,
        }
    )
    if left_out:
        told += f"; the {len(slices):,} longest executions, {left_out:,} shorter ones are not drawn"
    busiest = slices.groupby("lane")["ms"].sum().sort_values(ascending=False)
    if len(busiest) > _MOST_LANES:
        slices = slices[slices["lane"].isin(busiest.index[:_MOST_LANES])]
        told += f"; the {_MOST_LANES} busiest of {len(busiest)} lanes"
    length = float((slices["start_ms"] + slices["ms"]).max())
    return Timeline(slices.reset_index(drop=True), length, told + ".")


def lane_names(lines: Sequence[tuple[str, str]]) -> list[str]:
    """Device and thread; threads of one pool are numbered, for their ids say nothing."""
    names: dict[tuple[str, str], str] = {}
    pools: Counter[tuple[str, str]] = Counter()
    for device, line in lines:
        if (device, line) not in names:
            pool = _THREAD.sub("", line)
            pool = pool if len(pool) <= _LONG else pool[:_LONG] + "…"
            pools[device, pool] += 1
            number = (
                f" {pools[device, pool]}" if pools[device, pool] > 1 or _THREAD.search(line) else ""
            )
            names[device, line] = f"{short_device(device)} · {pool}{number}"
    return [names[line] for line in lines]


def _longest(profile: Profile, step: int | None) -> tuple[pd.DataFrame, int] | None:
    """The longest executions (of a step), and how many there are beside."""
    kept, seen = None, 0
    for chunk in profile.event_chunks():
        mine = chunk if step is None else chunk[(chunk["step"] == step).fillna(False)]
        mine = mine[mine["op"].notna()]
        seen += len(mine)
        kept = mine if kept is None else pd.concat([kept, mine], ignore_index=True)
        kept = kept.nlargest(_MOST, "duration_ns") if len(kept) > _MOST else kept
    if kept is None or not len(kept):
        return None
    return kept.sort_values("start_ns", kind="stable"), seen - len(kept)


def nested(slices: pd.DataFrame, rows: Rows, length: float) -> list[dict[str, Any]]:
    """Per layer that ran, and each of its containers: the stretches in which its kernels did.

    Kernels that follow each other within a hundredth of ``length`` (ms) are one stretch: the
    parameters of many layers are read long before they are needed.
    """
    row_of, parent = row_numbers(rows), rows.columns["parent"]
    stretches: dict[int, list[list[float]]] = {}
    known = slices[slices["layer"].notna()].sort_values("start_ms", kind="stable")
    for layer, start, ms in zip(known["layer"], known["start_ms"], known["ms"], strict=True):
        row = row_of.get(layer, -1)
        while row >= 0:
            mine = stretches.setdefault(row, [])
            if not mine or start - mine[-1][1] > _GAP * length:
                mine.append([start, start + ms])
            mine[-1][1] = max(mine[-1][1], start + ms)
            row = parent[row]
    every = [(row, start, end) for row, mine in stretches.items() for start, end in mine]
    return [
        {
            "row": row,
            "lane": f"layers, level {rows.columns['depth'][row]}",
            "left": start,
            "right": end,
            "what": rows.columns["name"][row],
            "op_type": rows.columns["type"][row],
            "depth": rows.columns["depth"][row],
        }
        # Where layers run at once, the shorter is drawn over the longer.
        for row, start, end in sorted(every, key=lambda s: s[1] - s[2])
    ]


def timeline_chart(
    profile: Profile, found: Timeline, rows: Rows, colors: Mapping[str, str]
) -> figure:
    """Bars over ms, zoomed along the time alone."""
    above = nested(found.slices, rows, found.length_ms)
    levels = list(dict.fromkeys(s["lane"] for s in sorted(above, key=lambda s: s["depth"])))
    lanes = list(dict.fromkeys(found.slices["lane"]))
    row_of = row_numbers(rows)
    component = {
        (op, kind): part
        for op, kind, part in zip(
            profile.ops["op"], profile.ops["op_type"], profile.ops["component"], strict=True
        )
    }
    names = rows.columns["name"]
    owners = [
        row_of.get(layer if isinstance(layer, str) else str(component.get((op, kind))), -1)
        for op, kind, layer in found.slices[["op", "op_type", "layer"]].itertuples(index=False)
    ]
    kernels = [
        {
            "row": row,
            "lane": lane,
            "left": start,
            "right": start + ms,
            "what": op if row < 0 else f"{names[row]}: {op.rpartition('/')[2]}",
            "op_type": kind,
        }
        for row, (op, kind, _, lane, start, ms) in zip(
            owners, found.slices.itertuples(index=False), strict=True
        )
    ]
    every = pd.DataFrame([*above, *kernels])
    places = [*levels, *lanes]
    types = rows.columns["type"]
    of_ops = {} if rows.sites else colors_by_time(found.slices["op_type"], found.slices["ms"])
    source = ColumnDataSource(
        {
            "row": every["row"].to_numpy(np.int32),
            "y": every["lane"].map({lane: -n for n, lane in enumerate(places)}).to_numpy(np.int32),
            "left": every["left"].to_numpy(np.float32),
            "right": every["right"].to_numpy(np.float32),
            "what": every["what"].tolist(),
            "op_type": every["op_type"].tolist(),
            "ms": (every["right"] - every["left"]).to_numpy(np.float32),
            "color": [
                of_ops.get(kind) or colors.get(types[r] if r >= 0 else BESIDE, REST)
                for r, kind in zip(every["row"].tolist(), every["op_type"], strict=True)
            ],
        },
        name="slices",
    )
    plot = figure(
        name="timeline",
        height=90 + 26 * (len(levels) + len(lanes)),
        sizing_mode="stretch_width",
        tools="xpan,xbox_zoom,xwheel_zoom,reset",
        toolbar_location="above",
        x_range=Range1d(0, found.length_ms, bounds=(0, found.length_ms)),
        y_range=Range1d(0.6 - len(places), 0.6),
        x_axis_label="ms since the first execution",
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
    )
    plot.xaxis.ticker.desired_num_ticks = TICKS
    plot.yaxis.ticker = FixedTicker(ticks=[-n for n in range(len(places))])
    plot.yaxis.major_label_overrides = {-n: lane for n, lane in enumerate(places)}
    plot.ygrid.visible = False
    bars = plot.hbar(
        y="y",
        left="left",
        right="right",
        height=0.8,
        source=source,
        fill_color="color",
        line_color="color",
        line_width=0.5,
        selection_fill_alpha=1.0,
        nonselection_fill_alpha=_FAINT,
        nonselection_line_alpha=_FAINT,
    )
    named_boxes(
        plot,
        [s["what"] for s in above],
        [(s["left"], s["right"]) for s in above],
        [-levels.index(s["lane"]) for s in above],
        [colors.get(s["op_type"], REST) for s in above],
        _NARROW,
    )
    tips = [("", "@what"), ("type", "@op_type"), ("time", "@ms{0.0000} ms from @left{0.000} ms")]
    plot.add_tools(HoverTool(renderers=[bars], tooltips=tips), TapTool(renderers=[bars]))
    return plot
