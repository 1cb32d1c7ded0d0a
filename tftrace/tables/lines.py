"""**lines**: the streams of devices and the threads of hosts, each by itself."""

from __future__ import annotations

import pandas as pd

from tftrace.attribution.join import Join
from tftrace.tables.frame import PS_PER_MS, table_of
from tftrace.timeline.arithmetic.spans import intersect, length, spans
from tftrace.timeline.window import is_recorded


def lines_table(join: Join) -> pd.DataFrame:
    """One row per GPU stream and host thread that recorded anything, busiest first per plane.

    Columns: `device` (plane), `line`, `events`, `busy_ms` and `busy_share`: the part of the window
    in which the line was in any event, however nested. Being in an event is not always working:
    a thread may wait in it.
    """
    trace, window = join.run.trace, join.window
    whole = spans([window.start], [window.end])
    rows = []
    for line in trace.lines:
        plane = trace.planes[line.plane].name
        if not line.count or not is_recorded(plane, line.name):
            continue
        start = trace.events.start_ps[line.events]
        busy = spans(start, start + trace.events.duration_ps[line.events])
        ps = length(intersect(busy, whole))
        rows.append(
            {
                "device": plane,
                "line": line.name or str(line.id),
                "events": line.count,
                "busy_ms": ps / PS_PER_MS,
                "busy_share": ps / length(whole) if length(whole) else None,
            }
        )
    table = table_of(
        rows,
        integers=("events",),
        numbers=("busy_ms", "busy_share"),
        others=("device", "line", "events", "busy_ms", "busy_share"),
    )
    order = {plane.name: i for i, plane in enumerate(trace.planes)}
    return (
        table.assign(place=table["device"].map(order))
        .sort_values(["place", "busy_ms"], ascending=[True, False], kind="stable")
        .drop(columns="place")
        .reset_index(drop=True)
    )
