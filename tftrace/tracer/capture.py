"""The measurement itself: record, warm up, time, trace; ends in a whole run folder or none."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import tensorflow as tf

from tftrace.errors import TftraceError
from tftrace.files import reason, scratch_folder
from tftrace.runs.folder import new_run_folder, require_place
from tftrace.runs.manifest import Latency, Manifest, Origin, Settings, TracedPass, write_manifest
from tftrace.runs.names import MANIFEST, MEMORY, TRACE, WINDOW
from tftrace.text import Stage
from tftrace.tracer.data.arrays import is_dense
from tftrace.tracer.data.inputs import samples_of, steps_of, take
from tftrace.tracer.data.own_batches import OwnBatches, has_own_batches, own_batches
from tftrace.tracer.graphs.functions import (
    Captured,
    events_per_step,
)
from tftrace.tracer.keras_model import (
    borrowed,
    jit_compiled,
    step_marker,
    steps_per_execution,
)
from tftrace.tracer.labeled import Labeled
from tftrace.tracer.latency import measure, passes
from tftrace.tracer.manifest import build_manifest
from tftrace.tracer.noise import load, noise
from tftrace.tracer.predict import Predict
from tftrace.tracer.recording import Run, build, record
from tftrace.tracer.session import Session, profiler_session
from tftrace.tracer.state import State, chance_kept, keeps_chance, state_of
from tftrace.tracer.tf_private import allocations_noted, onednn_is_on
from tftrace.tracer.ways import require_followed
from tftrace.undo import MEASURING

Progress = Callable[[str], None]
Finish = Callable[[Path], None]

_EVENT_BUDGET = 400_000
_JIT = {"auto": None, "on": True, "off": False}


@dataclass(frozen=True)
class Options:
    """How to measure.

    ``warmup`` passes run before anything is timed (one more, the first, traces the graph);
    ``samples`` limits the data; ``trace_batches`` limits the traced pass, None lets the size of
    the expected trace decide and 0 means all; ``origin`` is for the record;
    without ``steady`` no pass is timed that does not wait for tf.data's autotuner; with ``memory``
    what the allocator hands out is traced, in a pass of its own where it is not noted anyway.
    """

    batch_size: int = 32
    repeats: int = 5
    warmup: int = 1
    jit: str = "auto"
    all_ops: bool = False
    samples: int | None = None
    trace_batches: int | None = None
    origin: Origin | None = None
    steady: bool = True
    memory: bool = False

    def __post_init__(self) -> None:
        """Raises TftraceError on a value that cannot be meant."""
        if self.batch_size < 1:
            raise TftraceError("the batch size must be at least 1")
        if self.repeats < 0 or self.warmup < 0:
            raise TftraceError("repeats and warm-up passes cannot be negative")
        if self.samples is not None and self.samples < 1:
            raise TftraceError("samples must be at least 1")
        if self.jit not in _JIT:
            raise TftraceError(f"jit is one of {', '.join(_JIT)}, not {self.jit!r}")


def capture(
    model: Any,
    x: Any,
    options: Options,
    out: Path,
    finish: Finish,
    progress: Progress = lambda _: None,
    source: str | None = None,
    predict: Run | None = None,
    roofs: dict[str, Any] | None = None,
) -> Path:
    """Measure and trace ``model.predict(x)``, or another way to run it.

    Every variable that a pass moves is put back: before the traced pass, and in the end to what it
    was, or to what a pass of the caller's own has left.

    Args:
        x: what ``predict`` takes: arrays, or data in batches of its own; with a `Labeled`, inputs
            and labels.
        out: folder that holds the runs; ``tensorboard --logdir`` opens it.
        finish: called with the folder before it gets its final name.
        source: where the model came from, for the record.
        predict: how to run the model, if not by a plain predict.
        roofs: the machine model to keep with the run.

    Returns: the run folder, whole.

    Raises:
        TftraceError: the model cannot be traced, ``out`` not written, a profiler already runs.
    """
    require_followed(model)
    require_place(out)
    if has_own_batches(x):
        x = own_batches(model, x, options.samples)
        options = replace(options, batch_size=x.sizes[0])
    elif options.samples is not None:
        x = take(x, min(options.samples, samples_of(x)))
    run: Run = predict or Predict(model, options.batch_size)
    run.batch_size = options.batch_size
    chance = nullcontext() if run.of_caller else chance_kept()
    with (
        MEASURING.taken(),
        scratch_folder(out, MEASURING) as scratch,
        borrowed(model, _JIT[options.jit]),
        chance,
    ):
        compiles = ", which XLA compiles: that may take minutes" if jit_compiled(model) else ""
        progress(f"tracing the graph{compiles}")
        build(model, run, x)
        state = state_of(model)
        with MEASURING.undone(lambda: (run.left or state).put_back()):
            recording, reference, functions = record(model, run, x, state)
            run.repeatable = not any(keeps_chance(function.flow) for function in functions)
            before = load()
            if options.warmup:
                progress("warming up")
            warm = measure(lambda: run(x), options.warmup)
            again = options.repeats if options.steady else 0
            if options.repeats:
                left = _lasting(warm, options.repeats + 1 + again)
                progress(Stage(f"measuring latency, {options.repeats} passes", left))
            plain = measure(lambda: run(x), options.repeats)
            traced_x = _traced_part(x, run, options, functions)
            noted = None
            if options.memory and not onednn_is_on():
                progress(Stage("tracing what the allocator hands out", _lasting(plain or warm, 1)))
                noted = _trace_memory(run, traced_x, state, scratch)
            progress(Stage("tracing one pass", _lasting(plain or warm, 1 + again)))
            session, traced_ms = _trace(run, traced_x, state, scratch, options.all_ops)
            if isinstance(run, Labeled) and samples_of(traced_x) < samples_of(x):
                run.finish(x, state)
            settings = _settings(run, x, traced_x, options, session)
            latency = _latency(plain, traced_ms, run, x, options, progress)
            settings = msgspec.structs.replace(settings, noise=noise(before, load()))
        progress("writing the run")
        manifest = build_manifest(
            model,
            recording,
            reference,
            functions,
            source=source,
            run=settings,
            latency=latency,
            roofs=roofs,
            epochs=run.epochs(len(plain)) if isinstance(run, Labeled) else None,
        )
        name = datetime.now().strftime("%Y_%m_%d_%H_%M_%S") + "-" + _safe(model.name)
        try:
            folder = _write(scratch, session, noted, manifest)
            finish(folder)
            return new_run_folder(out, name, folder)
        except OSError as error:
            raise TftraceError(f"cannot write to {out}: {reason(error)}") from error


def _lasting(known: list[float], passes: int) -> float | None:
    """Seconds of so many passes, by the last that was timed in ms; None where none was."""
    return known[-1] / 1e3 * passes if known else None


def _traced_part(x: Any, run: Run, options: Options, functions: list[Captured]) -> Any:
    """All of ``x``, or its first batches when the trace would grow too large to write.

    Whole calls of the predict function: one of fewer batches would be traced anew.
    """
    count = samples_of(x)
    if options.trace_batches == 0:
        return x
    batches = options.trace_batches
    if batches is None:
        batches = max(8, int(_EVENT_BUDGET / max(1.0, events_per_step(functions))))
    per_call = steps_per_execution(run.model)
    whole = -(-batches // per_call) * per_call
    return take(x, min(count, whole * run.batch_size))


def _trace(run: Run, x: Any, state: State, scratch: Path, all_ops: bool) -> tuple[Session, float]:
    marker = step_marker(run.model)
    # The pass is the one that would have come first.
    state.put_back()
    with profiler_session(scratch, all_ops) as session:
        begin = time.perf_counter()
        with tf.profiler.experimental.Trace(WINDOW):
            run.traced(x, marker, state)
        traced_ms = (time.perf_counter() - begin) * 1e3
    return session, traced_ms


def _trace_memory(run: Run, x: Any, state: State, scratch: Path) -> Path | None:
    """The trace of a pass in which the allocator notes what it hands out; None where it cannot."""
    place = scratch / "memory"
    place.mkdir()
    with allocations_noted() as can:
        if not can:
            return None
        session, _ = _trace(run, x, state, place, all_ops=True)
    return session.trace


def _settings(run: Run, x: Any, traced_x: Any, options: Options, session: Session) -> Settings:
    count, traced = samples_of(x), samples_of(traced_x)
    return Settings(
        samples=count,
        batch_size=options.batch_size,
        steps=steps_of(x, options.batch_size),
        call=run.name,
        steps_per_execution=steps_per_execution(run.model) if run.lists_batches else 1,
        repeats=options.repeats,
        warmup=options.warmup,
        own_batches=isinstance(x, OwnBatches),
        memory=options.memory,
        jit=jit_compiled(run.model) if run.jit is None else run.jit,
        origin=options.origin,
        trace=TracedPass(
            samples=traced,
            steps=steps_of(traced_x, options.batch_size),
            batches=list(traced_x.sizes) if isinstance(traced_x, OwnBatches) else None,
            whole=traced == count,
            level=session.level,
            note=session.level_note,
        ),
    )


def _latency(
    plain: list[float],
    traced_ms: float,
    run: Run,
    x: Any,
    options: Options,
    progress: Progress,
) -> Latency:
    """The untraced passes, and as many that do not wait for tf.data's autotuner.

    Those come after the trace, in which nothing may have been traced anew.
    """
    if not plain:
        return Latency(traced_ms=traced_ms, without_autotuner_reason="latency was not measured")
    steady, reason = None, None
    if not options.steady:
        reason = "left out, for a quick answer"
    elif run.unsteady is not None:
        reason = run.unsteady
    elif isinstance(x, OwnBatches):
        reason = "the data comes through a pipeline of its own, which is measured as it is"
    elif not all(is_dense(array) for array in tf.nest.flatten(x)):
        reason = "the data is sparse, and no pipeline but Keras's own gathers its batches"
    else:
        words = f"measuring latency without tf.data's autotuner, {options.repeats} passes"
        progress(Stage(words, _lasting(plain, options.repeats)))
        run.steady(x)
        steady = passes(measure(lambda: run.steady(x), options.repeats))
    return Latency(
        **msgspec.structs.asdict(passes(plain)),
        traced_ms=traced_ms,
        without_autotuner=steady,
        without_autotuner_reason=reason,
    )


def _write(scratch: Path, session: Session, noted: Path | None, manifest: Manifest) -> Path:
    """Put trace and manifest together, under the profiler's own host name."""
    assert session.trace is not None
    folder = scratch / "run"
    folder.mkdir()
    trace = folder / session.trace.name
    shutil.move(session.trace, trace)
    host = trace.name.removesuffix(TRACE)
    if noted is not None:
        shutil.move(noted, folder / f"{host}{MEMORY}")
    write_manifest(folder / f"{host}{MANIFEST}", manifest)
    return folder


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_.-" else "_" for c in name)[:60]
