"""``tftrace compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tftrace.commands.options import (
    MOST,
    MOST_PASSES,
    BatchSize,
    Custom,
    Jit,
    JitOption,
    JsonFile,
    Keras,
    Out,
    Quiet,
    Samples,
    Unsafe,
)
from tftrace.commands.shared import check_model_path, check_targets, console, start_tensorflow
from tftrace.errors import about


def compare(
    a: Annotated[Path, typer.Argument(help="A model, or a run folder.", show_default=False)],
    b: Annotated[Path, typer.Argument(help="Another; with --set the data.", show_default=False)],
    data: Annotated[
        Path | None, typer.Argument(help="Data for two models.", show_default=False)
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Compare one model with itself under jit=…, batch-size=… or freeze=on"
        ),
    ] = None,
    pairs: Annotated[
        int, typer.Option(min=6, max=MOST_PASSES, help="Timed passes of each, interleaved.")
    ] = 11,
    batch_size: BatchSize = 32,
    jit: JitOption = Jit.auto,
    samples: Samples = None,
    out: Out = Path("tftrace-runs"),
    custom: Custom = None,
    unsafe: Unsafe = False,
    keras: Keras = 3,
    top: Annotated[
        int, typer.Option(min=0, max=MOST, help="Rows of the layer table; 0 for all.")
    ] = 15,
    json: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Compare two models, two settings or two runs: ratio with interval, layer by layer."""
    from tftrace.report.exports.tables import write_plain_json
    from tftrace.report.terminal.parts.progress import stages

    check_targets(json)
    if data is None and not settings:
        from tftrace.api.load import load_run
        from tftrace.comparison.compare import compare_runs

        found = compare_runs(load_run(a), load_run(b))
    else:
        check_model_path(a)
        with stages(quiet) as say:
            say("starting TensorFlow")
            start_tensorflow()
            from tftrace.comparison.compare import compare_models, parse_settings, sides
            from tftrace.tracer.data.inputs import fit_inputs, load_data, take
            from tftrace.tracer.loading.models import load_model

            def loaded(path: Path) -> Any:
                return load_model(path, unsafe, custom or [], keras)

            file = b if data is None else data
            arrays = load_data(file)
            arrays = arrays if samples is None else take(arrays, samples)
            changed = parse_settings(settings or [])
            pair = sides(loaded, a, a if data is None else b, batch_size, jit.value, changed)
            for side in pair:
                with about(file):
                    fit_inputs(side.model, arrays)
            found = compare_models(*pair, arrays, pairs=pairs, out=out, progress=say)
    if json is not None:
        write_plain_json(found.to_dict(), json)
    if not quiet:
        from tftrace.report.terminal.compare import print_comparison

        print_comparison(found, console(), top or None)
