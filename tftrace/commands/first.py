"""``tftrace first``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tftrace.commands.options import (
    BatchSize,
    Custom,
    DataModule,
    Jit,
    JitOption,
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
from tftrace.tracer.loading.models import Loading


def first(
    model: Annotated[Path, typer.Argument(help="Keras model, or SavedModel.", show_default=False)],
    data: Annotated[
        Path | None, typer.Argument(help=".npy, or .npz by name.", show_default=False)
    ] = None,
    batch_size: BatchSize = 32,
    samples: Samples = None,
    jit: JitOption = Jit.auto,
    custom: Custom = None,
    unsafe: Unsafe = False,
    keras: Keras = 3,
    data_module: DataModule = None,
    model_module: ModelModule = None,
    json: JsonFile = None,
    layout: LayoutOption = Layout.text,
    quiet: Quiet = False,
) -> None:
    """Say what the first predict of a process costs beyond the next, and which shapes cost it."""
    from tftrace.report.exports.tables import write_plain_json
    from tftrace.report.terminal.parts.progress import stages

    check_model_path(model)
    check_data(data, data_module)
    check_targets(json, reads=(model, data))
    with stages(quiet, 3) as say:
        say("starting TensorFlow")
        start_tensorflow()
        from tftrace.api.first import first_call
        from tftrace.tracer.data.sources import about_data, data_from

        say("loading the model")
        loaded = Loading(unsafe, tuple(custom or ()), keras, model_module).model(model)
        with about_data(data, data_module):
            arrays = data_from(data, data_module)
            say("running predict twice")
            found = first_call(
                loaded, arrays, batch_size=batch_size, jit=jit.value, samples=samples
            )
    from tftrace.report.first import first_parts

    if json is not None:
        write_plain_json(found.to_dict(), json)
    print_parts(
        lambda: first_parts(found, model.name), found.to_dict, layout, quiet or printing(json)
    )
