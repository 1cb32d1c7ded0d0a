"""``tftrace scan``."""

from __future__ import annotations

from typing import Annotated

import typer

from tftrace.commands.options import (
    MOST,
    HtmlFile,
    JsonFile,
    Layout,
    LayoutOption,
    Quiet,
)
from tftrace.commands.shared import check_targets, print_parts, printing


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
        int | None, typer.Option(min=1, max=MOST, help="Local processes; one per core by default.")
    ] = None,
    top: Annotated[int, typer.Option(min=0, max=MOST, help="Rows of each table; 0 for all.")] = 15,
    json: JsonFile = None,
    html: HtmlFile = None,
    layout: LayoutOption = Layout.text,
    quiet: Quiet = False,
) -> None:
    """Read every run and host below the folders: totals, stragglers, spread per layer."""
    from tftrace.report.terminal.parts.progress import stages
    from tftrace.scan import scan as scan_all

    check_targets(json, html)
    with stages(quiet, 3 + (out is not None)) as say:
        result = scan_all(logdirs, scheduler, out, workers, say)
    from tftrace.report.exports.tables import write_plain_json
    from tftrace.report.scan import scan_parts

    if json is not None:
        write_plain_json(result.to_dict(), json)
    if html is not None:
        from tftrace.report.html.scan import write_scan

        write_scan(result, html)
    print_parts(
        lambda: scan_parts(result, top or None),
        result.to_dict,
        layout,
        quiet or printing(json, html),
    )
    if len(result.errors):
        raise typer.Exit(2 if result.hosts.empty else 1)
