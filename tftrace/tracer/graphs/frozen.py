"""A model whose predict has its weights as constants, as an exported inference graph does."""

from __future__ import annotations

from typing import Any

from tftrace.errors import TftraceError
from tftrace.tracer.keras_model import is_legacy, overrides_predict

# A graph is one protocol buffer of at most 2 GiB; what the profiler collects has it four times.
_MOST_BYTES = 2**29


def freeze(model: Any) -> Any:
    """Let ``model.predict`` read constants where it reads weights; the same model is returned.

    The predict function is traced with every weight's value as it is now: what TensorFlow does
    with a constant (oneDNN reorders it once, the optimizer computes ahead) it then does with the
    weights. Later changes of the weights do not count. What `convert_variables_to_constants_v2`
    does to a finished graph is done while it is traced, so that its operations keep their layers.

    Raises:
        TftraceError: the model cannot be frozen, with the reason.
    """
    import keras

    if is_legacy(model):
        raise TftraceError("freeze=on needs a model of Keras 3")
    if overrides_predict(model):
        raise TftraceError("freeze=on needs Keras's own predict; this model's class has another")
    if not model.built or not model.weights:
        raise TftraceError("freeze=on: this model has no weights yet")
    values = [(weight, weight.numpy()) for weight in model.weights]
    size = sum(value.nbytes for _, value in values)
    if size > _MOST_BYTES:
        raise TftraceError(
            f"freeze=on: the weights take {size / 1e6:,.0f} MB, more than the graph of a traced "
            f"run can hold ({_MOST_BYTES / 1e6:,.0f} MB)"
        )
    plain = model.predict_step

    def predict_step(data: Any) -> Any:
        # The scope makes its constants in the graph that is being traced.
        with keras.StatelessScope(values):
            return plain(data)

    model.predict_step = predict_step
    return model
