"""Commands that measure, and that show again what was measured."""

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
    Format,
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
    RunFolder,
    Salvage,
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
from tftrace.commands.shared import check_model_path, console, show, start_tensorflow

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
        Try | None, typer.Option("--try", help="Measure the model with XLA too, in turn.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Measure model.predict on the data and say where the time goes."""
    from tftrace.report.progress import stages

    check_model_path(model)
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
        comparison = None
        if try_ is not None:
            comparison = _try_jit(
                found, model, data, unsafe, custom or [], keras, batch_size, samples, say
            )
    show(found, top, depth, sort, order, json, csv, html, quiet)
    if not quiet:
        if comparison is not None:
            from tftrace.report.compare import print_comparison

            print_comparison(comparison, console())
        console().print(f"run folder: {found.folder}", soft_wrap=True)


def report(
    run: RunFolder,
    model: Annotated[
        Path | None,
        typer.Option(help="Saved model of a trace that another program took, to match by name."),
    ] = None,
    top: Top = 20,
    depth: Depth = None,
    sort: SortOption = Sort.time,
    order: OrderOption = Order.sorted,
    json: JsonFile = None,
    csv: CsvFolder = None,
    html: HtmlFile = None,
    salvage: Salvage = False,
    quiet: Quiet = False,
) -> None:
    """Print the report of a run again, from its folder; needs no TensorFlow.

    Also reads traces that other programs took, such as the TensorBoard callback.
    """
    from tftrace.api.profile import open_any

    show(open_any(run, model, salvage=salvage), top, depth, sort, order, json, csv, html, quiet)


def export(
    run: RunFolder,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder (JSON: file) to write.")],
    format: Annotated[Format, typer.Option(help="Format of the tables.")] = Format.csv,
) -> None:
    """Write all tables of a run as CSV, Parquet or JSON."""
    from tftrace.api.profile import load
    from tftrace.report.export import export_tables

    for path in export_tables(load(run), format.value, output):
        typer.echo(path)


def scan(
    logdirs: Annotated[
        list[str], typer.Argument(help="Folders of runs: paths, gs://, s3://, https://.")
    ],
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Parquet data set to write, by run and host."),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask cluster to use, as tcp://host:port.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Local processes [default: one per core].")
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="Rows of each table; 0 for all.")] = 15,
    quiet: Quiet = False,
) -> None:
    """Read every run and host below the folders: totals, stragglers, spread per layer."""
    from tftrace.report.progress import stages
    from tftrace.scan import scan as scan_all

    with stages(quiet) as say:
        result = scan_all(logdirs, scheduler, out, workers, say)
    if not quiet:
        from tftrace.report.scan import print_scan

        print_scan(result, console(), top or None)
    if len(result.errors):
        raise typer.Exit(2 if result.hosts.empty else 1)


def demo(
    out: Out = Path("tftrace-runs"),
    samples: Annotated[int, typer.Option(min=32, help="Samples of made-up data.")] = 2000,
) -> None:
    """Measure two small networks, with and without batch norm, and explain the difference."""
    from tftrace.report.progress import stages

    with stages(False) as say:
        say("starting TensorFlow")
        start_tensorflow()
        from tftrace.demo import run_demo

        result = run_demo(out, samples, say)
    from tftrace.report.demo import print_demo

    print_demo(result, console())


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
    from tftrace.api.profile import profile
    from tftrace.tracer.inputs import load_data
    from tftrace.tracer.models import load_model

    arrays = load_data(data)
    say("loading the model")
    loaded = load_model(model, unsafe, custom, keras)
    return profile(loaded, arrays, progress=say, source=model.name, **options)


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
    from tftrace.tracer.inputs import load_data, take
    from tftrace.tracer.models import load_model

    arrays = load_data(data)
    comparison, finding = try_jit(
        lambda: load_model(model, unsafe, custom, keras),
        arrays if samples is None else take(arrays, samples),
        batch_size=batch_size,
        progress=say,
    )
    found.findings.append(finding)
    return comparison
