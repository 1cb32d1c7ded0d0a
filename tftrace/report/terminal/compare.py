"""A comparison on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tftrace.text import count_text, ms_text

if TYPE_CHECKING:
    from tftrace.comparison.compare import Comparison


def print_comparison(comparison: Comparison, console: Console, top: int | None = 15) -> None:
    """Medians, verdict, the layers that differ most, and kernels added or removed."""
    first, second = comparison.names
    console.print(Text(f"A = {first}, B = {second}", style="bold"))
    a, b = comparison.medians
    how = "interleaved" if comparison.interleaved else "measured apart"
    if comparison.without_autotuner:
        how += ", without the wait for tf.data's autotuner where predict on arrays ends"
    console.print(f"median latency: A {ms_text(a)} ms, B {ms_text(b)} ms ({how})")
    console.print(Text(comparison.verdict, style="bold"))
    if comparison.output_difference is not None:
        most = f"{comparison.output_difference:.1e}"
        console.print(f"same outputs: they differ by at most {most} of their scale")
    if not comparison.interleaved:
        console.print(
            "the runs were not interleaved: the machine may have changed between them",
            style="yellow",
        )
    for difference in comparison.differences:
        console.print(Text(f"beside the models differs {difference}", style="yellow"))
    for letter, profile in zip("AB", comparison.profiles, strict=True):
        for warning in profile.warnings:
            console.print(Text(f"{letter}: {warning}", style="yellow"))
    console.print()
    console.print(_layers(comparison, top))
    if len(comparison.kernels):
        changes = (f"{row.op_type} {row.a} -> {row.b}" for row in comparison.kernels.itertuples())
        console.print("kernels: " + ", ".join(changes))


def _layers(comparison: Comparison, top: int | None) -> Table:
    layers = comparison.layers
    largest = layers["difference_ms"].abs().sort_values(ascending=False).index
    shown = layers.loc[sorted(largest if top is None else largest[:top])]
    table = Table(
        title="traced time per sample, us", title_justify="left", box=None, pad_edge=False
    )
    table.add_column("layer", overflow="fold", ratio=1)
    for name in ("A", "B", "B - A", "mults A", "mults B"):
        table.add_column(name, justify="right", no_wrap=True)
    for _, row in shown.iterrows():
        table.add_row(
            _name(row),
            _us(row["a_ms"]),
            _us(row["b_ms"]),
            f"{row['difference_ms'] * 1e3:+.2f}",
            count_text(_known(row["a_mults"])),
            count_text(_known(row["b_mults"])),
        )
    return table


def _name(row: pd.Series) -> str:
    """The layer's path below the model; what A calls it beside it where that is not the same."""
    name = str(row["path"] or "(the model)")
    renamed = row["side"] == "both" and row["a_path"] != row["b_path"]
    return f"{name} (A: {row['a_path']})" if renamed else name


def _us(value: float) -> str:
    return "–" if pd.isna(value) else f"{value * 1e3:.2f}"


def _known(value: float) -> float | None:
    return None if pd.isna(value) else value
