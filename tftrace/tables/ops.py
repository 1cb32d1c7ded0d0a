"""**ops**: one row per executed graph operation or kernel."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tftrace.attribution.join import Join
from tftrace.graph.phases import phase_of
from tftrace.tables.frame import (
    NEEDED,
    PS_PER_MS,
    device_of,
    path_of,
    per_sample,
    quantile,
    table_of,
)
from tftrace.tables.primitives import computing, kernel_key, logged


def ops_table(join: Join) -> pd.DataFrame:
    """**ops**: one row per executed graph operation or kernel, longest first.

    A trace that tftrace did not take has one more column, ``note``: how certain the match is.
    A run with oneDNN's log has two more, ``implementation`` and ``layout``: of the primitives
    that the kernel computes by, null where it is not known to have run any.
    """
    sites, totals = join.run.sites, join.totals
    primitives = logged(join.run.manifest)
    rows = []
    every = join.timeline.busy
    for number, row in enumerate(join.rows):
        busy = np.sort(every[row.executions])
        count = len(busy)
        work = per_sample(row.info, join)
        rows.append(
            {
                "op": row.name,
                "op_type": row.type,
                "layer": path_of(row.info, sites),
                "component": row.component,
                "phase": None if row.info is None else phase_of(row.info.phase),
                "calls": count,
                "expected_calls": row.expected,
                "busy_ms": totals.busy[number] / PS_PER_MS if count else None,
                "mean_us": totals.busy[number] / count / 1e6 if count else None,
                "p50_us": quantile(busy, 0.5) / 1e6 if count else None,
                "p99_us": quantile(busy, 0.99) / 1e6 if count else None,
                "wall_ms": totals.wall[number] / PS_PER_MS if count else None,
                "thread_ms": totals.thread[number] / PS_PER_MS if count else None,
                **{name: work[name] for name in NEEDED},
                "members": list(row.info.members if row.info and row.info.members else row.members),
                "device": device_of(join, row.executions),
                "hlo_module": row.module,
                "note": row.note,
            }
        )
    table = table_of(
        rows,
        integers=("calls", "expected_calls"),
        numbers=("busy_ms", "mean_us", "p50_us", "p99_us", "wall_ms", "thread_ms", *NEEDED),
        others=("op", "op_type", "layer", "component", "phase", "members", "device"),
    )
    for name in ("hlo_module", "note"):
        # Only traces from elsewhere have them: layers of tftrace's own runs are certain, and
        # their kernels of XLA are told by layer.
        if name in table and table[name].isna().all():
            table = table.drop(columns=name)
    if primitives:
        known = computing(primitives)
        for name in ("implementation", "layout"):
            kernels = zip(table["op"], table["op_type"], table["calls"], strict=True)
            table[name] = [known.get(kernel_key(*k), {}).get(name) for k in kernels]
    return table.sort_values("wall_ms", ascending=False, na_position="last", ignore_index=True)
