"""What several commands need."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tftrace.commands.options import Order, Sort
from tftrace.errors import TftraceError
from tftrace.files import require_folder, require_writable

if TYPE_CHECKING:
    from rich.console import Console

    from tftrace.api.profile import Profile

DEBUG_VARIABLE = "TFTRACE_DEBUG"


def debugging() -> bool:
    """Whether tracebacks and TensorFlow's own messages are wanted."""
    return bool(os.environ.get(DEBUG_VARIABLE))


def show(
    found: Profile,
    top: int,
    depth: int | None,
    sort: Sort,
    order: Order,
    json: Path | None,
    csv: Path | None,
    html: Path | None,
    quiet: bool,
) -> None:
    """Write the files that were asked for, then print the report."""
    from tftrace.report.exports.tables import export_tables, write_json
    from tftrace.report.terminal.run import print_report

    if json is not None:
        write_json(found, json)
    if csv is not None:
        export_tables(found, "csv", csv)
    if html is not None:
        from tftrace.report.html.run import write_html

        write_html(found, html)
    if not quiet:
        print_report(found, console(), top or None, depth, sort.value, order.value)


def check_targets(
    json: Path | None = None, csv: Path | None = None, html: Path | None = None
) -> None:
    """Fail before anything is measured if what was asked for cannot be written."""
    for file in (json, html):
        if file is not None:
            require_writable(file)
    if csv is not None:
        require_folder(csv)


def console() -> Console:
    """Standard output."""
    from tftrace.report.terminal.parts.screen import screen

    return screen()


def start_tensorflow() -> None:
    """Its start-up messages are about this machine's missing GPU, not about the user's model."""
    if not debugging():
        from tftrace.tracer.quiet import start_quietly

        start_quietly()


def check_data(data: Path | None, data_module: str | None) -> None:
    """Fail before TensorFlow starts if there is no data, or twice.

    Raises:
        TftraceError: neither or both are given.
    """
    if data is None and data_module is None:
        raise TftraceError(
            "no data: give a .npy or .npz file, or --data-module module:function (see --help)"
        )
    if data is not None and data_module is not None:
        raise TftraceError(f"give the data {data} or --data-module {data_module}, not both")


def check_model_path(path: Path) -> None:
    """Fail on a mistyped path before TensorFlow takes its seconds to start."""
    if not os.path.exists(path):
        raise TftraceError(f"no model file {path}")
