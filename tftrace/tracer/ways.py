"""Ways to run a model that cannot be followed, and why."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tftrace.errors import TftraceError

EAGER_OFF = (
    "eager execution is off (tf.compat.v1.disable_eager_execution, or a call inside a graph): "
    "predict then makes no function of its own to look into; run it eagerly"
)


def require_followed(model: Any) -> None:
    """Fail where the layers' calls would not be found in the graph that runs.

    Raises:
        TftraceError: with the reason, and what to do.
    """
    if not tf.executing_eagerly():
        raise TftraceError(EAGER_OFF)
    if getattr(model, "run_eagerly", False):
        raise TftraceError(
            "the model runs eagerly, and eager calls record no operations; "
            "compile it with run_eagerly=False"
        )
    if tf.config.functions_run_eagerly():
        raise TftraceError(
            "tf.config.run_functions_eagerly(True) is set, and eager calls record no operations"
        )
    strategy = getattr(model, "distribute_strategy", None)
    replicas = getattr(strategy, "num_replicas_in_sync", 1)
    if replicas > 1:
        raise TftraceError(
            f"the model runs on {replicas} replicas ({type(strategy).__name__}), and kernels are "
            "not told apart by replica; load it outside of the strategy's scope to measure one"
        )
