"""What the first predict of a model costs beyond the later ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tftrace.errors import TftraceError
from tftrace.tracer.data.inputs import fit_inputs, samples_of, take
from tftrace.tracer.data.own_batches import has_own_batches
from tftrace.tracer.failures import failures_explained
from tftrace.tracer.first_call import FirstCall
from tftrace.tracer.first_call import first_call as run_twice
from tftrace.tracer.keras_model import fixed_batch
from tftrace.units import with_units

BUILD, PREPARE = "building the graph", "optimizing the graph"
COMPILE, RUN, REST = "compiling", "running", "all else"
PARTS = {
    BUILD: "Keras's Python code makes TensorFlow's graph",
    PREPARE: "TensorFlow optimizes the graph and places it on devices",
    COMPILE: "XLA compiles it",
    RUN: "kernels run; before their first run they are made, oneDNN's primitives too",
    REST: "the input pipeline, Keras's loop and callbacks",
}
"""Parts of a call in words."""


@dataclass(frozen=True)
class FirstPredict:
    """The first call of predict and the second, part by part.

    Attributes:
        samples: of each call.
        batch_size: samples per batch.
        table: one row per part, in ms: ``part`` (a key of `PARTS`), ``batch`` (samples of the
            batches that the graph was made for; null for any number, and for what is of no
            graph), ``first_ms``, ``later_ms`` and ``extra_ms``, their difference. The rows of a
            column sum to the call.
    """

    samples: int
    batch_size: int
    table: pd.DataFrame

    @property
    def graphs(self) -> int:
        """How many graphs the call made: one for each shape of a batch."""
        return int((self.table["part"] == BUILD).sum())

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        from tftrace.tables.frame import records

        return {
            "schema": 1,
            "samples": self.samples,
            "batch_size": self.batch_size,
            "graphs": self.graphs,
            "parts": records(self.table),
        }


def first_call(
    model: Any, x: Any, *, batch_size: int = 32, jit: str = "auto", samples: int | None = None
) -> FirstPredict:
    """Run ``model.predict(x)`` twice under the profiler, and say what only the first call spends.

    Exact for a model that has not run yet in a process that has run none: what TensorFlow makes
    once for all models (threads, oneDNN's primitives of shapes seen before) is there already
    otherwise. The model is left as it was.

    Args:
        model: a Keras model.
        x: arrays for ``predict``.
        batch_size: samples per batch; a batch that the model declares is taken instead.
        jit: ``auto`` (what the model would do), ``on`` or ``off``.
        samples: use only the first so many.

    Raises:
        TftraceError: the data are no arrays or do not fit, or the model cannot be followed.
    """
    if has_own_batches(x):
        raise TftraceError("the first call is measured on arrays, of which each pass is the same")
    if jit not in _JIT:
        raise TftraceError(f"jit is one of {', '.join(_JIT)}, not {jit!r}")
    fitted = fit_inputs(model, x)
    if samples is not None:
        fitted = take(fitted, min(samples, samples_of(fitted)))
    size = fixed_batch(model) or batch_size
    with failures_explained():
        found = run_twice(model, fitted, size, _JIT[jit])
    rows = pd.DataFrame(_rows(found), columns=["part", "batch", "first_ms", "later_ms"])
    rows["extra_ms"] = rows["first_ms"] - rows["later_ms"]
    return FirstPredict(samples_of(fitted), size, with_units(rows.astype({"batch": "Int64"})))


_FIELDS = {BUILD: "build", PREPARE: "prepare", COMPILE: "compile", RUN: "run"}
_JIT = {"auto": None, "on": True, "off": False}


def _rows(found: FirstCall) -> Iterator[tuple[str, int | None, float, float]]:
    later = {parts.function: parts for parts in found.later.functions}
    for parts in found.first.functions:
        again, batch = later.get(parts.function), found.batches[parts.function]
        for name, field in _FIELDS.items():
            ps = getattr(parts, field), getattr(again, field, 0)
            if name != COMPILE or any(ps):
                yield name, batch, ps[0] / 1e9, ps[1] / 1e9
    yield REST, None, found.first.rest / 1e9, found.later.rest / 1e9
