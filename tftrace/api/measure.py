"""Measure a model: warm up, time, trace, and hand back the profile."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tftrace.api.profile import Profile
from tftrace.errors import TftraceError
from tftrace.runs.folder import require_place
from tftrace.runs.manifest import Origin
from tftrace.runs.run import open_run
from tftrace.text import Stage


def profile(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    phase: str = "predict",
    keep: bool = False,
    batch_size: int = 32,
    repeats: int = 5,
    warmup: int = 1,
    jit: str = "auto",
    all_ops: bool = False,
    samples: int | None = None,
    trace_batches: int | None = None,
    out: str | Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
    source: str | None = None,
    calibrate: bool = True,
    origin: Origin | None = None,
    steady: bool = True,
    memory: bool = False,
) -> Profile:
    """Measure ``model.predict(x)`` and say where its time goes; or that of evaluate or fit.

    Args:
        model: a Keras model; it is left as it was.
        x: what ``predict`` takes: an array (or tensor, DataFrame, sparse matrix), a list of them
            in the model's order, a mapping by input name, or the model's own structure of both;
            a tf.data.Dataset, PyDataset or generator (its batches are kept in memory), whose
            batches are its own and which is gone through once more, to be counted.
        y: labels, where ``phase`` needs them: one array, or as the model's outputs are; data in
            batches of its own brings them.
        phase: ``predict``; ``evaluate`` or ``fit`` (each pass is one epoch) of a compiled model.
        keep: let ``fit`` end with the model as one epoch has trained it; by default weights,
            optimizer and all else are put back.
        batch_size: samples per batch; a batch that the model declares is taken instead.
        repeats: untraced passes whose latency is reported; 0 for none.
        warmup: passes before anything is timed.
        jit: ``auto`` (what the model would do), ``on`` or ``off``.
        all_ops: record every kernel, also those TensorFlow considers too cheap to record; slower.
        samples: use only the first so many; of data in batches of its own, whole batches.
        trace_batches: batches of the traced pass; None bounds the trace's size, 0 means all.
        out: folder for the run; by default it is temporary, until ``save``.
        progress: called with a word on each stage.
        source: where the model came from, for the record.
        calibrate: measure this machine's peaks if that was not done before (25 s, once);
            without, ``bound`` and ``roof_share`` are null unless they are known already.
        origin: the files that model and data came from, for the commands that findings give.
        steady: time as many passes without tf.data's autotuner, too.
        memory: learn who holds the memory, too: the table ``memory`` of the profile. Where
            TensorFlow's allocator does not note it by itself (oneDNN is off), that takes one more
            pass.

    Raises:
        TftraceError: the phase is none, or the model is not compiled for it; the data does not
            fit the model, the model cannot be traced, a profiler
            already runs, or ``out`` cannot be written.
    """
    from tftrace.attribution.layers_track import append_layers_track
    from tftrace.tracer.capture import Options, capture
    from tftrace.tracer.data.inputs import fit_inputs
    from tftrace.tracer.failures import failures_explained
    from tftrace.tracer.keras_model import fixed_batch
    from tftrace.tracer.labeled import Labeled, labeled_data
    from tftrace.tracer.ways import require_followed

    require_followed(model)  # before the machine is measured
    options = Options(
        fixed_batch(model) or batch_size,
        repeats,
        warmup,
        jit,
        all_ops,
        samples,
        trace_batches,
        origin,
        steady,
        memory,
    )
    run = None
    if phase == "predict" and y is not None:
        raise TftraceError("predict takes no labels; say phase='evaluate' or phase='fit'")
    if keep and phase != "fit":
        raise TftraceError(f"keep is for phase='fit': {phase} trains nothing")
    if phase == "predict":
        fitted = fit_inputs(model, x)
    else:
        fitted = labeled_data(model, phase, x, y, samples)
        run = Labeled(model, phase, options.batch_size, keep)
    if out is not None:
        require_place(Path(out))
    roofs = machine_roofs(calibrate, progress)
    with ExitStack() as unfinished, failures_explained(phase):
        temporary = None
        if out is None:
            temporary = tempfile.TemporaryDirectory(prefix="tftrace-")
            unfinished.callback(temporary.cleanup)
        target = Path(temporary.name if temporary is not None else out or "")
        folder = capture(
            model, fitted, options, target, append_layers_track, progress, source, run, roofs
        )
        found = Profile(open_run(folder), temporary)
        unfinished.pop_all()
        return found


def machine_roofs(measure: bool, progress: Callable[[str], None]) -> dict[str, Any] | None:
    """This machine's model as JSON types: from the cache, else measured, else None."""
    from tftrace.machine.calibrate import cached, calibrate
    from tftrace.tracer.setting import setting

    here = setting()
    known = cached(here)
    if known is None and measure:
        progress(Stage("measuring this machine's peaks, once, some 25 s", 25, unplanned=True))
        known = calibrate(here)
    return None if known is None else known.to_dict()
