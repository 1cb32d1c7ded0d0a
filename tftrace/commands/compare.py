"""``tftrace compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tftrace.commands.options import (
    MOST,
    MOST_PASSES,
    BatchSize,
    Custom,
    DataModule,
    HtmlFile,
    Jit,
    JitOption,
    JsonFile,
    Keras,
    Layout,
    LayoutOption,
    ModelModule,
    Out,
    Quiet,
    Samples,
    Unsafe,
)
from tftrace.commands.shared import (
    check_data,
    check_model_path,
    check_targets,
    print_parts,
    printing,
    start_tensorflow,
)
from tftrace.errors import TftraceError
from tftrace.tracer.loading.models import Loading


def compare(
    a: Annotated[Path, typer.Argument(help="A model, or a run folder.", show_default=False)],
    b: Annotated[
        Path | None, typer.Argument(help="Another; with --set the data.", show_default=False)
    ] = None,
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
    data_module: DataModule = None,
    model_module: ModelModule = None,
    top: Annotated[
        int, typer.Option(min=0, max=MOST, help="Rows of the layer table; 0 for all.")
    ] = 15,
    json: JsonFile = None,
    html: HtmlFile = None,
    layout: LayoutOption = Layout.text,
    quiet: Quiet = False,
) -> None:
    """Compare two models, two settings or two runs: ratio with interval, layer by layer."""
    from tftrace.report.comparison import comparison_parts
    from tftrace.report.exports.tables import write_plain_json
    from tftrace.report.terminal.parts.progress import stages

    check_targets(json, html, reads=(a, b, data))
    if b is None and not settings:
        raise TftraceError(f"nothing to compare {a} with (see --help)")
    if b is not None and data is None and not settings and data_module is None:
        from tftrace.api.load import load_run
        from tftrace.comparison.compare import compare_runs

        found = compare_runs(load_run(a), load_run(b))
    else:
        # The last path is the data's, unless a function returns it.
        second, file = (b, data) if data is not None or data_module is not None else (a, b)
        check_model_path(a)
        check_data(file, data_module)
        with stages(quiet, 4) as say:
            say("starting TensorFlow")
            start_tensorflow()
            from tftrace.comparison.compare import compare_models, parse_settings, sides
            from tftrace.tracer.data.inputs import fit_inputs
            from tftrace.tracer.data.sources import about_data, alike, data_from

            loading = Loading(unsafe, tuple(custom or ()), keras, model_module)
            given = data_from(file, data_module)
            changed = parse_settings(settings or [])
            pair = sides(loading.model, a, second or a, batch_size, jit.value, changed)
            with about_data(file, data_module):
                arrays = alike(pair[0].model, given, samples)
                for side in pair:
                    fit_inputs(side.model, arrays)
            found = compare_models(*pair, arrays, pairs=pairs, out=out, progress=say)
    if json is not None:
        write_plain_json(found.to_dict(), json)
    if html is not None:
        from tftrace.report.html.comparison import write_comparison

        write_comparison(found, html)
    print_parts(
        lambda: comparison_parts(found, top or None),
        found.to_dict,
        layout,
        quiet or printing(json, html),
    )
