"""The command line: options, exit codes, and nothing else."""

from __future__ import annotations

import signal
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

from tftrace.errors import TftraceError
from tftrace.version import __version__

if TYPE_CHECKING:
    from tftrace.profiling import Profile

app = typer.Typer(
    name="tftrace",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Where the time of model.predict goes, Keras layer by layer, beside the multiplications.",
    epilog="Errors exit with code 2 and one line on stderr; --debug shows the traceback.",
)


_DEBUG = "--debug"
_debug = False


class Jit(str, Enum):
    """Compile predict with XLA?"""

    auto = "auto"
    on = "on"
    off = "off"


class Sort(str, Enum):
    """Order of the layer table."""

    time = "time"
    mults = "mults"
    macs = "macs"
    flops = "flops"
    bytes = "bytes"
    params = "params"
    name = "name"


class Order(str, Enum):
    """Sorted, or as the model runs."""

    sorted = "sorted"
    run = "run"


class Rule(str, Enum):
    """What is counted."""

    mults = "mults"
    macs = "macs"
    flops = "flops"


class Format(str, Enum):
    """File format of exported tables."""

    csv = "csv"
    parquet = "parquet"
    json = "json"


Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of runs; TensorBoard's --logdir.")]
BatchSize = Annotated[int, typer.Option("--batch-size", "-b", min=1, help="Samples per batch.")]
Repeats = Annotated[int, typer.Option(min=0, help="Untraced passes that are timed.")]
Warmup = Annotated[int, typer.Option(min=0, help="Passes before anything is timed.")]
Samples = Annotated[int | None, typer.Option(min=1, help="Use only the first N samples.")]
JitOption = Annotated[Jit, typer.Option(help="Compile predict with XLA.")]
AllOps = Annotated[
    bool, typer.Option("--all-ops", help="Record every kernel, also the cheap ones; slower.")
]
TraceBatches = Annotated[
    int | None,
    typer.Option(min=1, help="Batches of the traced pass [default: as many as stay readable]."),
]
TraceAll = Annotated[bool, typer.Option("--trace-all", help="Trace the whole pass, however long.")]
Custom = Annotated[
    list[str] | None,
    typer.Option(help="Module (or module:name) that registers custom layers; repeatable."),
]
Unsafe = Annotated[bool, typer.Option("--unsafe", help="Allow Python code inside the model file.")]
InputShape = Annotated[
    list[str] | None,
    typer.Option(help="Shape of one input without the batch, as 224,224,3; repeatable."),
]
Top = Annotated[int, typer.Option(min=0, help="Rows of the layer table; 0 for all.")]
Depth = Annotated[
    int | None, typer.Option(min=0, help="Add deeper layers to their containers; 1 is the top.")
]
SortOption = Annotated[Sort, typer.Option("--sort", help="Column that orders the layer table.")]
OrderOption = Annotated[Order, typer.Option("--order", help="'run' keeps the model's order.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write everything as JSON.")]
CsvFolder = Annotated[Path | None, typer.Option("--csv", help="Also write all tables as CSV.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Options that stand before the command; --debug may stand anywhere."""
    if version:
        typer.echo(f"tftrace {__version__}")
        raise typer.Exit


@app.command()
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
    top: Top = 20,
    depth: Depth = None,
    sort: SortOption = Sort.time,
    order: OrderOption = Order.sorted,
    json: JsonFile = None,
    csv: CsvFolder = None,
    quiet: Quiet = False,
) -> None:
    """Measure model.predict on the data and say where the time goes."""
    from tftrace.report.progress import stages

    _check_model_path(model)
    with stages(quiet) as say:
        say("starting TensorFlow")
        found = _measure(
            model,
            data,
            unsafe,
            custom or [],
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
    _show(found, top, depth, sort, order, json, csv, quiet)
    if not quiet:
        _console().print(f"run folder: {found.folder}", soft_wrap=True)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="A run folder, or a folder of runs (the newest).")],
    top: Top = 20,
    depth: Depth = None,
    sort: SortOption = Sort.time,
    order: OrderOption = Order.sorted,
    json: JsonFile = None,
    csv: CsvFolder = None,
    quiet: Quiet = False,
) -> None:
    """Print the report of a run again, from its folder; needs no TensorFlow."""
    from tftrace.profiling import load

    _show(load(run), top, depth, sort, order, json, csv, quiet)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run folder, or a folder of runs (the newest).")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder (JSON: file) to write.")],
    format: Annotated[Format, typer.Option(help="Format of the tables.")] = Format.csv,
) -> None:
    """Write all tables of a run as CSV, Parquet or JSON."""
    from tftrace.profiling import load
    from tftrace.report.export import export_tables

    for path in export_tables(load(run), format.value, output):
        typer.echo(path)


