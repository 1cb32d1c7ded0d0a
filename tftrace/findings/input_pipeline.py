"""Batches that wait for their data: Keras's own pipeline from arrays, or a stage of the user's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from tftrace.findings.basis.commands import TRY_ALL
from tftrace.findings.basis.evidence import Evidence
from tftrace.findings.basis.figures import call_times, waited_ms
from tftrace.findings.registry import Finding, finding, finding_of_fit
from tftrace.runs.names import way_of
from tftrace.text import ms_text

KIND = "input pipeline bound"
_MIN_PIPELINE = 0.25

_AHEAD = "end it with .prefetch(tf.data.AUTOTUNE), which makes a batch while the model works"
_LESS = "make it cheaper, or do it once: .cache() behind it, or data that was prepared before"
_REMEDIES = (
    ("Generator", "it is Python, one element at a time: a keras.utils.PyDataset with workers= "
     "makes several at once, tf.data's own operations need no Python"),
    ("Map", "run it on several threads: .map(f, num_parallel_calls=tf.data.AUTOTUNE)"),
    ("Interleave", "run it on several threads: num_parallel_calls=tf.data.AUTOTUNE"),
    ("FlatMap", "read side by side: .interleave(f, num_parallel_calls=tf.data.AUTOTUNE)"),
    ("TFRecord", "read several files side by side: .interleave(tf.data.TFRecordDataset, "
     "num_parallel_calls=tf.data.AUTOTUNE)"),
    ("Batch", "gather on several threads: .batch(n, num_parallel_calls=tf.data.AUTOTUNE), or hand "
     "over smaller elements"),
    ("Shuffle", "predict needs no shuffle: leave it out"),
)  # fmt: skip


@finding
@finding_of_fit
def input_pipeline_bound(profile: Evidence) -> Iterator[Finding]:
    """The batches wait for their data."""
    times = call_times(profile)
    if times is None or not times.batches:
        return
    waiting = waited_ms(profile, times)
    if waiting < _MIN_PIPELINE * times.batches:
        return
    text = (
        f"Of {ms_text(times.batches)} ms in {times.count:,} batches at least "
        f"{ms_text(waiting)} ms ({waiting / times.batches:.0%}) waited for the input pipeline."
    )
    evidence: dict[str, Any] = {
        "ms": waiting,
        "waiting_ms": waiting,
        "batches_ms": times.batches,
        "share": waiting / times.batches,
    }
    stage = _slowest(profile)
    if stage is None:
        yield _of_arrays(text, evidence, way_of(str(profile.run.get("call"))))
    else:
        yield _of_stage(profile, stage, text, evidence)


def _slowest(profile: Evidence) -> pd.Series | None:
    """The stage of a pipeline of the user's own that was at work for longest."""
    if not profile.run.get("own_batches") or not len(profile.input):
        return None
    known = profile.input[profile.input["active_ms"].notna()]
    longest = known["active_ms"].astype(float).to_numpy()
    return known.iloc[int(longest.argmax())] if len(known) else None


def _of_arrays(text: str, evidence: dict[str, Any], way: str) -> Finding:
    other = (
        "a tf.data.Dataset that reads ahead: .batch(n).prefetch(tf.data.AUTOTUNE)"
        if way == "fit"
        else "call the model in a tf.function on slices of the array"
    )
    return Finding(
        layer=None,
        kind=KIND,
        text=text,
        cause=(
            f"{way} gathers each batch from the arrays by a copy on one thread; here the model "
            "is done before the next batch is there."
        ),
        remedy=(
            f"{other}; hand over smaller elements (uint8 and a Rescaling layer, say, instead of "
            "float32)"
        ),
        command=TRY_ALL if way == "predict" else None,
        evidence=evidence,
    )


def _of_stage(profile: Evidence, stage: pd.Series, text: str, evidence: dict[str, Any]) -> Finding:
    named = str(stage["stage"])
    told = named if pd.isna(stage["dataset"]) else f"{named} ({stage['dataset']})"
    each, active = float(stage["us_per_element"]), float(stage["active_ms"])
    last = profile.input["stage"].iloc[int(profile.input["depth"].to_numpy(int).argmin())]
    remedies = [_remedy(named, stage["parallelism"], profile.machine.get("usable_cores"))]
    if not str(last).startswith("Prefetch"):
        remedies.append(_AHEAD)
    return Finding(
        layer=None,
        kind=KIND,
        text=(
            f"{text} Its stage {told} was at work for {ms_text(active)} ms, longer than any other: "
            f"{ms_text(each)} us for each of {stage['calls']:,} elements."
        ),
        cause="The model is done before the pipeline has made the next batch.",
        remedy="; ".join(remedies),
        evidence={
            **evidence,
            "stage": named,
            "dataset": None if pd.isna(stage["dataset"]) else stage["dataset"],
            "path": stage["path"],
            "active_ms": active,
            "busy_ms": float(stage["busy_ms"]),
            "us_per_element": each,
            "calls": int(stage["calls"]),
        },
        sure="heuristic",
    )


def _remedy(stage: str, parallelism: Any, cores: Any) -> str:
    """What would make the stage faster, by its kind and by how it ran."""
    if stage.startswith(("Parallel", "MapAndBatch")):
        width = None if pd.isna(parallelism) else int(parallelism)
        if width is not None and cores and width < cores:
            return (
                f"it ran on at most {width} of {cores} processors: "
                "num_parallel_calls=tf.data.AUTOTUNE"
            )
        return _LESS
    return next((remedy for start, remedy in _REMEDIES if stage.startswith(start)), _LESS)
