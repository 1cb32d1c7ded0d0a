"""Calls other than ``predict`` inside a ``trace`` block: the caller's own, then traced."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from threading import get_ident
from types import FunctionType
from typing import Any

import tensorflow as tf

from tftrace.api.tracing import TRACED, Settings, Tracing, ours, reason_of, run_traced
from tftrace.tracer.calls import in_function, labeled_on_batch, on_batch
from tftrace.tracer.data.inputs import fit_inputs, samples_of

_KERAS = ("keras.", "tf_keras.")


def call_on_batch(
    original: Callable[..., Any], model: Any, x: Any, settings: Settings, tracing: Tracing
) -> Any:
    """``model.predict_on_batch(x)``, the first of its shapes traced."""
    outputs = original(model, x)
    if ours():
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
        tracing.leave("call of predict_on_batch", reason_of(error), 3)
    return outputs


def call_labeled_on_batch(
    name: str,
    original: Callable[..., Any],
    model: Any,
    args: Sequence[Any],
    keywords: Mapping[str, Any],
    settings: Settings,
    tracing: Tracing,
) -> Any:
    """``model.train_on_batch`` or ``test_on_batch`` (``name``), the first of its shapes traced
    from the model as the caller's left it, and put back."""
    outputs = original(model, *args, **keywords)
    if ours() or get_ident() in tracing.fitting:
        return outputs
    try:
        given = signature(original).bind(model, *args, **keywords).arguments
        if not tracing.first(model, (name, args, dict(keywords))):
            return outputs
        with TRACED.taken():
            fitted = fit_inputs(model, given["x"])
            run = labeled_on_batch(name, model, original, args, keywords)
            run.batch_size = samples_of(fitted)
            tracing.profiles.append(run_traced(run, fitted, settings))
    except Exception as error:
        tracing.leave(f"call of {name}", reason_of(error), 3)
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
    if not tf.executing_eagerly() or _of_keras(python) or ours():
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
        name = getattr(python, "__name__", "a tf.function")
        tracing.leave(f"call of {name}", reason_of(error), 3)
    return outputs


def _of_keras(python: Any) -> bool:
    """Whether it is a function of Keras's trainer; a model that is called as one is not."""
    return isinstance(python, FunctionType) and (python.__module__ or "").startswith(_KERAS)
