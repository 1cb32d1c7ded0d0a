"""What an operation of a step is for."""

from __future__ import annotations

FORWARD = "forward"
BACKWARD = "backward"
OPTIMIZER = "optimizer"
LOSS = "loss"
METRICS = "metrics"

PHASES = (FORWARD, BACKWARD, OPTIMIZER, LOSS, METRICS)
"""In the order of the run folder's numbers for them, which must not change."""

CLIPPING = "clipping"
WEIGHT_DECAY = "weight decay"
MOVING_AVERAGE = "moving average"
LOSS_SCALING = "loss scaling"
ACCUMULATION = "gradient accumulation"

PARTS = (CLIPPING, WEIGHT_DECAY, MOVING_AVERAGE, LOSS_SCALING, ACCUMULATION)
"""What of the optimizer has a name of its own. As phases they are finer than `OPTIMIZER`; their
order is that of the run folder's numbers, too."""


def phase_of(finer: str) -> str:
    """One of `PHASES`: that which a part of it belongs to."""
    return OPTIMIZER if finer in PARTS else finer
