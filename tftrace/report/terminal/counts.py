"""Counts on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tftrace.text import bytes_text, count_text, share_text

if TYPE_CHECKING:
    from tftrace.counts import Counts

RULES = ("mults", "macs", "flops")


def print_counts(
    counts: Counts,
    console: Console,
    title: str,
    rule: str = "mults",
    top: int | None = None,
    by_size: bool = False,
) -> None:
    """One row per layer call, totals exact, coverage, and the rule in words.

    Args:
        rule: the column that is shown, one of RULES.
        by_size: largest first instead of the order of execution.
    """
    console.print(Text(title, style="bold"))
    console.print(_layers(counts, rule, top, by_size))
    console.print()
    for name in (*RULES, "params"):
        console.print(_total(counts, name))
    console.print(str(counts.coverage))
    console.print(Text(counts.rule, style="dim"))


def _layers(counts: Counts, rule: str, top: int | None, by_size: bool) -> Table:
    layers = counts.layers
    if by_size:
        layers = layers.sort_values(rule, ascending=False, kind="stable", na_position="first")
    shown = layers if top is None else layers.head(top)
    table = Table(
        box=None, pad_edge=False, padding=(0, 1), title="per sample", title_justify="left"
    )
    table.add_column("layer", overflow="fold", ratio=1)
    table.add_column("type", no_wrap=True, max_width=16, overflow="ellipsis")
    for name in ("params", rule, "share", "executed", "bytes"):
        table.add_column(name, justify="right", no_wrap=True)
    total = counts.totals[rule]
    root = counts.layers["path"].iloc[0] + "/"
    for _, row in shown.iterrows():
        value = _known(row[rule])
        executed = _known(row.get(f"{rule}_executed"))
        table.add_row(
            row["path"].removeprefix(root),
            row["type"],
            count_text(row["params"]),
            count_text(value),
            share_text(value / total if value is not None and total else None),
            "" if count_text(executed) == count_text(value) else count_text(executed),
            bytes_text(_known(row["bytes"])),
        )
    if len(shown) < len(layers):
        table.add_row(f"({len(layers) - len(shown)} more)", "", "", "", "", "", "", style="dim")
    return table


def _total(counts: Counts, name: str) -> str:
    """A total to the last digit: that is what people quote."""
    value = counts.totals[name]
    if value is None:
        return f"{name}: unknown; at least {counts.known[name]:,}, in what is counted"
    return f"{name}: {value:,}"


def _known(value: object) -> float | None:
    return None if value is None or pd.isna(value) else float(value)  # type: ignore[arg-type, call-overload]
