"""``tftrace demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tftrace.commands.options import (
    MOST,
    Out,
)
from tftrace.commands.shared import console, start_tensorflow

if TYPE_CHECKING:
    pass


def demo(
    out: Out = Path("tftrace-runs"),
    samples: Annotated[int, typer.Option(min=32, max=MOST, help="Samples of made-up data.")] = 2000,
) -> None:
    """Measure two small networks, with and without batch norm, and explain the difference."""
    from tftrace.report.terminal.parts.progress import stages

    with stages(False, 7) as say:
        say("starting TensorFlow")
        start_tensorflow()
        from tftrace.demo import run_demo

        result = run_demo(out, samples, say)
    from tftrace.report.terminal.demo import print_demo

    print_demo(result, console())
