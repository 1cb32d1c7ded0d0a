"""An estimate on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tftrace.text import count_text, ms_text

if TYPE_CHECKING:
    from tftrace.estimation.network import NetworkEstimate


def print_estimate(
    estimate: NetworkEstimate,
    console: Console,
    title: str,
    measured_ms: float | None = None,
    top: int | None = 15,
) -> None:
    """The total with its interval, what multiplications alone would say, and the layers.

    Args:
        measured_ms: median of real passes, to show the error against.
    """
    total = estimate.total
    bound = "at least " if estimate.unknown else ""
    console.print(Text(title, style="bold"))
    console.print(
        f"estimate: {bound}{ms_text(total.ms)} ms for {estimate.batches} x {estimate.batch} "
        f"samples (90% interval {ms_text(total.low_ms)} to {ms_text(total.high_ms)} ms)"
    )
    console.print(f"multiplications alone would say: {bound}{ms_text(total.mac_only_ms)} ms")
    if measured_ms is not None:
        console.print(
            f"measured: {ms_text(measured_ms)} ms; error {_error(total.ms, measured_ms)}, of "
            f"multiplications alone {_error(total.mac_only_ms, measured_ms)}"
        )
    if estimate.unknown:
        console.print(f"not in the sums: {', '.join(estimate.unknown)}", style="yellow")
    console.print()
    console.print(_layers(estimate, top))


def _error(predicted: float, measured: float) -> str:
    return f"{predicted / measured - 1:+.0%}"


def _layers(estimate: NetworkEstimate, top: int | None) -> Table:
    layers = estimate.layers.sort_values("ms", ascending=False, kind="stable", na_position="first")
    shown = layers if top is None else layers.head(top)
    root = estimate.layers["path"].iloc[0] + "/"
    table = Table(title="one batch", title_justify="left", box=None, pad_edge=False)
    table.add_column("layer", overflow="fold", ratio=1)
    table.add_column("type", no_wrap=True, max_width=16, overflow="ellipsis")
    for name in ("MACs", "ms", "low", "high", "MACs only"):
        table.add_column(name, justify="right", no_wrap=True)
    for _, row in shown.iterrows():
        table.add_row(
            row["path"].removeprefix(root),
            row["type"],
            count_text(_known(row["macs"])),
            *(ms_text(_known(row[c])) for c in ("ms", "low_ms", "high_ms", "mac_only_ms")),
        )
    rest = layers.iloc[len(shown) :]
    if len(rest):
        more = None if rest["ms"].isna().any() else float(rest["ms"].sum())
        table.add_row(f"({len(rest)} more)", "", "", ms_text(more), "", "", "")
    return table


def _known(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
