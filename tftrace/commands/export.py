"""``tftrace export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tftrace.commands.options import (
    Format,
    RunFolder,
)
from tftrace.text import printable

if TYPE_CHECKING:
    pass


def export(
    run: RunFolder,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder (JSON: file) to write.")],
    format: Annotated[Format, typer.Option(help="Format of the tables.")] = Format.csv,
) -> None:
    """Write all tables of a run as CSV, Parquet or JSON."""
    from tftrace.api.profile import load
    from tftrace.report.exports.tables import export_tables

    found = load(run)
    for path in export_tables(found, format.value, output):
        typer.echo(printable(str(path)))
    for warning in found.warnings:
        typer.echo(printable(warning), err=True)
