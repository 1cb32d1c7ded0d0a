"""``tftrace run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from tftrace.commands.options import (
    AllOps,
    BatchSize,
    CsvFolder,
    Custom,
    DataModule,
    Depth,
    Explain,
    HtmlFile,
    Jit,
    JitOption,
    JsonFile,
    Keep,
    Keras,
    Labels,
    Layout,
    LayoutOption,
    Loss,
    Memory,
    Metrics,
    ModelModule,
    Optimizer,
    Order,
    OrderOption,
    Out,
    Phase,
    PhaseOption,
    Quick,
    Quiet,
    Repeats,
    Samples,
    Sort,
    SortOption,
    Top,
    TraceAll,
    TraceBatches,
    Try,
    Unsafe,
    Verbose,
    Warmup,
)
from tftrace.commands.shared import (
    check_data,
    check_model_path,
    check_targets,
    show,
    start_tensorflow,
)
from tftrace.errors import TftraceError
from tftrace.runs.folder import require_place
from tftrace.tracer.compiling import Phase as Way
from tftrace.tracer.loading.models import Loading

if TYPE_CHECKING:
    from tftrace.api.profile import Profile
    from tftrace.comparison.compare import Comparison


class _Passes(NamedTuple):
    """How many untraced passes, where the user does not say."""

    repeats: int
    warmup: int


_USUAL, _QUICK = _Passes(5, 1), _Passes(2, 0)


def run(
    model: Annotated[Path, typer.Argument(help="Keras model, or SavedModel.", show_default=False)],
    data: Annotated[
        Path | None, typer.Argument(help=".npy, or .npz by name.", show_default=False)
    ] = None,
    phase: PhaseOption = Phase.predict,
    labels: Labels = None,
    loss: Loss = None,
    optimizer: Optimizer = None,
    metrics: Metrics = None,
    keep: Keep = None,
    out: Out = Path("tftrace-runs"),
    batch_size: BatchSize = 32,
    repeats: Repeats = None,
    warmup: Warmup = None,
    quick: Quick = False,
    samples: Samples = None,
    jit: JitOption = Jit.auto,
    all_ops: AllOps = False,
    memory: Memory = False,
    trace_batches: TraceBatches = None,
    trace_all: TraceAll = False,
    calibrate: Annotated[
        bool, typer.Option(help="Measure this machine's peaks, if that was not done yet (25 s).")
    ] = True,
    custom: Custom = None,
    unsafe: Unsafe = False,
    keras: Keras = 3,
    data_module: DataModule = None,
    model_module: ModelModule = None,
    top: Top = 20,
    depth: Depth = None,
    sort: SortOption = Sort.time,
    order: OrderOption = Order.sorted,
    json: JsonFile = None,
    csv: CsvFolder = None,
    html: HtmlFile = None,
    try_: Annotated[
        Try | None, typer.Option("--try", help="Measure with XLA too, interleaved.")
    ] = None,
    kernels: Annotated[
        bool,
        typer.Option(
            "--kernels", help="Log in a second, short run how oneDNN computes each kernel."
        ),
    ] = False,
    verbose: Verbose = False,
    explain: Explain = False,
    layout: LayoutOption = Layout.text,
    quiet: Quiet = False,
) -> None:
    """Measure model.predict (or --phase) on the data and say where the time goes."""
    from tftrace.report.terminal.parts.progress import stages

    check_model_path(model)
    check_data(data, data_module)
    way = Way(phase.value, labels, loss, optimizer, tuple(metrics or ()), keep)
    check_targets(json, html, keep, csv=csv, reads=(model, data, labels))
    require_place(out)
    # What a function returns may bring its labels.
    if phase is not Phase.predict and labels is None and data_module is None:
        raise TftraceError(f"--phase {phase.value} needs --labels y.npy")
    if phase is not Phase.predict and (kernels or try_ is not None):
        raise TftraceError("--kernels and --try run predict; leave --phase out")
    loading = Loading(unsafe, tuple(custom or ()), keras, model_module, phase is not Phase.predict)
    repeats = (_QUICK if quick else _USUAL).repeats if repeats is None else repeats
    warmup = (_QUICK if quick else _USUAL).warmup if warmup is None else warmup
    steady = not quick and phase is Phase.predict
    count = _stages(repeats, warmup, steady, memory) + (1 if kernels else 0) + (3 if try_ else 0)
    with stages(quiet, count) as say:
        say("starting TensorFlow")
        found = _measure(
            model,
            data,
            data_module,
            loading,
            way,
            say,
            out=out,
            batch_size=batch_size,
            repeats=repeats,
            warmup=warmup,
            samples=samples,
            jit=jit.value,
            all_ops=all_ops,
            memory=memory,
            trace_batches=0 if trace_all else trace_batches,
            calibrate=calibrate and not quick,
            steady=steady,
        )
        if kernels:
            from tftrace.api.kernels import with_kernels

            options = ["--jit", jit.value, *loading.words(), *_data_words(data_module)]
            found = with_kernels(found, model, data, options, say)
        comparison = None
        if try_ is not None:
            comparison = _try_jit(
                found, model, data, data_module, loading, batch_size, samples, say
            )
    show(
        found,
        top,
        depth,
        sort,
        order,
        json,
        csv,
        html,
        quiet,
        layout,
        verbose,
        explain,
        comparison,
    )


def _stages(repeats: int, warmup: int, steady: bool, memory: bool) -> int:
    """Start, model, graph, traced pass and the run's files; what is timed before and after."""
    return 5 + (warmup > 0) + (repeats > 0) * (1 + steady) + memory


def _measure(
    model: Path,
    data: Path | None,
    data_module: str | None,
    loading: Loading,
    way: Way,
    say: Any,
    **options: Any,
) -> Profile:
    start_tensorflow()
    from tftrace.api.measure import profile
    from tftrace.runs.manifest import Origin
    from tftrace.tracer.data.inputs import fit_inputs
    from tftrace.tracer.data.sources import about_data, data_from

    arrays = data_from(data, data_module)
    say("loading the model")
    loaded = loading.model(model)
    way.prepare(loaded)
    y = way.load_labels()
    with about_data(data, data_module):
        fit_inputs(loaded, arrays)
    named = str(data) if data_module is None else data_module
    words = [*loading.words(), *way.words()]
    origin = Origin(str(model), named, words, data_module is not None)
    found = profile(
        loaded,
        arrays,
        y,
        phase=way.name,
        keep=way.keep is not None,
        progress=say,
        source=model.name,
        origin=origin,
        **options,
    )
    way.save(loaded)
    return found


def _data_words(data_module: str | None) -> list[str]:
    return [] if data_module is None else ["--data-module", data_module]


def _try_jit(
    found: Profile,
    model: Path,
    data: Path | None,
    data_module: str | None,
    loading: Loading,
    batch_size: int,
    samples: int | None,
    say: Any,
) -> Comparison:
    """Measure with and without XLA, and add what it shows to the findings of the run."""
    from tftrace.comparison.try_jit import try_jit
    from tftrace.tracer.data.sources import alike, data_from

    one = loading.model(model)
    models = iter((one, loading.model(model)))
    comparison, finding = try_jit(
        lambda: next(models),
        alike(one, data_from(data, data_module), samples),
        batch_size=batch_size,
        progress=say,
    )
    found.findings.append(finding)
    return comparison
