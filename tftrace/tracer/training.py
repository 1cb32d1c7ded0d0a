"""What the optimizer of a model would hold, asked of a copy: the model stays as it is."""

from __future__ import annotations

from typing import Any

from tftrace.counts.training import Training
from tftrace.errors import TftraceError
from tftrace.tracer.failures import cause_of
from tftrace.tracer.graphs.recorder import weight_bytes


def training_of(model: Any, optimizer: str | None = None) -> Training:
    """The gradients and the optimizer's variables of ``model``, a built model of Keras 3.

    Args:
        optimizer: Keras's name of it; None for the one that the model is compiled with.

    Raises:
        TftraceError: the model is not compiled and no optimizer is named, Keras does not know the
            name, or the optimizer is not one of Keras 3.
    """
    import keras

    own = getattr(model, "optimizer", None)
    if optimizer is None and own is None:
        raise TftraceError("the model is not compiled: name an optimizer, --optimizer adam")
    try:
        told = optimizer if optimizer is not None else keras.optimizers.serialize(own)
        copy = keras.optimizers.get(told)
    except Exception as error:
        # Keras raises what it likes for what it does not know.
        raise TftraceError(f"the optimizer is unknown: {cause_of(error)}") from error
    learns = model.trainable_variables
    copy.build(learns)
    held = {id(v): weight_bytes(v) for v in copy.variables}
    return Training(
        optimizer=type(copy).__name__,
        gradients_bytes=sum(map(weight_bytes, learns)),
        optimizer_bytes=sum(held.values()),
    )
