"""``tftrace estimate``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

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
    Loss,
    ModelModule,
    Optimizer,
    Phase,
    Quiet,
    Unsafe,
)
from tftrace.commands.shared import (
    batch_sizes,
    bytes_of,
    check_model_path,
    check_targets,
    print_parts,
    printing,
    start_tensorflow,
)
from tftrace.errors import TftraceError
from tftrace.tracer.compiling import Phase as Way
from tftrace.tracer.loading.models import Loading


def estimate(
    model: Annotated[Path, typer.Argument(help="Keras model, or SavedModel.", show_default=False)],
    input_shape: InputShape = None,
    batch_size: BatchSize = 32,
    batches: Annotated[int, typer.Option(min=1, max=MOST, help="Batches of the call.")] = 1,
    phase: Annotated[
        Phase, typer.Option("--phase", help="What is predicted: predict, or an epoch of fit.")
    ] = Phase.predict,
    loss: Loss = None,
    optimizer: Optimizer = None,
    check: Annotated[
        bool, typer.Option("--check", help="Measure it too, on made-up data, and show the error.")
    ] = False,
    batch: Annotated[
        str | None,
        typer.Option(
            help="Batch sizes, as 1,8,32: how the time of one batch grows, layer by layer."
        ),
    ] = None,
    fits: Annotated[
        str | None,
        typer.Option(
            help="A size, as 8GiB: the largest batch whose memory fits, in place of time."
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help="Of another machine: a file of `calibrate --full --export`."),
    ] = None,
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
    """Predict a model's latency without running it, layer by layer: its kernels are timed alone."""
    if phase is Phase.evaluate:
        raise TftraceError("estimate has --phase predict and fit")
    way = Way(phase.value, loss=loss, optimizer=optimizer)
    from tftrace.machine.calibrate import read_calibration
    from tftrace.report.batch_memory import fitting_parts
    from tftrace.report.estimate import curve_parts, estimate_parts
    from tftrace.report.exports.tables import write_plain_json
    from tftrace.report.terminal.parts.progress import stages

    check_model_path(model)
    check_targets(json, reads=(model, calibration))
    sizes = None if batch is None else batch_sizes(batch, least=2)
    machine = None if calibration is None else read_calibration(calibration)
    title = model.name if machine is None else f"{model.name} on {machine.machine}"
    if check and (sizes is not None or machine is not None):
        raise TftraceError("--check goes with neither --batch nor --calibration")
    limit = None if fits is None else (bytes_of(fits), fits.strip())
    if limit is not None and (check or sizes is not None or machine is not None):
        raise TftraceError("--fits goes with none of --check, --batch and --calibration")
    if phase is Phase.fit and (machine is not None or limit is not None):
        raise TftraceError("--phase fit goes with neither --calibration nor --fits")
    with stages(quiet, 2 + check) as say:
        say("starting TensorFlow")
        start_tensorflow()
        from tftrace.api.count import fitting_batch, full_shapes
        from tftrace.api.estimate import estimate as estimate_model
        from tftrace.api.estimate import estimate_batches, measure

        say("loading the model")
        trained = phase is Phase.fit
        loaded = Loading(unsafe, tuple(custom or ()), keras, model_module, trained).model(model)
        way.prepare(loaded)
        data: dict[str, Any]
        if limit is not None:
            fit = fitting_batch(loaded, partial(full_shapes, loaded, input_shape), limit[0], say)
            parts, data = fitting_parts(fit, limit[1], title), fit.to_dict()
        elif sizes is not None:
            shapes_of = partial(full_shapes, loaded, input_shape)
            curve = estimate_batches(loaded, shapes_of, sizes, machine, say, way.name)
            parts, data = curve_parts(curve, title, top or None), curve.to_dict()
        else:
            shapes = full_shapes(loaded, input_shape, batch_size)
            found = estimate_model(
                loaded, shapes, phase=way.name, batches=batches, machine=machine, progress=say
            )
            measured = measure(loaded, shapes, batches, say, phase=way.name) if check else None
            parts = estimate_parts(found, title, measured, top or None)
            data = {**found.to_dict(), "measured_ms": measured}
    if json is not None:
        write_plain_json(data, json)
    print_parts(
        lambda: parts,
        lambda: data,
        layout,
        quiet or printing(json),
    )
