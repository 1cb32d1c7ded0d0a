"""``tftrace run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tftrace.commands.options import (
    AllOps,
    BatchSize,
    CsvFolder,
    Custom,
    Depth,
    HtmlFile,
    Jit,
    JitOption,
    JsonFile,
    Keras,
    Order,
    OrderOption,
    Out,
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
    Warmup,
)
from tftrace.commands.shared import check_model_path, check_targets, console, show, start_tensorflow
from tftrace.errors import about
from tftrace.runs.folder import require_place

if TYPE_CHECKING:
    from tftrace.api.profile import Profile
    from tftrace.comparison.compare import Comparison


def run(
    model: Annotated[Path, typer.Argument(help="Keras model: .keras or .h5.", show_default=False)],
    data: Annotated[Path, typer.Argument(help=".npy, or .npz by name.", show_default=False)],
    out: Out = Path("tftrace-runs"),
    batch_size: BatchSize = 32,
    repeats: Repeats = 5,
    warmup: Warmup = 1,
    samples: Samples = None,
    jit: JitOption = Jit.auto,
    all_ops: AllOps = False,
    trace_batches: TraceBatches = None,
    trace_all: TraceAll = False,
    calibrate: Annotated[
        bool, typer.Option(help="Measure this machine's peaks, if that was not done yet (15 s).")
    ] = True,
    custom: Custom = None,
    unsafe: Unsafe = False,
    keras: Keras = 3,
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
    quiet: Quiet = False,
) -> None:
    """Measure model.predict on the data and say where the time goes."""
    from tftrace.report.terminal.parts.progress import stages

    check_model_path(model)
    check_targets(json, csv, html)
    require_place(out)
    with stages(quiet) as say:
        say("starting TensorFlow")
        found = _measure(
            model,
            data,
            unsafe,
            custom or [],
            keras,
            say,
            out=out,
            batch_size=batch_size,
            repeats=repeats,
            warmup=warmup,
            samples=samples,
            jit=jit.value,
            all_ops=all_ops,
            trace_batches=0 if trace_all else trace_batches,
            calibrate=calibrate,
        )
        if kernels:
            from tftrace.api.kernels import with_kernels

            options = _options(jit.value, unsafe, custom or [], keras)
            found = with_kernels(found, model, data, options, say)
        comparison = None
        if try_ is not None:
            comparison = _try_jit(
                found, model, data, unsafe, custom or [], keras, batch_size, samples, say
            )
    show(found, top, depth, sort, order, json, csv, html, quiet)
    if not quiet:
        if comparison is not None:
            from tftrace.report.terminal.compare import print_comparison

            print_comparison(comparison, console())
        console().print(f"run folder: {found.folder}", soft_wrap=True)


def _measure(
    model: Path,
    data: Path,
    unsafe: bool,
    custom: list[str],
    keras: int,
    say: Any,
    **options: Any,
) -> Profile:
    start_tensorflow()
    from tftrace.api.measure import profile
    from tftrace.runs.manifest import Origin
    from tftrace.tracer.data.inputs import fit_inputs, load_data
    from tftrace.tracer.loading.models import load_model

    arrays = load_data(data)
    say("loading the model")
    loaded = load_model(model, unsafe, custom, keras)
    with about(data):
        fit_inputs(loaded, arrays)
    origin = Origin(str(model), str(data), _loading(unsafe, custom, keras))
    return profile(loaded, arrays, progress=say, source=model.name, origin=origin, **options)


def _options(jit: str, unsafe: bool, custom: list[str], keras: int) -> list[str]:
    """What a second run of the same model needs."""
    return ["--jit", jit, *_loading(unsafe, custom, keras)]


def _loading(unsafe: bool, custom: list[str], keras: int) -> list[str]:
    """The options that every command needs to load the model."""
    options = ["--keras", "2"] if keras == 2 else []
    options += ["--unsafe"] if unsafe else []
    return options + [word for module in custom for word in ("--custom", module)]


def _try_jit(
    found: Profile,
    model: Path,
    data: Path,
    unsafe: bool,
    custom: list[str],
    keras: int,
    batch_size: int,
    samples: int | None,
    say: Any,
) -> Comparison:
    """Measure with and without XLA, and add what it shows to the findings of the run."""
    from tftrace.comparison.try_jit import try_jit
    from tftrace.tracer.data.inputs import load_data, take
    from tftrace.tracer.loading.models import load_model

    arrays = load_data(data)
    comparison, finding = try_jit(
        lambda: load_model(model, unsafe, custom, keras),
        arrays if samples is None else take(arrays, samples),
        batch_size=batch_size,
        progress=say,
    )
    found.findings.append(finding)
    return comparison
