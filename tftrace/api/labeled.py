"""``fit`` and ``evaluate`` in a ``trace`` block: the caller's own call, then one epoch traced."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from inspect import signature
from threading import get_ident
from types import GeneratorType
from typing import Any

import tensorflow as tf

from tftrace.api.measure import profile
from tftrace.api.profile import Profile
from tftrace.api.tracing import TRACED, Settings, Tracing, ours, reason_of
from tftrace.errors import TftraceError
from tftrace.runs.epochs import OF_CALLER, Epochs
from tftrace.runs.run import add_epochs, open_run
from tftrace.tables.epochs import epochs_table
from tftrace.tracer.data.own_batches import OwnBatches, has_own_batches, own_batches
from tftrace.tracer.epochs import fit_timed, in_validation
from tftrace.units import with_units

_STEPS = ("steps", "steps_per_epoch")
_CHANGES_STEPS = ("sample_weight", "class_weight", *_STEPS, "validation_split")
"""Arguments that change what a step does or which there are; the others come around the steps."""


def call_labeled(
    name: str,
    original: Callable[..., Any],
    model: Any,
    args: Sequence[Any],
    keywords: Mapping[str, Any],
    settings: Settings,
    tracing: Tracing,
) -> Any:
    """``model.fit`` or ``model.evaluate`` (``name``), and then an epoch of the same, traced.

    The caller's call is untouched; of a ``fit`` it is noted where its time goes, epoch by epoch.
    The traced epoch starts from the model as that left it, runs without callbacks and validation,
    and leaves no trace in the model.
    """
    if ours() or get_ident() in tracing.fitting:
        with in_validation() if name == "evaluate" else nullcontext():
            return original(model, *args, **keywords)  # validation is a part of fit
    tracing.fitting.add(get_ident())
    try:
        with fit_timed() if name == "fit" else nullcontext() as clock:
            result = original(model, *args, **keywords)
    finally:
        tracing.fitting.discard(get_ident())
    try:
        epochs = None if clock is None else clock.epochs(OF_CALLER)
        if epochs is not None:
            on_gpu = bool(tf.config.list_logical_devices("GPU"))
            tracing.epochs.append(with_units(epochs_table(epochs, on_gpu)))
        given = signature(original).bind(model, *args, **keywords).arguments
        x, y, batch_size = _followed(model, name, given)
        with TRACED.taken():
            found = profile(
                model,
                x,
                y,
                phase=name,
                batch_size=batch_size,
                repeats=settings.repeats,
                warmup=0,
                all_ops=settings.all_ops,
                trace_batches=0,
                out=settings.logdir,
                calibrate=False,
            )
        if epochs is not None:
            found = _with_epochs(found, epochs)
        tracing.profiles.append(found)
    except Exception as error:
        tracing.leave(name, reason_of(error), 3)
    return result


def _with_epochs(found: Profile, epochs: Epochs) -> Profile:
    """The run with those epochs in place of its passes'."""
    add_epochs(found.folder, epochs)
    return Profile(open_run(found.folder))


def _followed(model: Any, name: str, given: Mapping[str, Any]) -> tuple[Any, Any, int]:
    """Inputs, labels and batch size of the call.

    Raises:
        TftraceError: an argument changes the steps in a way that is not followed, or the data can
            be gone through only once.
    """
    told = [key for key in _CHANGES_STEPS if given.get(key) is not None]
    own = has_own_batches(given.get("x"))
    if own:  # it is gone through for so many batches
        told = [key for key in told if key not in _STEPS]
    if given.get("validation_split") == 0:  # Keras's own way to say that there is none
        told.remove("validation_split")
    if told:
        raise TftraceError(f"trace() does not follow {name}({told[0]}=…)")
    if own:
        return _batches(model, name, given), None, 32
    return given.get("x"), given.get("y"), given.get("batch_size") or 32


def _batches(model: Any, name: str, given: Mapping[str, Any]) -> OwnBatches:
    """The batches of one epoch of the call."""
    x = given["x"]
    if isinstance(x, GeneratorType):
        raise TftraceError(f"{name} has consumed the generator, which gives its batches only once")
    steps = next((given[key] for key in _STEPS if given.get(key) is not None), None)
    return own_batches(model, x, None, steps, labels=True)
