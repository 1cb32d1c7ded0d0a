"""The first predict of a process under the profiler, and the one after it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from tftrace.errors import TftraceError
from tftrace.parsers import read_trace
from tftrace.runs.names import WINDOW
from tftrace.timeline.first_call import PassParts, pass_parts, windows
from tftrace.timeline.marks import Marks
from tftrace.tracer.data.inputs import given
from tftrace.tracer.graphs.functions import leading
from tftrace.tracer.keras_model import borrowed, overrides_predict
from tftrace.tracer.session import profiler_session
from tftrace.tracer.state import chance_kept, state_kept
from tftrace.tracer.tf_private import concrete_functions, data_specs
from tftrace.tracer.ways import require_followed
from tftrace.undo import MEASURING


@dataclass(frozen=True)
class FirstCall:
    """The first pass, the second, and the samples of a batch that each trace was made for (None:
    of any number), by the function's name in the trace."""

    first: PassParts
    later: PassParts
    batches: dict[str, int | None]


def first_call(model: Any, x: Any, batch_size: int, jit: bool | None = None) -> FirstCall:
    """Run ``model.predict(x)`` twice, as a process that has just loaded the model does.

    What TensorFlow keeps for the whole process (thread pools, oneDNN's primitives) is only made
    anew in a new one.

    Args:
        x: arrays that fit the model.
        jit: compile predict with XLA or not; None for what the model would do.

    Raises:
        TftraceError: the model cannot be followed, or a profiler already runs.
    """
    require_followed(model)
    if overrides_predict(model):
        raise TftraceError(f"{type(model).__name__} has a predict of its own")
    with (
        MEASURING.taken(),
        tempfile.TemporaryDirectory(prefix="tftrace-") as scratch,
        borrowed(model, jit),
        chance_kept(),
        state_kept(model),
    ):
        with profiler_session(Path(scratch)) as session:
            for _ in range(2):
                with tf.profiler.experimental.Trace(WINDOW):
                    model.predict(**given(x, batch_size), verbose=0)
        function = model.predict_function
        graphs = dict(concrete_functions(function))
        if not graphs:
            raise TftraceError("TensorFlow does not tell which functions predict was traced into")
        python = getattr(getattr(function, "python_function", None), "__name__", "")
        assert session.trace is not None
        marks = Marks(read_trace(session.trace))
    first, later = (pass_parts(marks, window, graphs, python) for window in windows(marks))
    batches = {name: leading(tf.nest.flatten(data_specs(g) or [])) for name, g in graphs.items()}
    return FirstCall(first, later, batches)
