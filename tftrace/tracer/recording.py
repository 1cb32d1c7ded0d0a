"""The first passes of a run: layers made, graphs traced and noted, before any is timed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import tensorflow as tf

from tftrace.errors import TftraceError
from tftrace.tracer.calls import Repeated
from tftrace.tracer.data.inputs import samples_of, take
from tftrace.tracer.data.own_batches import OwnBatches
from tftrace.tracer.graphs.functions import Captured, Reference, batch_specs, captured_functions
from tftrace.tracer.graphs.programs import trace_batch
from tftrace.tracer.graphs.recorder import Recording
from tftrace.tracer.graphs.watching import record_calls
from tftrace.tracer.keras_model import all_built, overrides_predict, steps_per_execution
from tftrace.tracer.labeled import Labeled
from tftrace.tracer.predict import Predict
from tftrace.tracer.state import State, chance_kept
from tftrace.tracer.tf_private import collect_graphs

Run: TypeAlias = Predict | Repeated | Labeled

_REFUSED = re.compile(r"'[^\n]*' is not a valid (root )?scope name|Node '[^\n]*invalid characters")


def build(model: Any, run: Run, x: Any) -> None:
    """Have every layer make its weights.

    One that does so while it is recorded would be seen twice, and its first values not at all.
    """
    if not all_built(model):
        with chance_kept():
            if isinstance(run, Labeled):
                run.trace_step(x)
            else:
                trace_batch(model, batch_specs(run.inputs(x), run.batch_size))
        model.predict_function = None


def record(
    model: Any, run: Run, x: Any, state: State
) -> tuple[Recording, Reference, list[Captured]]:
    """Trace the function of the run on every batch shape that ``x`` will give it."""
    per_call = run.batch_size * steps_per_execution(model)
    count = samples_of(x)
    # One full call, then the remainder: the same signatures in the same order as the real pass.
    short = count > per_call and not isinstance(x, OwnBatches)
    first = take(x, per_call + count % per_call) if short else x
    with (
        record_calls(model, run.step_name) as recording,
        collect_graphs() as collection,
        run.learning(state),
        _names_explained(),
    ):
        run(first)
    if not recording.roots:
        raise TftraceError(f"{run.name} traced no graph of the model: {_why_eager(model)}")
    with chance_kept():
        reference, functions = captured_functions(
            model,
            recording,
            collection,
            run.inputs(first),
            run.batch_size,
            run.traces(),
            run.lists_batches,
            run.fed(first),
        )
    return recording, reference, functions


def _why_eager(model: Any) -> str:
    name = type(model).__name__
    if overrides_predict(model):
        return f"{name} has a predict of its own"
    return f"the predict function of {name} calls no layer in a tf.function"


@contextmanager
def _names_explained() -> Iterator[None]:
    """Say which name it is that TensorFlow takes for no name."""
    try:
        yield
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        refused = _REFUSED.search(str(error))
        if refused:
            raise TftraceError(f"TensorFlow refuses a layer's name: {refused[0]}") from error
        raise
