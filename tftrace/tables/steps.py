"""**steps**: one row per batch."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tftrace.attribution.join import Join
from tftrace.runs.manifest import Settings
from tftrace.tables.frame import PS_PER_MS, table_of
from tftrace.timeline.marks import Mark


def steps_table(join: Join) -> pd.DataFrame:
    """**steps**: one row per batch; times in ms, starts since the window's begin."""
    events, run = join.run.trace.events, join.run.manifest.run
    marks = join.marks.of(Mark.STEP)
    marks = marks[np.argsort(events.start_ps[marks], kind="stable")]
    start, duration = events.start_ps[marks], events.duration_ps[marks]
    wall, calls = _in_steps(join, start, duration)
    sizes = _samples(run, len(marks))
    rows = []
    for step in range(len(marks)):
        rows.append(
            {
                "step": step,
                "samples": sizes[step],
                "start_ms": int(start[step] - join.window.start) / PS_PER_MS,
                "wall_ms": int(duration[step]) / PS_PER_MS,
                "ops_ms": wall[step] / PS_PER_MS,
                "calls": int(calls[step]),
            }
        )
    return table_of(
        rows, integers=("step", "samples", "calls"), numbers=("start_ms", "wall_ms", "ops_ms")
    )


def _samples(run: Settings, steps: int) -> list[int | None]:
    """Samples of each step: those of the data's own batches; else of whole batches, and what is
    left of the data in the last one."""
    samples, batch, per_call = run.trace.samples, run.batch_size, run.steps_per_execution or 1
    if run.trace.batches is not None:
        return [sum(run.trace.batches[i * per_call : (i + 1) * per_call]) for i in range(steps)]
    if samples is None or batch is None:
        return [None] * steps
    size = batch * per_call
    return [max(0, min(size, samples - step * size)) for step in range(steps)]


def _in_steps(join: Join, start: np.ndarray, duration: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wall time (ps) and number of the model's executions that begin in each step (in order)."""
    e = join.executions
    mine = np.flatnonzero(e.run >= 0)
    step = np.searchsorted(start, e.start[mine], side="right") - 1
    inside = e.start[mine] < np.append(start + duration, 0)[step]
    mine, step = mine[inside], step[inside]
    wall = np.bincount(step, weights=join.timeline.wall[mine], minlength=len(start))
    return wall, np.bincount(step, minlength=len(start))
