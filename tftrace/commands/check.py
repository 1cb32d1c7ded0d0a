"""``tftrace check``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tftrace.commands.options import (
    Layout,
    LayoutOption,
    Quiet,
    RunFolder,
)
from tftrace.commands.shared import print_parts
from tftrace.errors import about


def check(
    run: RunFolder,
    budget: Annotated[Path, typer.Option(help="Limits, in TOML.")],
    baseline: Annotated[
        Path | None, typer.Option(help="Run that relative limits refer to.")
    ] = None,
    layout: LayoutOption = Layout.text,
    quiet: Quiet = False,
) -> None:
    """Check a run against a budget; exit code 1 and the rows that break it."""
    from tftrace.api.load import load_run
    from tftrace.budget import check as check_run
    from tftrace.budget import read_budget
    from tftrace.report.breaches import breach_parts

    limits = read_budget(budget)
    found = load_run(run)
    before = None if baseline is None else load_run(baseline)
    with about(budget):
        breaches = check_run(found, limits, before)
    print_parts(
        lambda: breach_parts(breaches, found.warnings),
        lambda: {
            "schema": 1,
            "breaches": [asdict(breach) for breach in breaches],
            "warnings": found.warnings,
        },
        layout,
        quiet,
    )
    if breaches:
        raise typer.Exit(1)