@app.command()
def count(
    model: Annotated[Path, typer.Argument(help="Keras model: .keras or .h5.", show_default=False)],
    input_shape: InputShape = None,
    batch: Annotated[int, typer.Option(min=1, help="Samples per batch.")] = 1,
    rule: Annotated[Rule, typer.Option(help="The work that is shown.")] = Rule.mults,
    flops_per_mac: Annotated[
        int, typer.Option(min=1, max=2, help="Operations per multiply-accumulate in FLOPs.")
    ] = 2,
    custom: Custom = None,
    unsafe: Unsafe = False,
    top: Annotated[int, typer.Option(min=0, help="Rows to show; 0 for all.")] = 0,
    order: OrderOption = Order.run,
    json: JsonFile = None,
    csv: CsvFolder = None,
    quiet: Quiet = False,
) -> None:
    """Count multiplications, MACs, FLOPs, parameters and bytes without running the model."""
    from tftrace.report.progress import stages

    _check_model_path(model)
    with stages(quiet) as say:
        say("starting TensorFlow")
        _start_tensorflow()
        from tftrace.counting import count as count_model
        from tftrace.counting import full_shapes
        from tftrace.tracer.models import load_model

        say("loading the model")
        loaded = load_model(model, unsafe, custom or [])
        say("counting")
        shapes = full_shapes(loaded, input_shape, batch)
        counts = count_model(loaded, shapes, flops_per_mac=flops_per_mac)
    from tftrace.report.counts import print_counts
    from tftrace.report.export import export_counts, write_counts_json

    if not quiet:
        by_size = order is Order.sorted
        title = f"{model.name}, batch {batch}"
        print_counts(counts, _console(), title, rule.value, top or None, by_size)
    if json is not None:
        write_counts_json(counts, json)
    if csv is not None:
        export_counts(counts, csv)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="A model, or a run folder.", show_default=False)],
    b: Annotated[Path, typer.Argument(help="Another; with --set the data.", show_default=False)],
    data: Annotated[
        Path | None, typer.Argument(help="Data for two models.", show_default=False)
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Compare one model with itself under jit=… or batch-size=…"),
    ] = None,
    pairs: Annotated[int, typer.Option(min=3, help="Timed passes of each, in turn.")] = 11,
    batch_size: BatchSize = 32,
    jit: JitOption = Jit.auto,
    samples: Samples = None,
    out: Out = Path("tftrace-runs"),
    custom: Custom = None,
    unsafe: Unsafe = False,
    top: Annotated[int, typer.Option(min=0, help="Rows of the layer table; 0 for all.")] = 15,
    json: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Compare two models, two settings or two runs: ratio with interval, layer by layer."""
    from tftrace.report.export import write_plain_json
    from tftrace.report.progress import stages

    if data is None and not settings:
        from tftrace.advice.compare import compare_runs
        from tftrace.profiling import load

        found = compare_runs(load(a), load(b))
    else:
        _check_model_path(a)
        with stages(quiet) as say:
            say("starting TensorFlow")
            _start_tensorflow()
            from tftrace.advice.compare import compare_models, parse_settings, sides
            from tftrace.tracer.inputs import load_data, take
            from tftrace.tracer.models import load_model

            def loaded(path: Path) -> Any:
                return load_model(path, unsafe, custom or [])

            arrays = load_data(b if data is None else data)
            arrays = arrays if samples is None else take(arrays, samples)
            changed = parse_settings(settings or [])
            pair = sides(loaded, a, a if data is None else b, batch_size, jit.value, changed)
            found = compare_models(*pair, arrays, pairs=pairs, out=out, progress=say)
    if not quiet:
        from tftrace.report.compare import print_comparison

        print_comparison(found, _console(), top or None)
    if json is not None:
        write_plain_json(found.to_dict(), json)


@app.command()
def fold(
    model: Annotated[Path, typer.Argument(help="Keras model: .keras or .h5.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to save it: .keras.")],
    data: Annotated[
        Path | None, typer.Option(help="Check outputs on this data, and measure both models.")
    ] = None,
    batch_size: BatchSize = 32,
    pairs: Annotated[int, typer.Option(min=3, help="Timed passes of each, in turn.")] = 11,
    custom: Custom = None,
    unsafe: Unsafe = False,
    quiet: Quiet = False,
) -> None:
    """Work batch normalisation into its neighbours' weights, exactly, and save the model."""
    from tftrace.report.progress import stages

    _check_model_path(model)
    with stages(quiet) as say:
        say("starting TensorFlow")
        _start_tensorflow()
        from tftrace.advice.folding_check import fold_file

        outcome = fold_file(
            model,
            output,
            data,
            unsafe=unsafe,
            custom=custom or [],
            batch_size=batch_size,
            pairs=pairs,
            progress=say,
        )
    if not quiet:
        from tftrace.report.fold import print_fold

        print_fold(outcome, _console())


