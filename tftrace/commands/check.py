"""``tftrace check``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tftrace.commands.options import (
    JsonFile,
    Layout,
    LayoutOption,
    Quiet,
    RunFolder,
)
from tftrace.commands.shared import check_targets, print_parts, printing
from tftrace.errors import about


def check(
    run: RunFolder,
    budget: Annotated[Path, typer.Option(help="Limits, in TOML.")],
    baseline: Annotated[
        Path | None, typer.Option(help="Run that relative limits refer to.")
    ] = None,
    json: JsonFile = None,
    layout: LayoutOption = Layout.text,
    quiet: Quiet = False,
) -> None:
    """Check a run against a budget; exit code 1 and the rows that break it."""
    from tftrace.api.load import load_run
    from tftrace.budget import check as check_run
    from tftrace.budget import read_budget
    from tftrace.report.breaches import breach_parts
    from tftrace.report.exports.tables import write_plain_json

    check_targets(json, reads=(run, budget, baseline))
    limits = read_budget(budget)
    found = load_run(run)
    before = None if baseline is None else load_run(baseline)
    with about(budget):
        breaches = check_run(found, limits, before)
    data = {
        "schema": 1,
        "breaches": [asdict(breach) for breach in breaches],
        "warnings": found.warnings,
    }
    if json is not None:
        write_plain_json(data, json)
    print_parts(
        lambda: breach_parts(breaches, found.warnings),
        lambda: data,
        layout,
        quiet or printing(json),
    )
    if breaches:
        raise typer.Exit(1)
