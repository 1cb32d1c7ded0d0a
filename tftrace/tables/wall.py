"""**wall**: one row per component of the measured window, in a trace from elsewhere per device."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tftrace.attribution.by_name.foreign import ForeignJoin
from tftrace.attribution.join import Join
from tftrace.attribution.kernel_owner import OUTSIDE
from tftrace.attribution.rows import (
    LAYERS,
    LOSS_AND_METRICS,
    OPTIMIZER_ITSELF,
    OUTSIDE_LAYERS,
    component_of_share,
)
from tftrace.graph.phases import OF_OPTIMIZER
from tftrace.runs.names import way_of
from tftrace.tables.frame import PS_PER_MS, table_of
from tftrace.timeline.share_out import COMPILATION, DISPATCH, EXECUTOR, LOOP, PIPELINE, UNKNOWN

# What other calls than predict do not have: a pipeline of Keras's, a loop of Keras's.
_OF_CALL = {
    **{name: {PIPELINE: LOOP} for name in ("predict_on_batch", "train_on_batch", "test_on_batch")},
    "tf.function": {PIPELINE: DISPATCH, LOOP: DISPATCH},
}
_OF_PHASES = {
    "evaluate": (LOSS_AND_METRICS,),
    "fit": (LOSS_AND_METRICS, OPTIMIZER_ITSELF),
}
COMPONENTS = (LAYERS, OUTSIDE_LAYERS, EXECUTOR, PIPELINE, DISPATCH, LOOP, COMPILATION)


def wall_table(join: Join) -> pd.DataFrame:
    """**wall**: one row per component; they sum to the measured window.

    Functions that tftrace does not know have a row where any ran. Of a trace from elsewhere there
    is a row per device and component, which sum to the window on each device, with the columns
    ``device`` and ``busy_ms`` (durations, which may overlap) besides.
    """
    if isinstance(join, ForeignJoin):
        return _by_device(join)
    timeline = join.timeline
    call = join.run.manifest.run.call
    named = (*COMPONENTS[:2], *_OF_PHASES.get(way_of(call), ()), *_parts(join), *COMPONENTS[2:])
    parts: dict[str, float] = dict.fromkeys((*named, UNKNOWN) if join.unknown else named, 0.0)
    for row, wall in zip(join.rows, join.totals.wall, strict=False):
        if row.info is None:
            parts[row.component] += wall
            continue
        within = 1.0
        for share, part in row.info.shares.items():
            if share[0] == OUTSIDE:
                parts[component_of_share(share)] += part * wall
                within -= part
        parts[LAYERS] += wall if within == 1.0 else within * wall
    of_call = _OF_CALL.get(call.partition(" ")[0], {})
    for name, gap in timeline.gaps.items():
        parts[of_call.get(name, name)] += gap
    rows = [_row(name, ps, timeline.length) for name, ps in parts.items()]
    return table_of(rows, integers=(), numbers=("wall_ms", "wall_share"))


def _parts(join: Join) -> list[str]:
    """The parts of the optimizer that a traced function has."""
    known = {part for f in join.run.manifest.functions for part in f.ops.part or ()}
    return [part for number, part in enumerate(OF_OPTIMIZER) if number in known]


def _by_device(join: ForeignJoin) -> pd.DataFrame:
    wall: dict[tuple[str, str], float] = dict.fromkeys(join.components, 0.0) | join.gaps
    busy = dict.fromkeys((key for key in wall if key not in join.gaps), 0)
    for number, row in enumerate(join.rows):
        key = join.row_planes[number], row.component
        wall[key] += join.totals.wall[number]
        busy[key] += int(join.totals.busy[number])
    rows = [
        {
            **_row(name, ps, join.timeline.length),
            "device": device,
            "busy_ms": busy[device, name] / PS_PER_MS if (device, name) in busy else None,
        }
        for (device, name), ps in wall.items()
    ]
    others = ("component", "wall_ms", "wall_share", "device")
    return table_of(rows, integers=(), numbers=("wall_ms", "wall_share", "busy_ms"), others=others)


def _row(name: str, ps: float, length: int) -> dict[str, Any]:
    return {
        "component": name,
        "wall_ms": ps / PS_PER_MS,
        "wall_share": ps / length if length else None,
    }
