"""A scan as parts of a report: what was read, stragglers, spread over hosts, totals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from tftrace.report.sheet import BLANK, EM, FAINT, WARN, Column, Line, Part, Row, Sheet
from tftrace.text import bytes_text, count_text, ms_text, share_text

if TYPE_CHECKING:
    from tftrace.scan import ScanResult

_WHAT = {
    "wall per sample": "wall time per sample",
    "operations": "time of operations",
    "device operations": "time of device operations",
}


def scan_parts(result: ScanResult, top: int | None = 15) -> Iterator[Part]:
    """The report.

    Args:
        top: rows of each table, None for all. Broken files and stragglers are always all shown.
    """
    yield from _header(result)
    yield from _errors(result)
    if result.hosts.empty:
        return
    yield BLANK
    yield from _stragglers(result)
    by_layer, by_op = result.layer_spread, result.op_spread
    if len(by_layer):
        yield BLANK
        yield from _spread(by_layer, "layer", "us", "us per sample", top)
    without_layers = by_op[~by_op["peers"].isin(by_layer["peers"])]
    if len(without_layers):
        yield BLANK
        yield from _spread(without_layers, "op", "ms", "ms of the trace", top)
    if len(result.layers):
        yield BLANK
        yield _layer_totals(result.layer_totals, top)
    yield BLANK
    yield _op_types(result.op_types, top)


def _header(result: ScanResult) -> Iterator[Line]:
    hosts = result.hosts
    size = bytes_text(int(hosts["bytes"].sum()))
    yield Line(
        f"{_many(len(hosts), 'trace')} ({size}) of {_many(hosts['run'].nunique(), 'run')} on "
        f"{_many(hosts['host'].nunique(), 'host')}",
        EM,
    )
    with_layers = int(hosts["wall_ms"].notna().sum())
    if with_layers < len(hosts):
        yield Line(
            f"{with_layers} of them by tftrace, with layers; the others have totals of operations"
        )


def _errors(result: ScanResult) -> Iterator[Line]:
    if len(result.errors):
        yield Line(f"{_many(len(result.errors), 'file')} could not be read:", WARN)
    for row in result.errors.itertuples():
        error, url = str(row.error), str(row.url)
        yield Line(error if error.startswith(url) else f"{url}: {error}", indent=2)


def _stragglers(result: ScanResult) -> Iterator[Line]:
    hosts, slow = result.hosts, result.stragglers
    compared = hosts["over_median"].notna()
    if not compared.any():
        yield Line(
            "stragglers: nothing to compare; every run has one host, and no two the same work"
        )
        return
    if slow.empty:
        widest = hosts["over_median"].max()
        yield Line(
            f"stragglers: none; the slowest of {int(compared.sum())} compared takes {widest:.2f} x "
            "the median of its peers"
        )
        return
    yield Line(f"stragglers: {len(slow)} of {int(compared.sum())} compared", EM)
    for row in slow.itertuples():
        others = int((hosts["peers"] == row.peers).sum()) - 1
        yield Line(
            f"{row.host}, run {row.run}: {row.over_median:.2f} x the median "
            f"{_WHAT[str(row.basis)]} of {_many(others, 'other capture')}",
            WARN,
            2,
        )


def _spread(
    rows: pd.DataFrame, what: str, unit: str, words: str, top: int | None
) -> Iterator[Part]:
    """Rows of `summary.spread`; where there are several groups of peers, a number tells which."""
    shown = rows.head(len(rows) if top is None else top)
    groups = {peers: number for number, peers in enumerate(shown["peers"].unique(), 1)}
    several = len(groups) > 1
    columns = (
        Column(what, right=False, folds=True),
        *([Column("of")] if several else []),
        *map(Column, ("n", "min", "median", "max", "max/median")),
        Column("slowest", right=False, folds=True, most=20),
    )
    cells = [
        (
            row["path" if what == "layer" else "op"] or "(unnamed)",
            *([f"[{groups[row['peers']]}]"] if several else []),
            str(row["captures"]),
            *(ms_text(row[f"{name}_{unit}"]) for name in ("min", "median", "max")),
            "–" if pd.isna(row["max_over_median"]) else f"{row['max_over_median']:.2f}",
            # Peers that are not the hosts of one run are told apart by their runs.
            row["slowest_host" if row["slowest_run"] == row["peers"] else "slowest_run"],
        )
        for _, row in shown.iterrows()
    ]
    title = f"{what}s over hosts: {words}; where the slowest loses most first"
    yield _sheet(title, columns, cells, len(rows))
    if several:
        for peers, number in groups.items():
            yield Line(f"[{number}] {peers}", FAINT, 2)


def _layer_totals(rows: pd.DataFrame, top: int | None) -> Sheet:
    cells = [
        (
            row["path"],
            row["type"],
            str(row["captures"]),
            ms_text(row["wall_ms"]),
            share_text(_known(row["share"])),
        )
        for _, row in rows.head(len(rows) if top is None else top).iterrows()
    ]
    columns = (
        Column("layer", right=False, folds=True),
        Column("type", right=False, most=18),
        *map(Column, ("captures", "ms", "share")),
    )
    title = "layers: wall time over all captures, share of the model's layers"
    return _sheet(title, columns, cells, len(rows))


def _op_types(rows: pd.DataFrame, top: int | None) -> Sheet:
    cells = [
        (
            row["op_type"] or "(unnamed)",
            row["device"],
            str(row["captures"]),
            count_text(row["occurrences"]),
            ms_text(row["own_ms"]),
            share_text(_known(row["share"])),
        )
        for _, row in rows.head(len(rows) if top is None else top).iterrows()
    ]
    columns = (
        Column("op type", right=False, folds=True),
        Column("on", right=False),
        *map(Column, ("captures", "occurrences", "ms", "share")),
    )
    title = "op types: own time over all captures, share without the input pipeline"
    return _sheet(title, columns, cells, len(rows))


def _sheet(
    title: str, columns: tuple[Column, ...], cells: Sequence[tuple[str, ...]], there: int
) -> Sheet:
    """A table of the first of ``there`` rows."""
    rows = [Row(row) for row in cells]
    if there > len(cells):
        rows.append(Row((f"({there - len(cells)} more)", *[""] * (len(columns) - 1)), FAINT))
    return Sheet(title, columns, tuple(rows))


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
