"""``tftrace advise``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from tftrace.commands.options import (
    MOST_PASSES,
    BatchSize,
    Custom,
    DataModule,
    JsonFile,
    Keras,
    Layout,
    LayoutOption,
    ModelModule,
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


def advise(
    model: Annotated[Path, typer.Argument(help="Keras model, or SavedModel.", show_default=False)],
    data: Annotated[
        Path | None, typer.Argument(help=".npy, or .npz by name.", show_default=False)
    ] = None,
    dry: Annotated[
        bool,
        typer.Option("--dry", help="Try nothing; estimate each, and tell what is promised."),
    ] = False,
    script: Annotated[
        Path | None, typer.Option(help="Write what is best as a Python program.")
    ] = None,
    passes: Annotated[
        int, typer.Option(min=6, max=MOST_PASSES, help="Timed passes of each way, in turn.")
    ] = 11,
    batch_size: BatchSize = 32,
    samples: Samples = None,
    custom: Custom = None,
    unsafe: Unsafe = False,
    keras: Keras = 3,
    data_module: DataModule = None,
    model_module: ModelModule = None,
    json: JsonFile = None,
    layout: LayoutOption = Layout.text,
    quiet: Quiet = False,
) -> None:
    """Try every remedy that applies, each beside the model as it is, and say what helps."""
    from tftrace.report.exports.tables import write_plain_json
    from tftrace.report.terminal.parts.progress import stages

    check_model_path(model)
    check_data(data, data_module)
    check_targets(json, script, reads=(model, data))
    if script is not None and (data_module is not None or model_module is not None):
        raise TftraceError("--script writes a program that reads files; it takes no module")
    loading = Loading(unsafe, tuple(custom or ()), keras, model_module)
    with stages(quiet, 3) as say:
        say("starting TensorFlow")
        start_tensorflow()
        from tftrace.advice.advise import advise as try_all
        from tftrace.tracer.data.inputs import fit_inputs
        from tftrace.tracer.data.sources import about_data, alike, data_from

        first = loading.model(model)
        with about_data(data, data_module):
            arrays = alike(first, data_from(data, data_module), samples)
            fit_inputs(first, arrays)
        load = partial(loading.model, model)
        found = try_all(load, arrays, batch_size=batch_size, passes=passes, dry=dry, progress=say)
    if json is not None:
        write_plain_json(found.to_dict(), json)
    if script is not None and found.best is not None:
        from tftrace.advice.script import script as program
        from tftrace.files import replacing

        with replacing(script) as path:
            path.write_text(program(found.best.recipe, str(model), str(data), unsafe, keras))
    from tftrace.report.advise import advice_parts

    print_parts(
        lambda: advice_parts(found, script),
        found.to_dict,
        layout,
        quiet or printing(json, script),
    )
