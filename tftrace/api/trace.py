"""Trace code that calls ``model.predict`` itself."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from itertools import islice
from pathlib import Path
from types import GeneratorType
from typing import Any

import keras
import tensorflow as tf

from tftrace.api.calls import call_function, call_labeled_on_batch, call_on_batch
from tftrace.api.labeled import call_labeled
from tftrace.api.tracing import ANOTHER, TRACED, Settings, Tracing, reason_of, run_traced
from tftrace.errors import TftraceError, TftraceWarning
from tftrace.tracer.calls import FUNCTION
from tftrace.tracer.data.inputs import as_given, fit_inputs
from tftrace.tracer.data.own_batches import has_own_batches, own_batches
from tftrace.tracer.epochs import CALLBACK_LIST, HOOKS, hooked
from tftrace.tracer.predict import Predict
from tftrace.tracer.ways import EAGER_OFF
from tftrace.undo import MEASURING, Turn


@contextmanager
def trace(logdir: str | Path, *, all_ops: bool = False, repeats: int = 0) -> Iterator[Tracing]:
    """Trace every ``model.predict`` that the block calls, one run each under ``logdir``.

    So it does with ``predict_on_batch``, ``train_on_batch``, ``test_on_batch`` and with every
    ``tf.function`` that runs a model, for the first call with arguments of the same shapes: the
    caller's own call first, untouched, and then again, traced anew (the function's Python code
    runs three times more).

    Each predict runs twice: once to trace and warm up the graph, without the caller's
    callbacks, then under the profiler; ``repeats`` more passes in between measure latency. The
    second pass starts from the state that the first found (seeds, states of recurrent layers,
    running statistics, whatever the model holds in variables) and is the caller's: its result is
    what Keras would have returned. A model with operations that hide their random state gets a
    third pass, the caller's own, untraced.

    After a ``fit`` or ``evaluate`` one epoch of it is traced, without callbacks and
    validation, from the model as the caller's call left it, and put back. What the caller's ``fit``
    itself spends its time on, epoch by epoch, is noted beside: ``epochs`` of the profile, and of
    what the block yields, for every ``fit``.

    Data in batches of its own (tf.data, PyDataset, generator) is gone through four times: by the
    caller's own pass, untraced and first, since what it makes next may differ; to be counted; to
    trace the graph; and under the profiler. The batches of a generator are kept for that; a
    ``fit`` or ``evaluate`` has consumed them, and is not traced.

    What keeps a predict from being traced takes nothing from the caller: it runs untraced, with
    a ``TftraceWarning`` that says why (``logdir`` cannot be written, arrays
    with ``steps``, a profiler that already runs, a predict inside another). ``predict`` is put back
    when the block ends, whatever happens inside.

    Raises:
        TftraceError: another thread is inside such a block.
    """
    tracing = Tracing()
    settings = Settings(Path(logdir), all_ops, repeats)
    if not tf.executing_eagerly():  # models of Keras 2 are then of classes that are not replaced
        tracing.untraced.append(EAGER_OFF)
        warnings.warn(f"nothing will be traced: {EAGER_OFF}", TftraceWarning, stacklevel=3)

    def predict(original: Callable[..., Any]) -> Callable[..., Any]:
        def predict(model: Any, *args: Any, **keywords: Any) -> Any:
            call = Call(original, model, args, keywords)
            return _predict(call, settings, tracing)

        return predict

    def predict_on_batch(original: Callable[..., Any]) -> Callable[..., Any]:
        def predict_on_batch(model: Any, x: Any) -> Any:
            return call_on_batch(original, model, x, settings, tracing)

        return predict_on_batch

    def labeled(name: str) -> Callable[..., Any]:
        def replaced(original: Callable[..., Any]) -> Callable[..., Any]:
            def call(model: Any, *args: Any, **keywords: Any) -> Any:
                return call_labeled(name, original, model, args, keywords, settings, tracing)

            return call

        return replaced

    def labeled_on_batch(name: str) -> Callable[..., Any]:
        def replaced(original: Callable[..., Any]) -> Callable[..., Any]:
            def call(model: Any, *args: Any, **keywords: Any) -> Any:
                return call_labeled_on_batch(
                    name, original, model, args, keywords, settings, tracing
                )

            return call

        return replaced

    def function(original: Callable[..., Any]) -> Callable[..., Any]:
        def __call__(function: Any, *args: Any, **keywords: Any) -> Any:
            return call_function(original, function, args, keywords, settings, tracing)

        return __call__

    ways: list[tuple[Any, str, Callable[..., Any]]] = [(FUNCTION, "__call__", function)]
    for model_class in _model_classes():
        ways += [(model_class, "predict", predict)]
        ways += [(model_class, "predict_on_batch", predict_on_batch)]
        ways += [(model_class, name, labeled(name)) for name in ("fit", "evaluate")]
        on_batch = ("train_on_batch", "test_on_batch")
        ways += [(model_class, name, labeled_on_batch(name)) for name in on_batch]
    ways += [(CALLBACK_LIST, name, hooked(name)) for name in HOOKS]
    with _PATCHED.taken():
        originals = [(holder, name, holder.__dict__.get(name)) for holder, name, _ in ways]

        def put_back() -> None:
            for holder, name, own in originals:
                if own is not None:
                    setattr(holder, name, own)
                elif name in holder.__dict__:
                    delattr(holder, name)

        with _PATCHED.undone(put_back):
            for holder, name, way in ways:
                # Keras 3 inherits them from its backend's trainer; the class's own go before.
                setattr(holder, name, way(getattr(holder, name)))
            yield tracing


@dataclass(frozen=True)
class Call:
    """A call of ``predict`` as the caller made it."""

    original: Callable[..., Any]
    model: Any
    args: tuple[Any, ...]
    keywords: dict[str, Any]

    def plain(self) -> Any:
        """The call, untraced."""
        return self.original(self.model, *self.args, **self.keywords)

    def arguments(self) -> dict[str, Any]:
        """What the caller gave, by name."""
        bound = signature(self.original).bind(self.model, *self.args, **self.keywords)
        _, *given = bound.arguments.items()
        return dict(given)


_PATCHED = Turn("another thread is inside trace(), which replaces predict for all of them")


def _predict(call: Call, settings: Settings, tracing: Tracing) -> Any:
    """Run the caller's predict once, traced if that can be."""
    if TRACED.mine():
        return _untraced(call, ANOTHER, tracing)
    if MEASURING.mine():
        return call.plain()  # of a measurement that the block asked for
    if has_own_batches(call.keywords.get("x", call.args[0] if call.args else None)):
        return _after(call, settings, tracing)
    run = None
    try:
        with TRACED.taken():
            run, x = _prepared(call)
            tracing.profiles.append(run_traced(run, x, settings))
    except Exception as error:
        if run is not None and run.raised is error:
            raise
        return _untraced(call, reason_of(error), tracing, run)
    return run.outputs if run.done else call.plain()


