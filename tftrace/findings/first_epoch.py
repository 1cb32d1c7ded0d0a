"""What the first epoch of ``fit`` costs more than the others: its graphs are traced then."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from tftrace.findings.basis.evidence import Evidence
from tftrace.findings.registry import Finding, finding_of_fit
from tftrace.runs.epochs import OF_CALLER, STEPS, VALIDATION
from tftrace.text import ms_text, share_text

_MIN_OF_FIT = 0.1
_TRACED = 10.0
"""A first step of so many ordinary ones was not slow by chance."""


@finding_of_fit
def traced_in_the_first_epoch(profile: Evidence) -> Iterator[Finding]:
    """Steps and validation of the caller's first epoch took far longer than in those after it."""
    if profile.epochs_of != OF_CALLER:
        return  # of passes of a run the graphs are made before any is timed
    epochs = profile.epochs
    steps = epochs[epochs["part"] == STEPS]
    if len(steps) < 2:
        return
    first_step, step = float(steps["first_ms"].iloc[0]), float(steps["median_ms"].iloc[-1])
    extra = _extra_ms(steps) + _extra_ms(epochs[epochs["part"] == VALIDATION])
    whole = float(epochs["wall_ms"].sum())
    if extra < _MIN_OF_FIT * whole or first_step < _TRACED * step:
        return
    number, run = len(steps), profile.run
    smaller = run["samples"] > run["batch_size"] and run["samples"] % run["batch_size"] > 0
    yield Finding(
        layer=None,
        kind="first epoch traced",
        text=(
            f"The first of {number} epochs took {ms_text(extra)} ms longer in its steps and its "
            f"validation than the others did, {share_text(extra / whole)} of the whole fit: its "
            f"first step {ms_text(first_step)} ms, a usual one {ms_text(step)} ms."
        ),
        cause=(
            "Keras traces the train function at the first step"
            + (", and once more for the smaller last batch" if smaller else "")
            + "; TensorFlow optimizes, or XLA compiles, what was traced."
        ),
        remedy=(
            "it comes once for each compile(): call fit once for all epochs"
            + ("; whole batches spare the second graph" if smaller else "")
        ),
        # A traced pass is one epoch.
        evidence={
            "ms": extra / number,
            "extra_ms": extra,
            "fit_share": extra / whole,
            "first_step_ms": first_step,
            "step_ms": step,
            "epochs": number,
        },
    )


def _extra_ms(part: pd.DataFrame) -> float:
    """What a part took in the first epoch beyond its median in the others; 0 without others."""
    ms = part["wall_ms"].astype(float)
    return max(0.0, float(ms.iloc[0] - ms.iloc[1:].median())) if len(ms) > 1 else 0.0
