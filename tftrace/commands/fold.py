"""``tftrace fold``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tftrace.commands.options import (
    MOST_PASSES,
    BatchSize,
    Custom,
    Quiet,
    Unsafe,
)
from tftrace.commands.shared import check_model_path, console, start_tensorflow


def fold(
    model: Annotated[Path, typer.Argument(help="Keras model: .keras or .h5.", show_default=False)],
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
    quiet: Quiet = False,
) -> None:
    """Fold batch norms exactly into neighboring layers, and save the model."""
    from tftrace.report.terminal.parts.progress import stages

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
        from tftrace.report.terminal.fold import print_fold

        print_fold(outcome, console())
