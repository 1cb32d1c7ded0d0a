"""An estimate as parts of a report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from tftrace.estimation.network import CALIBRATION, TIMED_ALONE
from tftrace.report.sheet import BLANK, EM, FAINT, WARN, Column, Line, Part, Row, Sheet
from tftrace.text import count_text, ms_text, short_names

if TYPE_CHECKING:
    from tftrace.estimation.curve import BatchCurve
    from tftrace.estimation.network import NetworkEstimate


_BASES = {
    TIMED_ALONE: "each kernel was timed alone on this machine; the model did not run",
    CALIBRATION: "kernels are priced by fits to others: nothing of the model was timed",
}
_TIMES = ("ms", "low_ms", "high_ms", "sample_ms")
_COLUMNS = {"ms": "ms", "low_ms": "low", "high_ms": "high", "mac_only_ms": "MACs only"}
_COLUMNS_OF_FIT = {
    "ms": "ms",
    "forward_ms": "forward",
    "backward_ms": "backward",
    "optimizer_ms": "optimizer",
}


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
    what = "for an epoch of fit on" if estimate.phase == "fit" else "for"
    yield Line(
        f"estimate: {bound}{ms_text(total.ms)} ms {what} {estimate.batches} x {estimate.batch} "
        f"samples (90% interval {ms_text(total.low_ms)} to {ms_text(total.high_ms)} ms)"
    )
    alone = total.mac_only_ms
    told = "not known" if alone is None else f"{bound}{ms_text(alone)} ms"
    yield Line(f"multiplications alone would say: {told}")
    yield Line(_BASES[estimate.basis], FAINT)
    if measured_ms is not None:
        error = "" if alone is None else f", of multiplications alone {_error(alone, measured_ms)}"
        yield Line(
            f"measured: {ms_text(measured_ms)} ms; error {_error(total.ms, measured_ms)}{error}"
        )
    if estimate.unknown:
        yield Line(f"not in the sums: {', '.join(estimate.unknown)}", WARN)
    yield BLANK
    yield _layers(estimate, top)


def curve_parts(curve: BatchCurve, title: str, top: int | None = 15) -> Iterator[Part]:
    """One batch at each size, where larger ones stop to gain, and what each layer costs."""
    yield Line(title, EM)
    yield Line(f"from {curve.bend} samples per batch on, a sample costs within 10% of the least")
    unknown = sorted({name for estimate in curve.estimates for name in estimate.unknown})
    if unknown:
        yield Line(f"not in the sums: {', '.join(unknown)}", WARN)
    yield BLANK
    rows = [
        Row((f"{row['batch']:,.0f}", *(ms_text(row[name]) for name in _TIMES)))
        for _, row in curve.table.iterrows()
    ]
    names = ("samples", "ms", "low", "high", "ms/sample")
    phase = curve.estimates[0].phase
    yield Sheet(f"one batch, {phase}'s own cost included", tuple(map(Column, names)), tuple(rows))
    yield BLANK
    yield _costs(curve, top)


def _costs(curve: BatchCurve, top: int | None) -> Sheet:
    layers = curve.layers
    largest = curve.estimates[-1].batch
    at_largest = layers["fixed_ms"] + largest * layers["sample_ms"]
    order = at_largest.sort_values(ascending=False, kind="stable", na_position="first").index
    shown = order if top is None else order[:top]
    names = short_names(list(layers["path"]))
    rows = [
        Row(
            (
                *(names[row["path"]], row["type"], ms_text(_known(row["fixed_ms"]))),
                *(ms_text(_known(row["sample_ms"])), _bend(row["bend"])),
            )
        )
        for _, row in layers.loc[shown].iterrows()
    ]
    if len(order) > len(shown):
        rows.append(Row((f"({len(order) - len(shown)} more)", "", "", "", ""), FAINT))
    columns = (
        Column("layer", right=False, folds=True),
        Column("type", right=False, most=16),
        *map(Column, ("fixed ms", "ms/sample", "bends at")),
    )
    return Sheet("layers: a batch takes fixed + samples x ms/sample", columns, tuple(rows))


def _error(predicted: float, measured: float) -> str:
    return f"{predicted / measured - 1:+.0%}"


def _layers(estimate: NetworkEstimate, top: int | None) -> Sheet:
    layers = estimate.layers.sort_values("ms", ascending=False, kind="stable", na_position="first")
    shown = layers if top is None else layers.head(top)
    names = short_names(list(estimate.layers["path"]))
    times = _COLUMNS_OF_FIT if estimate.phase == "fit" else _COLUMNS
    rows = []
    for _, row in shown.iterrows():
        told = (ms_text(_known(row[column])) for column in times)
        rows.append(Row((names[row["path"]], row["type"], count_text(_known(row["macs"])), *told)))
    rest = layers.iloc[len(shown) :]
    if len(rest):
        more = None if rest["ms"].isna().any() else float(rest["ms"].sum())
        empty = [""] * (len(times) - 1)
        rows.append(Row((f"({len(rest)} more)", "", "", ms_text(more), *empty), FAINT))
    columns = (
        Column("layer", right=False, folds=True),
        Column("type", right=False, most=16),
        *map(Column, ("MACs", *times.values())),
    )
    return Sheet("one batch", columns, tuple(rows))


def _bend(value: Any) -> str:
    return "" if pd.isna(value) else f"{value:,}"


def _known(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
