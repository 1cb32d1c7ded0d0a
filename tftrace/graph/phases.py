"""What an operation of a step is for."""

from __future__ import annotations

FORWARD = "forward"
BACKWARD = "backward"
OPTIMIZER = "optimizer"
LOSS = "loss"
METRICS = "metrics"

PHASES = (FORWARD, BACKWARD, OPTIMIZER, LOSS, METRICS)
"""In the order of the run folder's numbers for them, which must not change."""
