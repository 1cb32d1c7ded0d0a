"""``tftrace calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tftrace.commands.shared import check_targets, console, printing, start_tensorflow
from tftrace.text import Stage


def calibrate(
    force: Annotated[
        bool, typer.Option("--force", help="Measure again; forget what `estimate` timed.")
    ] = False,
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="Single kernels too (90 s more), for `estimate --calibration`."
        ),
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(help="Also write it to this file, for `estimate --calibration` elsewhere."),
    ] = None,
) -> None:
    """Measure this machine's peaks: arithmetic, memory bandwidth, dispatch. Kept for later runs."""
    check_targets(export)
    from tftrace.report.terminal.parts.progress import stages

    with stages(False, 2) as say:
        say("starting TensorFlow")
        start_tensorflow()
        from tftrace.machine.calibrate import calibrate as measure
        from tftrace.tracer.setting import setting

        seconds = 110 if full else 20
        say(Stage(f"measuring for some {seconds} s; the machine should be idle", seconds))
        machine = measure(setting(), force, full)
    if export is not None:
        from tftrace.report.exports.tables import write_plain_json

        write_plain_json(machine.to_dict(), export)
    if printing(export):
        return
    from tftrace.report.terminal.machine import print_machine

    print_machine(machine, console())
