"""An estimate as parts of a report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from tftrace.report.sheet import BLANK, EM, FAINT, WARN, Column, Line, Part, Row, Sheet
from tftrace.text import count_text, ms_text, short_names

if TYPE_CHECKING:
    from tftrace.estimation.network import NetworkEstimate


def estimate_parts(
    estimate: NetworkEstimate,
    title: str,
    measured_ms: float | None = None,
    top: int | None = 15,
) -> Iterator[Part]:
    """The total with its interval, what multiplications alone would say, and the layers.

    Args:
        measured_ms: median of real passes, to show the error against.
    """
    total = estimate.total
    bound = "at least " if estimate.unknown else ""
    yield Line(title, EM)
    yield Line(
        f"estimate: {bound}{ms_text(total.ms)} ms for {estimate.batches} x {estimate.batch} "
        f"samples (90% interval {ms_text(total.low_ms)} to {ms_text(total.high_ms)} ms)"
    )
    yield Line(f"multiplications alone would say: {bound}{ms_text(total.mac_only_ms)} ms")
    if measured_ms is not None:
        yield Line(
            f"measured: {ms_text(measured_ms)} ms; error {_error(total.ms, measured_ms)}, of "
            f"multiplications alone {_error(total.mac_only_ms, measured_ms)}"
        )
    if estimate.unknown:
        yield Line(f"not in the sums: {', '.join(estimate.unknown)}", WARN)
    yield BLANK
    yield _layers(estimate, top)


def _error(predicted: float, measured: float) -> str:
    return f"{predicted / measured - 1:+.0%}"


def _layers(estimate: NetworkEstimate, top: int | None) -> Sheet:
    layers = estimate.layers.sort_values("ms", ascending=False, kind="stable", na_position="first")
    shown = layers if top is None else layers.head(top)
    names = short_names(list(estimate.layers["path"]))
    rows = []
    for _, row in shown.iterrows():
        times = (ms_text(_known(row[c])) for c in ("ms", "low_ms", "high_ms", "mac_only_ms"))
        rows.append(Row((names[row["path"]], row["type"], count_text(_known(row["macs"])), *times)))
    rest = layers.iloc[len(shown) :]
    if len(rest):
        more = None if rest["ms"].isna().any() else float(rest["ms"].sum())
        rows.append(Row((f"({len(rest)} more)", "", "", ms_text(more), "", "", ""), FAINT))
    columns = (
        Column("layer", right=False, folds=True),
        Column("type", right=False, most=16),
        *map(Column, ("MACs", "ms", "low", "high", "MACs only")),
    )
    return Sheet("one batch", columns, tuple(rows))


def _known(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
