"""Calls other than ``predict`` inside a ``trace`` block: the caller's own, then traced."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

import tensorflow as tf

from tftrace.api.tracing import TRACED, Settings, Tracing, reason_of, run_traced
from tftrace.errors import TftraceWarning
from tftrace.tracer.calls import in_function, on_batch
from tftrace.tracer.data.inputs import fit_inputs, samples_of
from tftrace.undo import MEASURING

_KERAS = ("keras.", "tf_keras.")


def call_on_batch(
    original: Callable[..., Any], model: Any, x: Any, settings: Settings, tracing: Tracing
) -> Any:
    """``model.predict_on_batch(x)``, the first of its shapes traced."""
    outputs = original(model, x)
    if _ours():
        return outputs
    try:
        if not tracing.first(model, x):
            return outputs
        with TRACED.taken():
            fitted = fit_inputs(model, x)
            run = on_batch(model, original, fitted)
            run.batch_size = samples_of(fitted)
            tracing.profiles.append(run_traced(run, fitted, settings))
    except Exception as error:
        _not_traced(error, "predict_on_batch", tracing)
    return outputs


def call_function(
    original: Callable[..., Any],
    function: Any,
    args: Sequence[Any],
    keywords: Mapping[str, Any],
    settings: Settings,
    tracing: Tracing,
) -> Any:
    """A call of a ``tf.function``, the first of its shapes traced if it runs a model's layers."""
    outputs = original(function, *args, **keywords)
    python = function.python_function
    if not tf.executing_eagerly() or _of_keras(python) or _ours():
        return outputs
    try:
        if not tracing.first(python, (args, keywords)):
            return outputs
        with TRACED.taken():
            found = in_function(function, args, keywords)
            if found is not None:
                run, samples = found
                run.batch_size = samples_of(samples)
                tracing.profiles.append(run_traced(run, samples, settings))
    except Exception as error:
        _not_traced(error, getattr(python, "__name__", "a tf.function"), tracing)
    return outputs


def _of_keras(python: Any) -> bool:
    """Whether it is a function of Keras's trainer; a model that is called as one is not."""
    return isinstance(python, FunctionType) and (python.__module__ or "").startswith(_KERAS)


def _ours() -> bool:
    """Whether the call is part of what is traced or measured already."""
    return TRACED.mine() or MEASURING.mine()


def _not_traced(error: Exception, what: str, tracing: Tracing) -> None:
    reason = reason_of(error)
    tracing.untraced.append(reason)
    warnings.warn(f"this call of {what} is not traced: {reason}", TftraceWarning, stacklevel=4)
