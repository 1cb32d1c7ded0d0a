"""**wall**: one row per component of the measured window."""

from __future__ import annotations

import pandas as pd

from tftrace.attribution.join import Join
from tftrace.attribution.kernel_info import OUTSIDE
from tftrace.attribution.rows import LAYERS, OUTSIDE_LAYERS
from tftrace.tables.frame import PS_PER_MS, table_of
from tftrace.timeline.share_out import COMPILATION, DISPATCH, EXECUTOR, LOOP, PIPELINE, UNKNOWN

COMPONENTS = (LAYERS, OUTSIDE_LAYERS, EXECUTOR, PIPELINE, DISPATCH, LOOP, COMPILATION)


def wall_table(join: Join) -> pd.DataFrame:
    """**wall**: one row per component; they sum to the measured window.

    Functions that tftrace does not know have a row where any ran.
    """
    timeline = join.timeline
    named = (*COMPONENTS, UNKNOWN) if join.unknown else COMPONENTS
    parts: dict[str, float] = dict.fromkeys(named, 0.0)
    for row, wall in zip(join.rows, join.totals.wall, strict=False):
        if row.info is None:
            parts[row.component] += wall
            continue
        outside = row.info.weights.get(OUTSIDE, 0.0)
        parts[OUTSIDE_LAYERS] += outside * wall
        parts[LAYERS] += (1 - outside) * wall if outside else wall
    for name, gap in timeline.gaps.items():
        parts[name] += gap
    rows = [
        {
            "component": name,
            "wall_ms": ps / PS_PER_MS,
            "wall_share": ps / timeline.length if timeline.length else None,
        }
        for name, ps in parts.items()
    ]
    return table_of(rows, integers=(), numbers=("wall_ms", "wall_share"))