def _after(call: Call, settings: Settings, tracing: Tracing) -> Any:
    """The caller's predict, and then the same again, traced.

    What batches of its own the data makes next, nobody can make it go back to (a shuffle, say): the
    first are the caller's. A generator's are kept for both.
    """
    keywords = call.arguments()
    x, steps = keywords["x"], keywords.get("steps")
    if isinstance(x, GeneratorType):
        x = list(islice(x, steps))
        keywords["x"] = (batch for batch in x)
    outputs = call.original(call.model, **keywords)
    try:
        run = Predict(call.model, 32, call.original)
        again = (batch for batch in x) if isinstance(x, list) else x
        with TRACED.taken():
            batches = own_batches(call.model, again, None, steps)
            tracing.profiles.append(run_traced(run, batches, settings))
    except Exception as error:
        tracing.leave("predict", reason_of(error), 4)
    return outputs


def _untraced(call: Call, reason: str, tracing: Tracing, run: Predict | None = None) -> Any:
    """The caller's result without a profile: that of the traced pass if it was reached."""
    tracing.leave("predict", reason, 4)
    return run.outputs if run is not None and run.done else call.plain()


def _model_classes() -> list[Any]:
    """Of Keras 3, and of Keras 2 where the caller has imported it."""
    legacy = sys.modules.get("tf_keras")
    return [keras.Model, *([legacy.Model] if legacy is not None else [])]


def _prepared(call: Call) -> tuple[Predict, Any]:
    """The predict to trace, and its data.

    Raises:
        TftraceError: it is called in a way that cannot be followed.
    """
    keywords = call.arguments()
    fit_inputs(call.model, keywords["x"])
    # For another structure Keras would trace the function anew, in the caller's pass.
    x = as_given(keywords["x"])
    if keywords.pop("steps", None) is not None:
        raise TftraceError("trace() does not follow predict(steps=...); slice the data instead")
    batch_size = keywords.pop("batch_size", None) or 32
    callbacks = keywords.pop("callbacks", None) or ()
    if not isinstance(callbacks, list | tuple):
        callbacks = (callbacks,)
    if any(hasattr(callback, "callbacks") for callback in callbacks):
        raise TftraceError("trace() takes callbacks one by one, not as a CallbackList")
    run = Predict(call.model, batch_size, call.original, keywords, callbacks, of_caller=True)
    return run, x
