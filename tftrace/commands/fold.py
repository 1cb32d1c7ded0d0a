"""``tftrace fold``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tftrace.commands.options import (
    MOST_PASSES,
    BatchSize,
    Custom,
    DataModule,
    HtmlFile,
    JsonFile,
    Keras,
    Layout,
    LayoutOption,
    ModelModule,
    Quiet,
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
from tftrace.tracer.loading.models import Loading


def fold(
    model: Annotated[Path, typer.Argument(help="Keras model, or SavedModel.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to save it: .keras.")],
    data: Annotated[
        Path | None, typer.Option(help="Check outputs on this data, and measure both models.")
    ] = None,
    batch_size: BatchSize = 32,
    pairs: Annotated[
        int, typer.Option(min=6, max=MOST_PASSES, help="Timed passes of each, interleaved.")
    ] = 11,
    custom: Custom = None,
    unsafe: Unsafe = False,
    keras: Keras = 3,
    data_module: DataModule = None,
    model_module: ModelModule = None,
    json: JsonFile = None,
    html: HtmlFile = None,
    layout: LayoutOption = Layout.text,
    quiet: Quiet = False,
) -> None:
    """Fold batch norms exactly into neighboring layers, and save the model."""
    from tftrace.report.terminal.parts.progress import stages

    check_model_path(model)
    check_targets(output, json, html, reads=(model, data))
    if data is not None and data_module is not None:
        check_data(data, data_module)
    with stages(quiet, 6 if data or data_module else 3) as say:
        say("starting TensorFlow")
        start_tensorflow()
        from tftrace.folding.check import fold_file

        outcome = fold_file(
            model,
            output,
            data,
            data_module=data_module,
            loading=Loading(unsafe, tuple(custom or ()), keras, model_module),
            batch_size=batch_size,
            pairs=pairs,
            progress=say,
        )
    from tftrace.report.exports.tables import write_plain_json
    from tftrace.report.fold import fold_parts

    if json is not None:
        write_plain_json(outcome.to_dict(), json)
    if html is not None:
        from tftrace.report.html.comparison import write_fold

        write_fold(outcome, html)
    print_parts(lambda: fold_parts(outcome), outcome.to_dict, layout, quiet or printing(json, html))
