"""What a way would take, estimated and not tried: of more data than one wants to wait for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tftrace.advice.recipe import Recipe
from tftrace.advice.variant import changed
from tftrace.api.estimate import estimate
from tftrace.errors import TftraceError
from tftrace.estimation.kernels import Estimate
from tftrace.text import Stage
from tftrace.tracer.data.inputs import samples_of
from tftrace.tracer.keras_model import borrowed, overrides_predict

_NOT_ESTIMATED = {
    "function": "estimates are of predict",
    "freeze": "what becomes of constants is known once it ran",
    "own_process": "kernels are timed on the threads of this process",
}


def what_if(
    recipe: Recipe, load: Callable[[], Any], data: Any, progress: Callable[[str], None]
) -> Estimate:
    """The estimate of one pass of ``predict`` over ``data``; a last batch that is smaller counts as
    the part of a batch that it is.

    Raises:
        TftraceError: there is none of such a way, or of this model, with the reason.
    """
    for name, reason in _NOT_ESTIMATED.items():
        if getattr(recipe, name):
            raise TftraceError(f"not estimated: {reason}")
    model, x = changed(recipe, load, data)
    if overrides_predict(model):
        raise TftraceError("not estimated: the model has a predict of its own")
    samples = samples_of(x)
    batch = min(recipe.batch_size, samples)
    arrays = tf.nest.flatten(x)
    if any(array is None for array in arrays):
        raise TftraceError("not estimated: an input is left out")
    shapes = [(batch, *array.shape[1:]) for array in arrays]
    with borrowed(model, recipe.jit):
        found = estimate(
            model,
            shapes,
            batches=samples / batch,
            progress=lambda words: progress(Stage(words, unplanned=True)),
        )
    if found.unknown:
        raise TftraceError(f"not estimated: {', '.join(found.unknown)} cannot be timed alone")
    return found.total