@app.command()
def calibrate(
    force: Annotated[bool, typer.Option("--force", help="Measure again.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Single kernels too (90 s more), for `estimate`.")
    ] = False,
) -> None:
    """Measure this machine's peaks: arithmetic, memory bandwidth, dispatch. Kept for later runs."""
    from tftrace.report.progress import stages

    with stages(False) as say:
        say("starting TensorFlow")
        _start_tensorflow()
        from tftrace.machine.calibrate import calibrate as measure

        say("measuring; the machine should be idle")
        machine = measure(force, full)
    from tftrace.report.machine import print_machine

    print_machine(machine, _console())


@app.command()
def estimate(
    model: Annotated[Path, typer.Argument(help="Keras model: .keras or .h5.", show_default=False)],
    input_shape: InputShape = None,
    batch_size: BatchSize = 32,
    batches: Annotated[int, typer.Option(min=1, help="Batches of the predict call.")] = 1,
    check: Annotated[
        bool, typer.Option("--check", help="Measure it too, on made-up data, and show the error.")
    ] = False,
    custom: Custom = None,
    unsafe: Unsafe = False,
    top: Annotated[int, typer.Option(min=0, help="Rows of the layer table; 0 for all.")] = 15,
    json: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Predict how long a network takes here that never ran here, layer by layer."""
    from tftrace.report.export import write_plain_json
    from tftrace.report.progress import stages

    _check_model_path(model)
    with stages(quiet) as say:
        say("starting TensorFlow")
        _start_tensorflow()
        from tftrace.counting import full_shapes
        from tftrace.estimating import estimate as estimate_model
        from tftrace.estimating import measure
        from tftrace.tracer.models import load_model

        say("loading the model")
        loaded = load_model(model, unsafe, custom or [])
        shapes = full_shapes(loaded, input_shape, batch_size)
        found = estimate_model(loaded, shapes, batches=batches, progress=say)
        measured = measure(loaded, shapes, batches, say) if check else None
    if not quiet:
        from tftrace.report.estimate import print_estimate

        print_estimate(found, _console(), model.name, measured, top or None)
    if json is not None:
        write_plain_json({**found.to_dict(), "measured_ms": measured}, json)


@app.command()
def check(
    run: Annotated[Path, typer.Argument(help="A run folder, or a folder of runs (the newest).")],
    budget: Annotated[Path, typer.Option(help="Limits, in TOML.")],
    baseline: Annotated[
        Path | None, typer.Option(help="Run that relative limits refer to.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Hold a run to a budget: exit code 1 and the rows that break it."""
    from tftrace.advice.budget import check as check_run
    from tftrace.advice.budget import read_budget
    from tftrace.profiling import load

    limits = read_budget(budget)
    breaches = check_run(load(run), limits, None if baseline is None else load(baseline))
    if not quiet:
        from tftrace.report.budget import print_breaches

        print_breaches(breaches, _console())
    if breaches:
        raise typer.Exit(1)


@app.command()
def demo(
    out: Out = Path("tftrace-runs"),
    samples: Annotated[int, typer.Option(min=32, help="Samples of made-up data.")] = 2000,
) -> None:
    """Measure two small networks, with and without batch norm, and explain the difference."""
    from tftrace.report.progress import stages

    with stages(False) as say:
        say("starting TensorFlow")
        _start_tensorflow()
        from tftrace.demo import run_demo

        result = run_demo(out, samples, say)
    from tftrace.report.demo import print_demo

    print_demo(result, _console())


def main() -> None:
    """Run the command line: exit code 2 and one line on stderr for what the user can mend."""
    global _debug
    _debug = _DEBUG in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != _DEBUG]
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGINT, _interrupted)
    try:
        app()
    except TftraceError as error:
        if _debug:
            raise
        # One line, whatever the message quotes.
        print("tftrace: " + " ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)


def _terminated(*_: object) -> None:
    _leave(128 + signal.SIGTERM)


def _interrupted(*_: object) -> None:
    print("tftrace: interrupted; no half-written run is left", file=sys.stderr)
    _leave(128 + signal.SIGINT)


def _leave(code: int) -> NoReturn:
    """Raise SystemExit, which passes the clean-up that takes half-written runs away.

    Native code that calls Python may swallow it; so it is raised again, until something is on
    its way out.
    """

    def again(*_: object) -> None:
        if not _leaving(sys.exc_info()[1]):
            raise SystemExit(code)

    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, again)
        signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
    raise SystemExit(code)


