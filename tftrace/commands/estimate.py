"""``tftrace estimate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tftrace.commands.options import (
    MOST,
    BatchSize,
    Custom,
    InputShape,
    JsonFile,
    Keras,
    Layout,
    LayoutOption,
    ModelModule,
    Quiet,
    Unsafe,
)
from tftrace.commands.shared import (
    check_model_path,
    check_targets,
    print_parts,
    printing,
    start_tensorflow,
)
from tftrace.tracer.loading.models import Loading


def estimate(
    model: Annotated[Path, typer.Argument(help="Keras model, or SavedModel.", show_default=False)],
    input_shape: InputShape = None,
    batch_size: BatchSize = 32,
    batches: Annotated[int, typer.Option(min=1, max=MOST, help="Batches of the predict call.")] = 1,
    check: Annotated[
        bool, typer.Option("--check", help="Measure it too, on made-up data, and show the error.")
    ] = False,
    custom: Custom = None,
    unsafe: Unsafe = False,
    keras: Keras = 3,
    model_module: ModelModule = None,
    top: Annotated[
        int, typer.Option(min=0, max=MOST, help="Rows of the layer table; 0 for all.")
    ] = 15,
    json: JsonFile = None,
    layout: LayoutOption = Layout.text,
    quiet: Quiet = False,
) -> None:
    """Predict a model's latency on this machine without running it, layer by layer."""
    from tftrace.report.estimate import estimate_parts
    from tftrace.report.exports.tables import write_plain_json
    from tftrace.report.terminal.parts.progress import stages

    check_model_path(model)
    check_targets(json)
    with stages(quiet, 2 + check) as say:
        say("starting TensorFlow")
        start_tensorflow()
        from tftrace.api.count import full_shapes
        from tftrace.api.estimate import estimate as estimate_model
        from tftrace.api.estimate import measure

        say("loading the model")
        loaded = Loading(unsafe, tuple(custom or ()), keras, model_module).model(model)
        shapes = full_shapes(loaded, input_shape, batch_size)
        found = estimate_model(loaded, shapes, batches=batches, progress=say)
        measured = measure(loaded, shapes, batches, say) if check else None
    data = {**found.to_dict(), "measured_ms": measured}
    if json is not None:
        write_plain_json(data, json)
    print_parts(
        lambda: estimate_parts(found, model.name, measured, top or None),
        lambda: data,
        layout,
        quiet or printing(json),
    )
