"""Predict the time of a model that was never run here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np

from tftrace.counts.flow import flow_of
from tftrace.errors import TftraceError
from tftrace.estimation.alone import dispatch_seconds, estimate_alone
from tftrace.estimation.curve import BatchCurve, curve_of
from tftrace.estimation.network import NetworkEstimate, estimate_program
from tftrace.estimation.pieces import Beside, pieces_of, worth_timing_beside
from tftrace.graph import Program
from tftrace.machine.model import CallCost, MachineModel
from tftrace.text import Stage
from tftrace.tracer.graphs.optimized import Optimized, kernels_of
from tftrace.tracer.graphs.programs import program_of, trace_call
from tftrace.tracer.graphs.training import batch_specs, trace_training
from tftrace.tracer.keras_model import fixed_batch, jit_compiled

_MOST_LANES = 4
"""Kernels of branches that are timed side by side: no more of them run at once as a rule."""


def estimate(
    model: Any,
    input_shapes: Sequence[Sequence[int | None]] | None = None,
    *,
    phase: str = "predict",
    batches: float = 1,
    machine: MachineModel | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> NetworkEstimate:
    """Predict ``model.predict``, or an epoch of ``model.fit``, on ``batches`` batches.

    On this machine each of the model's kernels is timed alone, unless it was before; another one's
    calibration prices them.

    Args:
        model: a Keras model; it is traced, and not run as a whole. For fit it is compiled: what its
            optimizer holds is made, and nothing is trained.
        input_shapes: one shape per input, batch first; by default the model's own, batch 1.
        phase: ``predict`` or ``fit``, of labels of the outputs' shapes (of class numbers, for a
            sparse loss).
        batches: a part of one is a smaller batch, to which its share of the time is given.
        machine: another machine's calibration (`read_calibration`), for predict; None for this
            one's.
        progress: called with a word on each stage; this machine's calibration takes 25 s, once,
            each kernel that was not timed before, or whose kept time no longer holds, 0.25 s, and
            what a call costs some 6 s.

    Raises:
        TftraceError: the phase is none; a shape is missing or does not fit the model; for fit, the
            model is not compiled, or its step cannot be traced, or not be taken apart.
    """
    if phase not in ("predict", "fit"):
        raise TftraceError(f"phase {phase!r} is neither 'predict' nor 'fit'")
    if phase == "fit" and machine is not None:
        raise TftraceError("another machine's calibration has no prices of what fit runs")
    try:
        if phase == "fit":
            graph, recording = trace_training(model, batch_specs(model, input_shapes))
        else:
            graph, recording = trace_call(model, input_shapes, jit_compiled(model))
    except ValueError as error:
        raise TftraceError(str(error)) from error
    program, sites = program_of(graph, recording), list(recording.sites.values())
    first = (fixed_batch(model),) if input_shapes is None else input_shapes[0]
    batch = first[0] or 1
    if machine is not None:
        return estimate_program(program, sites, machine, batch, batches)
    kernels, reason = kernels_of(graph)
    if kernels is not None:
        return _alone(program, kernels, sites, batch, batches, phase, progress)
    if phase == "fit":
        raise TftraceError(f"fit is estimated from its kernels alone; they are {reason}")
    return estimate_program(program, sites, this_machine(progress, full=True), batch, batches)


def _alone(
    program: Program,
    kernels: Optimized,
    sites: Sequence[Any],
    batch: int,
    batches: float,
    phase: str,
    progress: Callable[[str], None],
) -> NetworkEstimate:
    """From the kernels that TensorFlow would run, each timed alone."""
    from tftrace.machine.bench import calls
    from tftrace.machine.sampling import forget_units, still_hold, time_units
    from tftrace.tracer.graphs.units import units_of
    from tftrace.tracer.setting import setting

    here, machine = setting(), this_machine(progress, full=False)
    call = calls.fit_ms if phase == "fit" else calls.predict_ms
    kept = [] if phase == "fit" else [(machine.predict_batch_ms, machine.predict_call_ms)]
    rounds = [*kept, call()]
    found = units_of(kernels, flow_of(kernels.program))
    if not still_hold(found.units, here):
        progress("its kernels no longer take the times that were kept")
        forget_units(here, found.units)
    rounds.append(call())
    times = time_units(found.units, here, progress)
    rounds.append(call())
    beside = Beside(here.inter_op_threads, min(here.inter_op_threads, _MOST_LANES), {})
    if beside.threads > 1:
        top = kernels.program.functions[kernels.program.root]
        pieces = pieces_of(top, found.units, found.left, times, dispatch_seconds(machine))
        branches = worth_timing_beside(top, pieces, beside)
        beside = replace(beside, times=time_units(branches, here, progress, beside.lanes))
    rounds.append(call())
    return estimate_alone(
        *(program, kernels.program, found.units, found.left, times),
        *(sites, machine, batch, batches),
        beside=beside,
        phase=phase,
        around=CallCost.of(rounds),
    )


def estimate_batches(
    model: Any,
    shapes_of: Callable[[int], Sequence[Sequence[int | None]]],
    batches: Sequence[int],
    machine: MachineModel | None = None,
    progress: Callable[[str], None] = lambda _: None,
    phase: str = "predict",
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
        shapes = shapes_of(batch)
        found[batch] = estimate(model, shapes, phase=phase, machine=machine, progress=progress)
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
        seconds, words = (110, "about two minutes") if full else (25, "some 25 s")
        progress(Stage(f"measuring this machine, once, {words}", seconds, unplanned=True))
        known = calibrate(here, full=full)
    return known


def measure(
    model: Any,
    shapes: Sequence[Sequence[int | None]],
    batches: int,
    progress: Callable[[str], None] = lambda _: None,
    repeats: int = 7,
    phase: str = "predict",
) -> float:
    """Median of ``repeats`` calls of predict, or epochs of fit, on made-up data, in ms.

    Without the wait for tf.data's autotuner where a call on arrays ends (see
    ``tftrace.machine.bench.batches``), unless the model has a ``predict`` of its own. What fit
    trains is put back.

    Raises:
        TftraceError: an input is sparse or ragged.
    """
    from tftrace.tracer.keras_model import layout_of

    progress("measuring")
    if any(layout_of(tensor) != "dense" for tensor in model.inputs):
        raise TftraceError("a model with sparse or ragged inputs cannot be checked on made-up data")
    return (_fitted if phase == "fit" else _predicted)(model, shapes, batches, repeats)


def _predicted(
    model: Any, shapes: Sequence[Sequence[int | None]], batches: int, repeats: int
) -> float:
    from tftrace.tracer.keras_model import overrides_predict
    from tftrace.tracer.predict import Predict
    from tftrace.tracer.state import state_kept

    x, batch = _made_up(model, shapes, batches)
    run = Predict(model, batch)
    timed = run if overrides_predict(model) else run.steady
    with state_kept(model):
        return _median_ms(lambda: timed(x), repeats)


def _fitted(
    model: Any, shapes: Sequence[Sequence[int | None]], batches: int, repeats: int
) -> float:
    import tensorflow as tf

    from tftrace.machine.bench.batches import labeled_batches
    from tftrace.tracer.labeled import Labeled
    from tftrace.tracer.state import state_of
    from tftrace.undo import MEASURING

    x, batch = _made_up(model, shapes, batches)
    _, labels = batch_specs(model, shapes)
    y = tf.nest.map_structure(
        lambda spec: np.zeros((batch * batches, *spec.shape[1:]), spec.dtype.as_numpy_dtype), labels
    )
    state = state_of(model)
    with MEASURING.undone(state.put_back), Labeled(model, "fit", batch).learning(state):
        return _median_ms(
            lambda: model.fit(labeled_batches(x, y, batch), shuffle=False, verbose=0), repeats
        )


def _median_ms(run: Callable[[], object], repeats: int) -> float:
    """Once it ran twice."""
    from tftrace.tracer.latency import measure as time_passes

    for _ in range(2):
        run()
    return median(time_passes(run, repeats))


def _made_up(model: Any, shapes: Sequence[Sequence[int | None]], batches: int) -> tuple[Any, int]:
    """Inputs between 0 and 1, as predict takes them, and the batch size."""
    random = np.random.default_rng(0)
    sizes = [[size or 1 for size in shape] for shape in shapes]
    batch = sizes[0][0]
    arrays = [
        random.random((batch * batches, *shape[1:])).astype(tensor.dtype)
        for shape, tensor in zip(sizes, model.inputs, strict=True)
    ]
    return (arrays[0] if len(arrays) == 1 else arrays), batch
