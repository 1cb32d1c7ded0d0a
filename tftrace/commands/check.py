"""``tftrace check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tftrace.commands.options import (
    Quiet,
    RunFolder,
)
from tftrace.commands.shared import console
from tftrace.errors import about


def check(
    run: RunFolder,
    budget: Annotated[Path, typer.Option(help="Limits, in TOML.")],
    baseline: Annotated[
        Path | None, typer.Option(help="Run that relative limits refer to.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Check a run against a budget; exit code 1 and the rows that break it."""
    from tftrace.api.load import load_run
    from tftrace.budget import check as check_run
    from tftrace.budget import read_budget

    limits = read_budget(budget)
    found = load_run(run)
    before = None if baseline is None else load_run(baseline)
    with about(budget):
        breaches = check_run(found, limits, before)
    if not quiet:
        from tftrace.report.terminal.budget import print_breaches

        print_breaches(breaches, found.warnings, console())
    if breaches:
        raise typer.Exit(1)
