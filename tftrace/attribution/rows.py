"""One row of **ops** before it becomes a table, and the components of **wall** it may count in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tftrace.attribution.kernels import OUTSIDE, KernelInfo

LAYERS = "layers"
OUTSIDE_LAYERS = "model ops outside layers"


@dataclass(frozen=True)
class Row:
    """A kernel over all functions and steps.

    ``executions`` are indices into the run's executions; ``expected`` how many there must have
    been, None when unknown; ``info`` is None for what is not of the model's graph. ``note`` is
    what is uncertain about it.
    """

    name: str
    type: str
    component: str
    info: KernelInfo | None
    executions: np.ndarray
    expected: int | None
    note: str | None = None


def component_of(info: KernelInfo | None) -> str:
    """Where a kernel of the model counts."""
    return OUTSIDE_LAYERS if info is None or info.layer == OUTSIDE else LAYERS


def asks_for_data(kind: str) -> bool:
    """Whether an operation of this type asks tf.data for the next batch, as Keras 2's do."""
    return kind.startswith("IteratorGetNext")
