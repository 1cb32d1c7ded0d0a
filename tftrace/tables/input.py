"""**input**: one row per stage of the tf.data pipeline that made the batches."""

from __future__ import annotations

import re

import pandas as pd

from tftrace.attribution.join import Join
from tftrace.tables.frame import PS_PER_MS, table_of
from tftrace.text import ms_text
from tftrace.timeline.stages import Stage, pipeline_stages

_VERSION = re.compile(r"V\d+(?=\[|$)")
_SILENT = "works on threads of its own that leave no events"


def input_table(join: Join) -> pd.DataFrame:
    """**input**: one row per stage, in the order that data passes them.

    Times are those of the traced pass, and of threads that mostly work beside the model: they do
    not sum to the wall. `busy_ms` is the work of a stage, without the stages before it;
    `us_per_element` is that over `calls`, in which an element was asked for (the call that found
    the end is one); `active_ms` is the time in which at least one thread worked for the stage;
    `wait_ms` that in which its calls waited: for its own threads where it works ahead (a map with
    `num_parallel_calls`, a prefetch), else for a thread to run its function. `parallelism` is what
    tf.data set. `path` leads from the last stage to this one, `dataset` is tf.data's name of it,
    or the `name=` that it was given.
    """
    stages = pipeline_stages(join.marks, join.window)
    return table_of(
        [_row(stage) for stage in stages],
        integers=("depth", "calls", "parallelism"),
        numbers=("busy_ms", "us_per_element", "active_ms", "wait_ms"),
        others=("stage", "path", "dataset", "note"),
    )


def _note(stage: Stage) -> str | None:
    notes = []
    if stage.busy is None:
        notes.append(_SILENT)
    if stage.path[-1].startswith("MapAndBatch"):
        notes.append("a map and a batch that tf.data made one: its elements are batches")
    if stage.made:
        made = ms_text(stage.made / PS_PER_MS)
        notes.append(
            f"apart from its work, it made the iterators of the stages before it: {made} ms"
        )
    return "; ".join(notes) or None


def _row(stage: Stage) -> dict[str, object]:
    parts = [_VERSION.sub("", part) for part in stage.path]
    return {
        "stage": parts[-1],
        "path": "/".join(parts),
        "dataset": stage.dataset,
        "depth": len(parts) - 1,
        "calls": stage.calls,
        "busy_ms": None if stage.busy is None else stage.busy / PS_PER_MS,
        "us_per_element": None if stage.busy is None else stage.busy / stage.calls / 1e6,
        "active_ms": None if stage.active is None else stage.active / PS_PER_MS,
        "wait_ms": stage.waited / PS_PER_MS,
        "parallelism": stage.parallelism if stage.ahead else 1,
        "note": _note(stage),
    }
