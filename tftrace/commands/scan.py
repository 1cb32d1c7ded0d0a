"""``tftrace scan``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tftrace.commands.options import (
    MOST,
    HtmlFile,
    Quiet,
)
from tftrace.commands.shared import check_targets, console, printing

if TYPE_CHECKING:
    pass


def scan(
    logdirs: Annotated[
        list[str], typer.Argument(help="Folders of runs: paths, gs://, s3://, https://.")
    ],
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Parquet data set to write, by run and host."),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask cluster to use, as tcp://host:port.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Local processes [default: one per core].")
    ] = None,
    top: Annotated[int, typer.Option(min=0, max=MOST, help="Rows of each table; 0 for all.")] = 15,
    html: HtmlFile = None,
    quiet: Quiet = False,
) -> None:
    """Read every run and host below the folders: totals, stragglers, spread per layer."""
    from tftrace.report.terminal.parts.progress import stages
    from tftrace.scan import scan as scan_all

    check_targets(html=html)
    with stages(quiet, 3 + (out is not None)) as say:
        result = scan_all(logdirs, scheduler, out, workers, say)
    if html is not None:
        from tftrace.report.html.scan import write_scan

        write_scan(result, html)
    if not (quiet or printing(html)):
        from tftrace.report.terminal.scan import print_scan

        print_scan(result, console(), top or None)
    if len(result.errors):
        raise typer.Exit(2 if result.hosts.empty else 1)
