"""A recipe made ready to run: the model changed as it says, and one pass over the data."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from tftrace.advice.recipe import Recipe
from tftrace.errors import TftraceError
from tftrace.folding.bias import without_biases
from tftrace.machine.bench.batches import steady_batches
from tftrace.tracer.data.inputs import fit_inputs, samples_of, take
from tftrace.tracer.graphs.frozen import freeze
from tftrace.tracer.keras_model import borrowed, overrides_predict
from tftrace.tracer.predict import Predict
from tftrace.tracer.state import state_kept


@dataclass(frozen=True)
class Variant:
    """``run`` is one pass over the data; ``outputs`` predicts the first so many samples."""

    run: Callable[[], Any]
    outputs: Callable[[int], list[np.ndarray]]


def variant(recipe: Recipe, load: Callable[[], Any], data: Any, stack: ExitStack) -> Variant:
    """Load the model, change it by ``recipe``, and put together a pass over ``data``.

    Passes of ``predict`` do not wait for tf.data's autotuner where they end, unless the model has a
    ``predict`` of its own, which may take nothing but arrays.

    Args:
        stack: what is lent for the passes is given back when it is closed.

    Raises:
        TftraceError: the recipe does not fit the model, with the reason.
    """
    model, x = changed(recipe, load, data)
    stack.enter_context(state_kept(model))
    stack.enter_context(borrowed(model, recipe.jit))
    if recipe.function:
        call = tf.function(partial(model, training=False), jit_compile=recipe.jit)
        return Variant(
            lambda: _sliced(call, x, recipe.batch_size),
            lambda count: _sliced(call, take(x, count), recipe.batch_size),
        )
    predict = Predict(model, recipe.batch_size)
    own = overrides_predict(model)

    def outputs(count: int) -> list[np.ndarray]:
        some = take(x, count)
        batches = some if own else steady_batches(some, recipe.batch_size)
        return _arrays(model.predict(batches, verbose=0))

    return Variant(partial(predict if own else predict.steady, x), outputs)


def changed(recipe: Recipe, load: Callable[[], Any], data: Any) -> tuple[Any, Any]:
    """The model with what of the recipe changes it, and the data as it takes them.

    Raises:
        TftraceError: the recipe does not fit the model, with the reason.
    """
    model = load()
    if recipe.fold:
        model = _folded(model)
    if recipe.no_bias:
        model = without_biases(model)
    if recipe.bfloat16 or recipe.float16:
        model = _in_half("mixed_bfloat16" if recipe.bfloat16 else "mixed_float16", model)
    if recipe.freeze:
        model = freeze(model)
    return model, fit_inputs(model, data)


def _folded(model: Any) -> Any:
    from tftrace.folding.fold import fold

    result = fold(model)
    if not result.folded:
        kept = result.kept[0].reason if result.kept else "it has no BatchNormalization"
        raise TftraceError(f"nothing folds: {kept}")
    return result.model


def _in_half(policy: str, model: Any) -> Any:
    """The same model, computed in a type of 16 bits."""
    import keras

    def clone(layer: Any) -> Any:
        return type(layer).from_config(layer.get_config() | {"dtype": policy})

    try:
        found = keras.models.clone_model(model, clone_function=clone)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise TftraceError(f"its layers cannot be made anew: {error}") from error
    found.set_weights(model.get_weights())
    return found


def _sliced(call: Callable[[Any], Any], x: Any, size: int) -> list[np.ndarray]:
    count = samples_of(x)
    parts = []
    for begin in range(0, count, size):
        batch = tf.nest.map_structure(lambda array: array[begin : begin + size], x)  # noqa: B023
        parts.append(_arrays(call(batch)))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _arrays(outputs: Any) -> list[np.ndarray]:
    return [np.asarray(tensor) for tensor in tf.nest.flatten(outputs)]
