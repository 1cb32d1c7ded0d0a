"""``tftrace export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tftrace.commands.options import (
    Format,
    RunFolder,
)
from tftrace.commands.shared import check_targets
from tftrace.errors import TftraceError
from tftrace.files import STANDARD_OUTPUT
from tftrace.text import printable


def export(
    run: RunFolder,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="What to write: a folder (CSV, Parquet) or a file."),
    ],
    format: Annotated[Format, typer.Option(help="Format of the tables.")] = Format.csv,
    raw_cells: Annotated[
        bool,
        typer.Option("--raw-cells", help="Keep CSV cells that spreadsheets take for formulas."),
    ] = False,
) -> None:
    """Write all tables of a run, or one file for Perfetto, speedscope or flame graphs."""
    if raw_cells and format is not Format.csv:
        raise TftraceError("--raw-cells is about --format csv")
    one_file = format not in (Format.csv, Format.parquet)
    if one_file:
        check_targets(output, reads=(run,))
    else:
        check_targets(csv=output)
    from tftrace.api.load import load
    from tftrace.report.exports.files import FILES, export_file
    from tftrace.report.exports.tables import export_tables

    found = load(run)
    if format.value in FILES:
        export_file(found, format.value, output)
        written = [] if output == STANDARD_OUTPUT else [output]
    else:
        written = export_tables(found, format.value, output, raw_cells)
    for path in written:
        typer.echo(printable(str(path)))
    for warning in found.warnings:
        typer.echo(printable(warning), err=True)
