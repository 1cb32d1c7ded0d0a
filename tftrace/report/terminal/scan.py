"""A scan on a terminal: what was read, stragglers, spread over hosts, totals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from tftrace.text import bytes_text, count_text, ms_text, share_text

if TYPE_CHECKING:
    from tftrace.scan import ScanResult

_WHAT = {
    "wall per sample": "wall time per sample",
    "operations": "time of operations",
    "device operations": "time of device operations",
}


def print_scan(result: ScanResult, console: Console, top: int | None = 15) -> None:
    """Print the report.

    Args:
        top: rows of each table, None for all. Broken files and stragglers are always all shown.
    """
    for part in _parts(result, top):
        console.print(part)


def _parts(result: ScanResult, top: int | None) -> Iterator[RenderableType]:
    yield from _header(result)
    yield from _errors(result)
    if result.hosts.empty:
        return
    yield ""
    yield from _stragglers(result)
    by_layer, by_op = result.layer_spread, result.op_spread
    if len(by_layer):
        yield ""
        yield from _spread(by_layer, "layer", "us", "us per sample", top)
    without_layers = by_op[~by_op["peers"].isin(by_layer["peers"])]
    if len(without_layers):
        yield ""
        yield from _spread(without_layers, "op", "ms", "ms of the trace", top)
    if len(result.layers):
        yield ""
        yield _layer_totals(result.layer_totals, top)
    yield ""
    yield _op_types(result.op_types, top)


def _header(result: ScanResult) -> Iterator[RenderableType]:
    hosts = result.hosts
    size = bytes_text(int(hosts["bytes"].sum()))
    yield Text(
        f"{_many(len(hosts), 'trace')} ({size}) of {_many(hosts['run'].nunique(), 'run')} on "
        f"{_many(hosts['host'].nunique(), 'host')}",
        style="bold",
    )
    with_layers = int(hosts["wall_ms"].notna().sum())
    if with_layers < len(hosts):
        yield (
            f"{with_layers} of them by tftrace, with layers; the others have totals of operations"
        )


def _errors(result: ScanResult) -> Iterator[RenderableType]:
    if len(result.errors):
        yield Text(f"{_many(len(result.errors), 'file')} could not be read:", style="yellow")
    for row in result.errors.itertuples():
        error, url = str(row.error), str(row.url)
        yield Text(f"  {error}" if error.startswith(url) else f"  {url}: {error}")


def _stragglers(result: ScanResult) -> Iterator[RenderableType]:
    hosts, slow = result.hosts, result.stragglers
    compared = hosts["over_median"].notna()
    if not compared.any():
        yield "stragglers: nothing to compare; every run has one host, and no two the same work"
        return
    if slow.empty:
        widest = hosts["over_median"].max()
        yield (
            f"stragglers: none; the slowest of {int(compared.sum())} compared takes {widest:.2f} x "
            "the median of its peers"
        )
        return
    yield Text(f"stragglers: {len(slow)} of {int(compared.sum())} compared", style="bold")
    for row in slow.itertuples():
        others = int((hosts["peers"] == row.peers).sum()) - 1
        yield Text(
            f"  {row.host}, run {row.run}: {row.over_median:.2f} x the median "
            f"{_WHAT[str(row.basis)]} of {_many(others, 'other capture')}",
            style="yellow",
        )


def _spread(
    rows: pd.DataFrame, what: str, unit: str, words: str, top: int | None
) -> Iterator[RenderableType]:
    """Rows of `summary.spread`; where there are several groups of peers, a number tells which."""
    shown = rows.head(len(rows) if top is None else top)
    groups = {peers: number for number, peers in enumerate(shown["peers"].unique(), 1)}
    table = _new_table(f"{what}s over hosts: {words}; where the slowest loses most first")
    table.add_column(what, overflow="fold", ratio=1)
    if len(groups) > 1:
        table.add_column("of", justify="right", no_wrap=True)
    for name in ("n", "min", "median", "max", "max/median"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("slowest", overflow="fold", max_width=20)
    for _, row in shown.iterrows():
        # Peers that are not the hosts of one run are told apart by their runs.
        one_run = row["slowest_run"] == row["peers"]
        table.add_row(
            row["path" if what == "layer" else "op"] or "(unnamed)",
            *([f"[{groups[row['peers']]}]"] if len(groups) > 1 else []),
            str(row["captures"]),
            *(ms_text(row[f"{name}_{unit}"]) for name in ("min", "median", "max")),
            "–" if pd.isna(row["max_over_median"]) else f"{row['max_over_median']:.2f}",
            row["slowest_host"] if one_run else row["slowest_run"],
        )
    _add_rest(table, len(rows), top)
    yield table
    if len(groups) > 1:
        for peers, number in groups.items():
            yield Text(f"  [{number}] {peers}", style="dim")


def _layer_totals(rows: pd.DataFrame, top: int | None) -> Table:
    table = _new_table("layers: wall time over all captures, share of the model's layers")
    table.add_column("layer", overflow="fold", ratio=1)
    table.add_column("type", no_wrap=True, max_width=18, overflow="ellipsis")
    for name in ("captures", "ms", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    for _, row in rows.head(len(rows) if top is None else top).iterrows():
        table.add_row(
            row["path"],
            row["type"],
            str(row["captures"]),
            ms_text(row["wall_ms"]),
            share_text(_known(row["share"])),
        )
    _add_rest(table, len(rows), top)
    return table


def _op_types(rows: pd.DataFrame, top: int | None) -> Table:
    table = _new_table("op types: own time over all captures, share without the input pipeline")
    table.add_column("op type", overflow="fold", ratio=1)
    table.add_column("on", no_wrap=True)
    for name in ("captures", "occurrences", "ms", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    for _, row in rows.head(len(rows) if top is None else top).iterrows():
        table.add_row(
            row["op_type"] or "(unnamed)",
            row["device"],
            str(row["captures"]),
            count_text(row["occurrences"]),
            ms_text(row["own_ms"]),
            share_text(_known(row["share"])),
        )
    _add_rest(table, len(rows), top)
    return table


def _add_rest(table: Table, rows: int, top: int | None) -> None:
    if top is not None and rows > top:
        table.add_row(f"({rows - top} more)", style="dim")


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _new_table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 1),
        expand=True,
    )
