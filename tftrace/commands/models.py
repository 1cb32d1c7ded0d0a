"""Commands that ask about models and machines: count, compare, fold, estimate, calibrate, check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tftrace.commands.options import (
    BatchSize,
    CsvFolder,
    Custom,
    InputShape,
    Jit,
    JitOption,
    JsonFile,
    Order,
    OrderOption,
    Out,
    Quiet,
    Rule,
    RunFolder,
    Samples,
    Unsafe,
)
from tftrace.commands.shared import check_model_path, console, start_tensorflow


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

    check_model_path(model)
    with stages(quiet) as say:
        say("starting TensorFlow")
        start_tensorflow()
        from tftrace.api.count import count as count_model
        from tftrace.api.count import full_shapes
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
        print_counts(counts, console(), title, rule.value, top or None, by_size)
    if json is not None:
        write_counts_json(counts, json)
    if csv is not None:
        export_counts(counts, csv)


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
        from tftrace.api.profile import load
        from tftrace.comparison.compare import compare_runs

        found = compare_runs(load(a), load(b))
    else:
        check_model_path(a)
        with stages(quiet) as say:
            say("starting TensorFlow")
            start_tensorflow()
            from tftrace.comparison.compare import compare_models, parse_settings, sides
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

        print_comparison(found, console(), top or None)
    if json is not None:
        write_plain_json(found.to_dict(), json)


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

    check_model_path(model)
    with stages(quiet) as say:
        say("starting TensorFlow")
        start_tensorflow()
        from tftrace.folding.check import fold_file

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

        print_fold(outcome, console())


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

    check_model_path(model)
    with stages(quiet) as say:
        say("starting TensorFlow")
        start_tensorflow()
        from tftrace.api.count import full_shapes
        from tftrace.api.estimate import estimate as estimate_model
        from tftrace.api.estimate import measure
        from tftrace.tracer.models import load_model

        say("loading the model")
        loaded = load_model(model, unsafe, custom or [])
        shapes = full_shapes(loaded, input_shape, batch_size)
        found = estimate_model(loaded, shapes, batches=batches, progress=say)
        measured = measure(loaded, shapes, batches, say) if check else None
    if not quiet:
        from tftrace.report.estimate import print_estimate

        print_estimate(found, console(), model.name, measured, top or None)
    if json is not None:
        write_plain_json({**found.to_dict(), "measured_ms": measured}, json)


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
        start_tensorflow()
        from tftrace.machine.calibrate import calibrate as measure

        say("measuring; the machine should be idle")
        machine = measure(force, full)
    from tftrace.report.machine import print_machine

    print_machine(machine, console())


def check(
    run: RunFolder,
    budget: Annotated[Path, typer.Option(help="Limits, in TOML.")],
    baseline: Annotated[
        Path | None, typer.Option(help="Run that relative limits refer to.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Hold a run to a budget: exit code 1 and the rows that break it."""
    from tftrace.api.profile import load
    from tftrace.budget import check as check_run
    from tftrace.budget import read_budget

    limits = read_budget(budget)
    breaches = check_run(load(run), limits, None if baseline is None else load(baseline))
    if not quiet:
        from tftrace.report.budget import print_breaches

        print_breaches(breaches, console())
    if breaches:
        raise typer.Exit(1)
