"""``tftrace count``."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from tftrace.commands.options import (
    MOST,
    CsvFolder,
    Custom,
    InputShape,
    JsonFile,
    Keras,
    Layout,
    LayoutOption,
    ModelModule,
    Order,
    OrderOption,
    Phase,
    Quiet,
    Rule,
    Unsafe,
)
from tftrace.commands.shared import (
    batch_sizes,
    check_model_path,
    check_targets,
    print_parts,
    printing,
    start_tensorflow,
)
from tftrace.errors import TftraceError
from tftrace.tracer.loading.models import Loading

CountedOptimizer = Annotated[
    str | None,
    typer.Option(
        "--optimizer",
        help="Keras's name of the optimizer for --phase fit, where the model is not compiled.",
    ),
]


def count(
    model: Annotated[Path, typer.Argument(help="Keras model, or SavedModel.", show_default=False)],
    input_shape: InputShape = None,
    batch: Annotated[
        str, typer.Option(help="Samples per batch; several, as 1,8,32, for the memory of each.")
    ] = "1",
    phase: Annotated[
        Phase, typer.Option(help="fit: what its gradients and optimizer take of memory, too.")
    ] = Phase.predict,
    optimizer: CountedOptimizer = None,
    rule: Annotated[Rule, typer.Option(help="The work that is shown.")] = Rule.mults,
    flops_per_mac: Annotated[
        int, typer.Option(min=1, max=2, help="Operations per multiply-accumulate in FLOPs.")
    ] = 2,
    custom: Custom = None,
    unsafe: Unsafe = False,
    keras: Keras = 3,
    model_module: ModelModule = None,
    top: Annotated[int, typer.Option(min=0, max=MOST, help="Rows to show; 0 for all.")] = 0,
    order: OrderOption = Order.run,
    json: JsonFile = None,
    csv: CsvFolder = None,
    layout: LayoutOption = Layout.text,
    quiet: Quiet = False,
) -> None:
    """Count multiplications, MACs, FLOPs, parameters and memory without running the model."""
    from tftrace.report.terminal.parts.progress import stages

    check_model_path(model)
    check_targets(json, csv=csv, reads=(model,))
    if phase is Phase.evaluate:
        raise TftraceError("count has --phase predict and fit: evaluate takes what predict takes")
    if optimizer is not None and phase is not Phase.fit:
        raise TftraceError("--optimizer is for --phase fit")
    sizes = batch_sizes(batch)
    with stages(quiet, 3) as say:
        say("starting TensorFlow")
        start_tensorflow()
        from tftrace.api.count import count as count_model
        from tftrace.api.count import full_shapes, memories, training

        say("loading the model")
        loaded = Loading(unsafe, tuple(custom or ()), keras, model_module).model(model)
        say("counting")
        shapes = full_shapes(loaded, input_shape, sizes[0])
        counts = count_model(loaded, shapes, flops_per_mac=flops_per_mac)
        if phase is Phase.fit:
            counts = replace(counts, training=training(loaded, optimizer))
        more = memories(loaded, partial(full_shapes, loaded, input_shape), sizes[1:], say)
    from tftrace.report.counts import counts_parts
    from tftrace.report.exports.tables import counts_data, export_counts, write_counts_json

    if json is not None:
        write_counts_json(counts, json, more)
    if csv is not None:
        export_counts(counts, csv)
    by_size = order is Order.sorted
    title = f"{model.name}, batch {counts.batch}"
    print_parts(
        lambda: counts_parts(counts, title, rule.value, top or None, by_size, more),
        lambda: counts_data(counts, more),
        layout,
        quiet or printing(json, csv),
    )
