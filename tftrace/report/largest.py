"""What the largest part of the wall time is, in a sentence made of the run's own figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from tftrace.attribution.rows import (
    LAYERS,
    LOSS_AND_METRICS,
    OPTIMIZER_ITSELF,
    OUTSIDE_LAYERS,
)
from tftrace.findings.basis.figures import call_times
from tftrace.graph.phases import OF_OPTIMIZER
from tftrace.tables.frame import total
from tftrace.text import ms_text, share_text, short_names
from tftrace.timeline.share_out import COMPILATION, DISPATCH, EXECUTOR, LOOP, PIPELINE, UNKNOWN

if TYPE_CHECKING:
    from tftrace.api.profile import Profile

_BOUNDS = {
    "compute": "bound by arithmetic",
    "memory": "bound by memory traffic",
    "overhead": "bound by the start of its kernels",
}


def largest_share(profile: Profile, percents: Mapping[str, str]) -> str | None:
    """The component of **wall** with the most time, and what the time in it is.

    Args:
        percents: of predict, by component, as the report rounds them.

    None for a trace from elsewhere, whose components say it by their names, and where nothing was
    recorded.
    """
    wall = profile.wall
    if profile.foreign or not len(wall) or not wall["wall_ms"].sum():
        return None
    row = wall.iloc[int(wall["wall_ms"].astype(float).argmax())]
    name = str(row["component"])
    told = f"{name} take{_s(name)} {percents[name]} of {profile.way}"
    return f"{told}: {_EXPLAINED[name](profile)}" if name in _EXPLAINED else told


def _s(name: str) -> str:
    return "" if name.endswith("s") else "s"


def _layers(profile: Profile) -> str:
    layers = profile.layers
    row = layers.iloc[int(layers["wall_ms"].astype(float).argmax())]
    name = short_names(list(layers["path"]))[row["path"]]
    window, mults = float(profile.wall["wall_ms"].sum()), total(layers["mults"])
    told = f"{name} alone takes {share_text(float(row['wall_ms']) / window)}"
    if mults and not pd.isna(row["mults"]):
        told += f", with {share_text(float(row['mults']) / mults)} of the multiplications"
    if row["bound"] in _BOUNDS:
        told += f"; it is {_BOUNDS[row['bound']]}"
        if not pd.isna(row["roof_share"]):
            share = float(row["roof_share"])
            told += f" and runs at {share_text(share) if share < 0.01 else f'{share:.0%}'} of what "
            told += "this machine can do"
    return told


def _around(profile: Profile) -> str:
    times = call_times(profile)
    if times is None:
        return "no batch was marked in the trace"
    return (
        f"{ms_text(times.before)} ms pass before the first of {times.count:,} batches and "
        f"{ms_text(times.after)} ms after the last"
    )


def _pipeline(profile: Profile) -> str:
    if profile.own_pipeline:
        return f"the data's own pipeline, stage by stage in the table above; {_around(profile)}"
    return (
        f"{profile.way} builds a tf.data pipeline, copies each batch out of the arrays and takes "
        f"the pipeline down again; {_around(profile)}"
    )


def _loop(profile: Profile) -> str:
    does = " and joins the outputs" if profile.way == "predict" else ""
    return (
        f"Python code of {profile.way} between the batches, which calls callbacks{does}; "
        f"{_around(profile)}"
    )


def _per_batch(profile: Profile, component: str) -> str:
    batches = max(1, len(profile.steps))
    wall = profile.wall
    spent = float(wall.loc[wall["component"] == component, "wall_ms"].sum())
    return f"{ms_text(spent / batches)} ms in each of {batches:,} batches"


def _executor(profile: Profile) -> str:
    return (
        "starting kernels, and running those that TensorFlow takes for too cheap to record; "
        + _per_batch(profile, EXECUTOR)
    )


def _dispatch(profile: Profile) -> str:
    return f"calling the traced function from Python; {_per_batch(profile, DISPATCH)}"


_EXPLAINED: dict[str, Callable[[Profile], str]] = {
    LAYERS: _layers,
    PIPELINE: _pipeline,
    LOOP: _loop,
    EXECUTOR: _executor,
    DISPATCH: _dispatch,
    OUTSIDE_LAYERS: lambda _: "operations that the model's own code makes outside any layer",
    LOSS_AND_METRICS: lambda _: "the loss, its gradient, and the metrics, which no layer makes",
    OPTIMIZER_ITSELF: lambda _: (
        "what the optimizer does for no layer: its count of steps, schedules"
    ),
    **dict.fromkeys(
        OF_OPTIMIZER, lambda _: "a part of what the optimizer does before and after updates"
    ),
    COMPILATION: lambda _: "a graph was traced or compiled while it was measured",
    UNKNOWN: lambda _: "functions that tftrace did not see traced; the warnings name them",
}
