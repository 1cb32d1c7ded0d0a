"""Broken limits on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from tftrace.budget import Breach


def print_breaches(breaches: Sequence[Breach], warnings: Sequence[str], console: Console) -> None:
    """What the run lacks, then one row per broken limit, or one line that all hold."""
    for warning in warnings:
        console.print(warning, style="yellow")
    if not breaches:
        console.print("every limit holds")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("what", overflow="fold", ratio=1)
    table.add_column("limit on")
    table.add_column("limit", justify="right")
    table.add_column("found", justify="right")
    for breach in breaches:
        found = "unknown" if breach.actual is None else f"{breach.actual:.6g}"
        table.add_row(breach.subject, breach.rule, f"{breach.limit:.6g}", found)
    console.print(table)
    console.print(
        f"{len(breaches)} limit{'s' if len(breaches) > 1 else ''} broken", style="bold red"
    )
