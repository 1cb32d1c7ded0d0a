"""What a ``trace`` block holds: its settings, its profiles, and how one call becomes a run."""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import tensorflow as tf

from tftrace.api.measure import machine_roofs
from tftrace.api.profile import Profile
from tftrace.attribution.layers_track import append_layers_track
from tftrace.errors import TftraceError, TftraceWarning
from tftrace.runs.run import open_run
from tftrace.tracer.calls import Repeated
from tftrace.tracer.capture import Options, capture
from tftrace.tracer.failures import cause_of
from tftrace.tracer.predict import Predict
from tftrace.undo import MEASURING, Turn

ANOTHER = "another predict, or another call, is being traced"
TRACED = Turn(ANOTHER)
NONE_RAN = (
    "no predict, predict_on_batch or tf.function with a model, nor evaluate, fit, test_on_batch or "
    "train_on_batch, has run inside the block (model(x) by itself runs op by op and records no "
    "layers: call it in a tf.function)"
)


@dataclass
class Tracing:
    """What ``trace`` yields: one profile for each call inside the block that was traced, and why
    the others, if any, were not."""

    profiles: list[Profile] = field(default_factory=list)
    untraced: list[str] = field(default_factory=list)
    epochs: list[pd.DataFrame] = field(default_factory=list, repr=False)
    """The table **epochs** of each ``fit`` inside the block, of those too that were not traced."""
    fitting: set[int] = field(default_factory=set, repr=False)
    """The threads on which the caller's ``fit`` or ``evaluate`` runs, which may call others."""
    _seen: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    def leave(self, what: str, reason: str, stacklevel: int) -> None:
        """Note why ``what`` is not traced, and warn the caller, so many calls above."""
        self.untraced.append(reason)
        warnings.warn(
            f"this {what} is not traced: {reason}", TftraceWarning, stacklevel=stacklevel + 1
        )

    @property
    def profile(self) -> Profile:
        """The latest profile.

        Raises:
            LookupError: nothing has been traced yet.
        """
        if not self.profiles:
            reason = self.untraced[-1] if self.untraced else NONE_RAN
            raise LookupError(f"nothing was traced: {reason}")
        return self.profiles[-1]

    def first(self, called: Any, structure: Any) -> bool:
        """Whether ``called`` has not been seen before with arguments of such shapes and types."""
        shapes = tuple(
            (tuple(leaf.shape), str(getattr(leaf, "dtype", "")))
            if hasattr(leaf, "shape")
            else repr(leaf)
            for leaf in tf.nest.flatten(structure)
        )
        key = (id(called), shapes)
        new = key not in self._seen
        self._seen[key] = called  # kept, so that no other object gets its id
        return new


@dataclass(frozen=True)
class Settings:
    """Where and how ``trace`` was asked to trace."""

    logdir: Path
    all_ops: bool
    repeats: int


def ours() -> bool:
    """Whether the call is part of what is traced or measured already."""
    return TRACED.mine() or MEASURING.mine()


def reason_of(error: Exception) -> str:
    """Why something is not traced, in one line."""
    if isinstance(error, TftraceError):
        return " ".join(str(error).split())
    return f"{type(error).__name__}: {cause_of(error)}"


def run_traced(run: Predict | Repeated, x: Any, settings: Settings) -> Profile:
    """Trace one call of a run and write it below ``settings.logdir``."""
    options = Options(
        run.batch_size, settings.repeats, warmup=0, all_ops=settings.all_ops, trace_batches=0
    )
    folder = capture(
        run.model,
        x,
        options,
        settings.logdir,
        append_layers_track,
        predict=run,
        roofs=machine_roofs(False, lambda _: None),
    )
    return Profile(open_run(folder))
