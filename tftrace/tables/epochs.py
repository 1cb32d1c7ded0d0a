"""**epochs**: where the wall time of ``fit`` goes, epoch by epoch: its steps, and the rest."""

from __future__ import annotations

import pandas as pd

from tftrace.runs.epochs import (
    AFTER,
    AFTER_STEPS,
    BEFORE,
    BEFORE_STEPS,
    BETWEEN_STEPS,
    CALLBACKS,
    STEPS,
    VALIDATION,
    EpochPart,
    Epochs,
)
from tftrace.tables.frame import table_of

_NS_PER_MS = 1e6
_COLUMNS = ("epoch", "part", "calls", "wall_ms", "median_ms", "first_ms", "note")
_IN_ORDER = (STEPS, VALIDATION, "", CALLBACKS, BEFORE_STEPS, BETWEEN_STEPS, AFTER_STEPS)
_ORDER = {name: place for place, name in enumerate((BEFORE, *_IN_ORDER, AFTER))}
"""Callbacks by name stand between validation and what Keras does for all of them."""
_ON_GPU = "until the call returns; what a GPU may still compute is in the part that waits for it"


def epochs_table(epochs: Epochs | None, on_gpu: bool) -> pd.DataFrame:
    """**epochs**: one row per epoch and part, which do not overlap: `wall_ms` sums to the `fit`.

    `calls` are steps, evaluations, hooks; `median_ms` and `first_ms` are of single steps. Where
    nothing was timed there is one row, whose note says why; without ``epochs`` there is none.
    """
    rows = []
    if epochs is not None:
        rows = [_row(part, epochs, on_gpu) for part in sorted(epochs.parts, key=_place)]
        if epochs.reason is not None:
            rows.append(_unknown(epochs.reason))
    return table_of(
        rows,
        integers=("epoch", "calls"),
        numbers=("wall_ms", "median_ms", "first_ms"),
        others=_COLUMNS,
    )


def _place(part: EpochPart) -> tuple[float, int]:
    epoch = -1.0 if part.part == BEFORE else float("inf")
    return epoch if part.epoch is None else part.epoch, _ORDER.get(part.part, _ORDER[""])


def _row(part: EpochPart, epochs: Epochs, on_gpu: bool) -> dict[str, object]:
    steps = part.part == STEPS
    note = _ON_GPU if steps and on_gpu else epochs.notes.get(part.part)
    return {
        "epoch": part.epoch,
        "part": part.part,
        "calls": part.calls,
        "wall_ms": part.ns / _NS_PER_MS,
        "median_ms": None if part.median_ns is None else part.median_ns / _NS_PER_MS,
        "first_ms": None if part.first_ns is None else part.first_ns / _NS_PER_MS,
        "note": note,
    }


def _unknown(reason: str) -> dict[str, object]:
    return dict.fromkeys(_COLUMNS) | {"part": "fit", "note": reason}
