"""``tftrace export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tftrace.commands.options import (
    Format,
    RunFolder,
)
from tftrace.commands.shared import check_targets
from tftrace.errors import TftraceError
from tftrace.text import printable

if TYPE_CHECKING:
    pass


def export(
    run: RunFolder,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder (JSON: file) to write.")],
    format: Annotated[Format, typer.Option(help="Format of the tables.")] = Format.csv,
    raw_cells: Annotated[
        bool,
        typer.Option("--raw-cells", help="Keep CSV cells that spreadsheets take for formulas."),
    ] = False,
) -> None:
    """Write all tables of a run as CSV, Parquet or JSON."""
    if raw_cells and format is not Format.csv:
        raise TftraceError("--raw-cells is about --format csv")
    one_file = format is Format.json
    check_targets(output if one_file else None, None if one_file else output)
    from tftrace.api.load import load
    from tftrace.report.exports.tables import export_tables

    found = load(run)
    for path in export_tables(found, format.value, output, raw_cells):
        typer.echo(printable(str(path)))
    for warning in found.warnings:
        typer.echo(printable(warning), err=True)
