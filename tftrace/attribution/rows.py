"""One row of **ops** before it becomes a table, and the components of **wall** it may count in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tftrace.attribution.function import Share
from tftrace.attribution.kernel_owner import OUTSIDE, KernelInfo
from tftrace.graph.phases import (
    BACKWARD,
    FORWARD,
    LOSS,
    METRICS,
    OF_OPTIMIZER,
    OPTIMIZER,
    RECOMPUTATION,
)
from tftrace.native.loops import executions as execution_loops
from tftrace.timeline.share_out import Timeline

LAYERS = "layers"
OUTSIDE_LAYERS = "model ops outside layers"
LOSS_AND_METRICS = "loss and metrics"
OPTIMIZER_ITSELF = "optimizer"
_OF_NO_LAYER = {
    FORWARD: OUTSIDE_LAYERS,
    LOSS: LOSS_AND_METRICS,
    METRICS: LOSS_AND_METRICS,
    # Every gradient has its layer but that of the loss.
    BACKWARD: LOSS_AND_METRICS,
    OPTIMIZER: OPTIMIZER_ITSELF,
    **{part: part for part in OF_OPTIMIZER},
    RECOMPUTATION: LOSS_AND_METRICS,
}


@dataclass(frozen=True)
class Row:
    """A kernel over all functions and steps.

    ``executions`` are indices into the run's executions; ``expected`` how many there must have
    been, None when unknown; ``info`` is None for what is not of the model's graph. ``note`` is
    what is uncertain about it. Without the model's graph, ``members`` are the operations that
    XLA noted for it and ``module`` is its program.
    """

    name: str
    type: str
    component: str
    info: KernelInfo | None
    executions: np.ndarray
    expected: int | None
    note: str | None = None
    members: tuple[str, ...] = ()
    module: str | None = None


@dataclass(frozen=True)
class Totals:
    """What the executions of rows add up to, in ps: one entry per row."""

    wall: npt.NDArray[np.float64]
    busy: npt.NDArray[np.int64]
    thread: npt.NDArray[np.int64]

    @classmethod
    def of(cls, row: npt.NDArray[np.int32], rows: int, timeline: Timeline) -> Totals:
        """Of so many rows; ``row`` is that of each execution, -1 for none."""
        totals = cls(np.zeros(rows), np.zeros(rows, np.int64), np.zeros(rows, np.int64))
        execution_loops.add_up(
            len(row),
            row,
            timeline.wall,
            timeline.start,
            timeline.until,
            timeline.thread,
            totals.wall,
            totals.busy,
            totals.thread,
        )
        known = timeline.root >= 0
        of_root = row[timeline.root[known]]
        np.add.at(totals.thread, of_root[of_root >= 0], timeline.worker[known][of_root >= 0])
        return totals


@dataclass(frozen=True)
class UnknownFunction:
    """A function that ran in the window and is no trace of the predict function.

    ``busy_ms`` is the time inside its calls, of whichever threads.
    """

    name: str
    calls: int = 0
    busy_ms: float = 0.0


def component_of(info: KernelInfo | None) -> str:
    """Where a kernel of the model counts."""
    return OUTSIDE_LAYERS if info is None else component_of_share((info.layer, info.phase))


def component_of_share(share: Share) -> str:
    """Where what is for a call site (or none) counts."""
    site, phase = share
    return _OF_NO_LAYER[phase] if site == OUTSIDE else LAYERS


def asks_for_data(kind: str) -> bool:
    """Whether an operation of this type asks tf.data for the next batch, as Keras 2's do."""
    return kind.startswith("IteratorGetNext")
