"""``tftrace report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tftrace.commands.options import (
    CsvFolder,
    Depth,
    Explain,
    HtmlFile,
    JsonFile,
    Layout,
    LayoutOption,
    Order,
    OrderOption,
    Quiet,
    RunFolder,
    Salvage,
    Sort,
    SortOption,
    Top,
    Verbose,
)
from tftrace.commands.shared import check_targets, show


def report(
    run: RunFolder,
    model: Annotated[
        Path | None,
        typer.Option(help="Saved model of a trace that another program took, to match by name."),
    ] = None,
    top: Top = 20,
    depth: Depth = None,
    sort: SortOption = Sort.time,
    order: OrderOption = Order.sorted,
    json: JsonFile = None,
    csv: CsvFolder = None,
    html: HtmlFile = None,
    salvage: Salvage = False,
    verbose: Verbose = False,
    explain: Explain = False,
    layout: LayoutOption = Layout.text,
    quiet: Quiet = False,
) -> None:
    """Print the report of a run again, from its folder; needs no TensorFlow.

    Also reads traces that other programs took, such as the TensorBoard callback.
    """
    from tftrace.api.load import open_any

    check_targets(json, html, csv=csv, reads=(run, model))
    found = open_any(run, model, salvage=salvage)
    show(found, top, depth, sort, order, json, csv, html, quiet, layout, verbose, explain)
