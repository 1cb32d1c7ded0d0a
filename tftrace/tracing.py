"""Trace code that calls ``model.predict`` itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tftrace.attribution.run import open_run
from tftrace.errors import TftraceError
from tftrace.profiling import Profile


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
def trace(logdir: str | Path, *, all_ops: bool = False) -> Iterator[Tracing]:
    """Trace every ``model.predict`` that the block calls, one run each under ``logdir``.

    Each predict runs twice: once to trace and warm up the graph, without the caller's
    callbacks, then under the profiler; its result is that of the second pass. Latency is not
    measured. ``predict`` is put back when the block ends, whatever happens inside.

    Raises:
        TftraceError: ``logdir`` cannot be written, the data does not fit the model or is not
            arrays, ``steps`` is given, or a profiler already runs.
    """
    import keras

    tracing = Tracing()
    original = keras.Model.predict
    # Keras inherits predict from its backend's trainer; a name of the model's own goes before.
    own = keras.Model.__dict__.get("predict")

    def predict(model: Any, x: Any, batch_size: int | None = None, **keywords: Any) -> Any:
        outputs, profile = _traced(original, model, x, batch_size, keywords, logdir, all_ops)
        tracing.profiles.append(profile)
        return outputs

    keras.Model.predict = predict
    try:
        yield tracing
    finally:
        if own is None:
            del keras.Model.predict
        else:
            keras.Model.predict = own


def _traced(
    original: Callable[..., Any],
    model: Any,
    x: Any,
    batch_size: int | None,
    keywords: dict[str, Any],
    logdir: str | Path,
    all_ops: bool,
) -> tuple[Any, Profile]:
    from tftrace.report.layers_track import append_layers_track
    from tftrace.tracer.capture import Options, Predict, capture
    from tftrace.tracer.inputs import fit_inputs

    if keywords.get("steps") is not None:
        raise TftraceError("trace() does not follow predict(steps=...); slice the data instead")
    callbacks = keywords.pop("callbacks", None) or ()
    options = Options(batch_size or 32, repeats=0, warmup=0, all_ops=all_ops, trace_batches=0)
    run = Predict(model, options.batch_size, original, keywords, callbacks)
    folder = capture(
        model, fit_inputs(model, x), options, Path(logdir), append_layers_track, predict=run
    )
    return run.outputs, Profile(open_run(folder))
