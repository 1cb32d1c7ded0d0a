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

OF_OPTIMIZER = (CLIPPING, WEIGHT_DECAY, MOVING_AVERAGE, LOSS_SCALING, ACCUMULATION)
"""What an optimizer does around its updates."""
RECOMPUTATION = "recomputation"
"""What the backward pass computes that the forward pass has computed already."""

PARTS = (*OF_OPTIMIZER, RECOMPUTATION)
"""Phases that are finer than those of `PHASES`, in the order of the run folder's numbers, too."""

_WHOLE = {**dict.fromkeys(OF_OPTIMIZER, OPTIMIZER), RECOMPUTATION: BACKWARD}


def phase_of(finer: str) -> str:
    """One of `PHASES`: that which a part of it belongs to."""
    return _WHOLE.get(finer, finer)
