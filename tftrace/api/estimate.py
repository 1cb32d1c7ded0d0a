"""Predict the time of a model that was never run here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np

from tftrace.counts.flow import flow_of
from tftrace.errors import TftraceError
from tftrace.estimation.alone import estimate_alone
from tftrace.estimation.curve import BatchCurve, curve_of
from tftrace.estimation.network import NetworkEstimate, estimate_program
from tftrace.graph import Program
from tftrace.machine.model import MachineModel
from tftrace.text import Stage
from tftrace.tracer.graphs.optimized import Optimized, kernels_of
from tftrace.tracer.graphs.programs import program_of, trace_call
from tftrace.tracer.keras_model import fixed_batch


def estimate(
    model: Any,
    input_shapes: Sequence[Sequence[int | None]] | None = None,
    *,
    batches: int = 1,
    machine: MachineModel | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> NetworkEstimate:
    """Predict ``model.predict`` on ``batches`` batches.

    On this machine each of the model's kernels is timed alone, unless it was before; another one's
    calibration prices them.

    Args:
        model: a Keras model; it is traced, and not run as a whole.
        input_shapes: one shape per input, batch first; by default the model's own, batch 1.
        machine: another machine's calibration (`read_calibration`); None for this one's.
        progress: called with a word on each stage; this machine's calibration takes 20 s, once,
            and each kernel that was not timed before 0.25 s.

    Raises:
        TftraceError: a shape is missing or does not fit the model.
    """
    try:
        graph, recording = trace_call(model, input_shapes)
    except ValueError as error:
        raise TftraceError(str(error)) from error
    program, sites = program_of(graph, recording), list(recording.sites.values())
    first = (fixed_batch(model),) if input_shapes is None else input_shapes[0]
    batch = first[0] or 1
    if machine is not None:
        return estimate_program(program, sites, machine, batch, batches)
    kernels, _ = kernels_of(graph)
    if kernels is None:
        return estimate_program(program, sites, this_machine(progress, full=True), batch, batches)
    return _alone(program, kernels, sites, batch, batches, progress)


def _alone(
    program: Program,
    kernels: Optimized,
    sites: Sequence[Any],
    batch: int,
    batches: int,
    progress: Callable[[str], None],
) -> NetworkEstimate:
    """From the kernels that TensorFlow would run, each timed alone."""
    from tftrace.machine.sampling import time_units
    from tftrace.tracer.graphs.units import units_of
    from tftrace.tracer.setting import setting

    machine = this_machine(progress, full=False)
    pieces = units_of(kernels, flow_of(kernels.program))
    times = time_units(pieces.units, setting(), progress)
    return estimate_alone(
        *(program, kernels.program, pieces.units, pieces.left, times),
        *(sites, machine, batch, batches),
    )


def estimate_batches(
    model: Any,
    shapes_of: Callable[[int], Sequence[Sequence[int | None]]],
    batches: Sequence[int],
    machine: MachineModel | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> BatchCurve:
    """`estimate` of one batch at each of several sizes.

    Args:
        shapes_of: the shape of each input, batch first, for a batch of so many samples.

    Raises:
        TftraceError: fewer than two sizes, or the model declares its batch.
    """
    if len(set(batches)) < 2:
        raise TftraceError("a curve takes two batch sizes at least")
    fixed = fixed_batch(model)
    if fixed is not None:
        raise TftraceError(f"the model takes batches of exactly {fixed} samples: there is no curve")
    found = {}
    for batch in sorted(set(batches)):
        progress(f"batch {batch}")
        found[batch] = estimate(model, shapes_of(batch), machine=machine, progress=progress)
    return curve_of(found)


def this_machine(
    progress: Callable[[str], None] = lambda _: None, full: bool = True
) -> MachineModel:
    """The calibration of this machine, measured if that was not done before.

    Args:
        full: with single kernels, which it takes two minutes to measure.
    """
    from tftrace.machine.calibrate import cached, calibrate
    from tftrace.tracer.setting import setting

    here = setting()
    known = cached(here)
    if known is None or (full and not known.kernels):
        seconds, words = (110, "about two minutes") if full else (20, "some 20 s")
        progress(Stage(f"measuring this machine, once, {words}", seconds, unplanned=True))
        known = calibrate(here, full=full)
    return known


def measure(
    model: Any,
    shapes: Sequence[Sequence[int | None]],
    batches: int,
    progress: Callable[[str], None] = lambda _: None,
    repeats: int = 7,
) -> float:
    """Median of ``repeats`` predict calls on made-up data of those shapes, in ms.

    Without the wait for tf.data's autotuner where predict on arrays ends (see
    ``tftrace.machine.bench.batches``), unless the model has a ``predict`` of its own.

    Raises:
        TftraceError: an input is sparse or ragged.
    """
    from tftrace.tracer.keras_model import layout_of, overrides_predict
    from tftrace.tracer.latency import measure as time_passes
    from tftrace.tracer.predict import Predict
    from tftrace.tracer.state import state_kept

    progress("measuring")
    random = np.random.default_rng(0)
    if any(layout_of(tensor) != "dense" for tensor in model.inputs):
        raise TftraceError("a model with sparse or ragged inputs cannot be checked on made-up data")
    sizes = [[size or 1 for size in shape] for shape in shapes]
    batch = sizes[0][0]
    arrays = [
        random.random((batch * batches, *shape[1:])).astype(tensor.dtype)
        for shape, tensor in zip(sizes, model.inputs, strict=True)
    ]
    x = arrays[0] if len(arrays) == 1 else arrays
    run = Predict(model, batch)
    timed = run if overrides_predict(model) else run.steady
    with state_kept(model):
        for _ in range(2):
            timed(x)
        return median(time_passes(lambda: timed(x), repeats))