def _leaving(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, SystemExit):
        error = error.__context__
    return error is not None


def _measure(
    model: Path, data: Path, unsafe: bool, custom: list[str], say: Any, **options: Any
) -> Profile:
    _start_tensorflow()
    from tftrace.profiling import profile
    from tftrace.tracer.inputs import load_data
    from tftrace.tracer.models import load_model

    arrays = load_data(data)
    say("loading the model")
    loaded = load_model(model, unsafe, custom)
    return profile(loaded, arrays, progress=say, source=model.name, **options)


def _check_model_path(path: Path) -> None:
    """Fail on a mistyped path before TensorFlow takes its seconds to start."""
    if not path.exists():
        raise TftraceError(f"no model file {path}")


def _show(
    found: Profile,
    top: int,
    depth: int | None,
    sort: Sort,
    order: Order,
    json: Path | None,
    csv: Path | None,
    quiet: bool,
) -> None:
    from tftrace.report.export import export_tables, write_json
    from tftrace.report.terminal import print_report

    if not quiet:
        print_report(found, _console(), top or None, depth, sort.value, order.value)
    if json is not None:
        write_json(found, json)
    if csv is not None:
        export_tables(found, "csv", csv)


def _console() -> Console:
    # A pipe has no width; 80 columns is what people paste into issues.
    return Console(width=None if sys.stdout.isatty() else 80, highlight=False)


def _start_tensorflow() -> None:
    """Its start-up messages are about this machine's missing GPU, not about the user's model."""
    if not _debug:
        from tftrace.tracer.quiet import start_quietly

        start_quietly()
