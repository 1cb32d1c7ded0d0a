"""**events**: one row per recorded execution."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from tftrace.attribution.join import Join
from tftrace.graph.phases import phase_of
from tftrace.tables.frame import PS_PER_NS, path_of


def events_table(join: Join) -> pd.DataFrame:
    """**events**: one row per recorded execution, in time order."""
    return _events(join, _in_time_order(join))


def event_chunks(join: Join, rows: int) -> Iterator[pd.DataFrame]:
    """**events** in parts of so many rows, of which only one need be in memory; at least one."""
    order = _in_time_order(join)
    for first in range(0, max(1, len(order)), rows):
        yield _events(join, order[first : first + rows])


def _in_time_order(join: Join) -> np.ndarray:
    return np.argsort(join.executions.start, kind="stable")


def _events(join: Join, which: np.ndarray) -> pd.DataFrame:
    """**events** of some executions."""
    e, trace, timeline, row = join.executions, join.run.trace, join.timeline, join.row_of[which]

    def of_row(values: list[str | None]) -> np.ndarray:
        return np.array([*values, None], object)[row]

    lines = np.array([line.name or str(line.id) for line in trace.lines], object)
    planes = np.array([trace.planes[line.plane].name for line in trace.lines], object)
    return pd.DataFrame(
        {
            "op": of_row([r.name for r in join.rows]),
            "op_type": of_row([r.type for r in join.rows]),
            "layer": of_row([path_of(r.info, join.run.sites) for r in join.rows]),
            "phase": of_row(
                [None if r.info is None else phase_of(r.info.phase) for r in join.rows]
            ),
            "device": planes[e.line[which]],
            "line": lines[e.line[which]],
            "step": pd.arrays.IntegerArray(e.run[which].astype(np.int64), e.run[which] < 0),
            # Whole: since the epoch they are beyond what a float holds to the nanosecond.
            "start_ns": trace.base_ns + e.start[which] // PS_PER_NS,
            "duration_ns": (timeline.until[which] - timeline.start[which]) / PS_PER_NS,
            "self_ns": timeline.self[which] / PS_PER_NS,
        }
    )
