"""Trace code that calls ``model.predict`` itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from tftrace.api.measure import machine_roofs
from tftrace.api.profile import Profile
from tftrace.attribution.layers_track import append_layers_track
from tftrace.errors import TftraceError
from tftrace.runs.run import open_run
from tftrace.tracer.capture import Options, Predict, capture
from tftrace.tracer.inputs import fit_inputs


@dataclass
class Tracing:
    """What ``trace`` yields: one profile for each ``predict`` inside the block."""

    profiles: list[Profile] = field(default_factory=list)

    @property
    def profile(self) -> Profile:
        """The latest profile.

        Raises:
            LookupError: no predict has run yet.
        """
        if not self.profiles:
            raise LookupError("no model.predict has run inside the block yet")
        return self.profiles[-1]


@contextmanager
def trace(logdir: str | Path, *, all_ops: bool = False, repeats: int = 0) -> Iterator[Tracing]:
    """Trace every ``model.predict`` that the block calls, one run each under ``logdir``.

    Each predict runs twice: once to trace and warm up the graph, without the caller's
    callbacks, then under the profiler; its result is that of the second pass. ``repeats`` more
    passes in between measure latency. ``predict`` is put back when the block ends, whatever
    happens inside.

    Raises:
        TftraceError: ``logdir`` cannot be written, the data does not fit the model or is not
            arrays, ``steps`` is given, or a profiler already runs.
    """
    tracing = Tracing()

    def traced(original: Callable[..., Any]) -> Callable[..., Any]:
        def predict(model: Any, x: Any, batch_size: int | None = None, **keywords: Any) -> Any:
            options = Options(batch_size or 32, repeats, warmup=0, all_ops=all_ops, trace_batches=0)
            outputs, profile = _traced(original, model, x, options, keywords, Path(logdir))
            tracing.profiles.append(profile)
            return outputs

        return predict

    with ExitStack() as stack:
        for model_class in _model_classes():
            stack.enter_context(_predict_replaced(model_class, traced))
        yield tracing


def _model_classes() -> list[Any]:
    """Of Keras 3, and of Keras 2 where the caller has imported it."""
    legacy = sys.modules.get("tf_keras")
    return [keras.Model, *([legacy.Model] if legacy is not None else [])]


@contextmanager
def _predict_replaced(
    model_class: Any, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    # Keras 3 inherits predict from its backend's trainer; a name of the model's own goes before.
    own = model_class.__dict__.get("predict")
    model_class.predict = wrap(model_class.predict)
    try:
        yield
    finally:
        if own is None:
            del model_class.predict
        else:
            model_class.predict = own


def _traced(
    original: Callable[..., Any],
    model: Any,
    x: Any,
    options: Options,
    keywords: dict[str, Any],
    logdir: Path,
) -> tuple[Any, Profile]:
    if keywords.get("steps") is not None:
        raise TftraceError("trace() does not follow predict(steps=...); slice the data instead")
    callbacks = keywords.pop("callbacks", None) or ()
    run = Predict(model, options.batch_size, original, keywords, callbacks)
    folder = capture(
        model,
        fit_inputs(model, x),
        options,
        logdir,
        append_layers_track,
        predict=run,
        roofs=machine_roofs(False, lambda _: None),
    )
    return run.outputs, Profile(open_run(folder))
