"""A comparison as parts of a report: the verdict, what differs, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from tftrace.report.sheet import BLANK, EM, WARN, Column, Line, Part, Row, Sheet
from tftrace.text import count_text, ms_text, short_names

if TYPE_CHECKING:
    from tftrace.comparison.compare import Comparison


def comparison_parts(comparison: Comparison, top: int | None = 15) -> Iterator[Part]:
    """The verdict, medians, the layers that differ most, and kernels added or removed."""
    first, second = comparison.names
    yield Line(comparison.verdict, EM)
    yield Line(f"A = {first}, B = {second}")
    a, b = comparison.medians
    how = "interleaved" if comparison.interleaved else "measured apart"
    if comparison.without_autotuner:
        how += ", without the wait for tf.data's autotuner where predict on arrays ends"
    yield Line(f"median latency: A {ms_text(a)} ms, B {ms_text(b)} ms ({how})")
    if comparison.output_difference is not None:
        most = f"{comparison.output_difference:.1e}"
        yield Line(f"same outputs: they differ by at most {most} of their scale")
    if not comparison.interleaved:
        told = "the runs were not interleaved: the machine may have changed between them"
        yield Line(told, WARN)
    for difference in comparison.differences:
        yield Line(f"beside the models differs {difference}", WARN)
    for letter, profile in zip("AB", comparison.profiles, strict=True):
        yield from (Line(f"{letter}: {warning}", WARN) for warning in profile.warnings)
    yield BLANK
    yield _layers(comparison, top)
    if len(comparison.kernels):
        changes = (f"{row.op_type} {row.a} -> {row.b}" for row in comparison.kernels.itertuples())
        yield Line("kernels: " + ", ".join(changes))


def _layers(comparison: Comparison, top: int | None) -> Sheet:
    layers = comparison.layers
    layers = layers[~_nothing(layers)]
    largest = layers["difference_ms"].abs().sort_values(ascending=False).index
    shown = layers.loc[sorted(largest if top is None else largest[:top])]
    names = short_names([str(path) for path in layers["path"]])
    rows = [
        Row(
            (
                _name(row, names),
                _us(row["a_ms"]),
                _us(row["b_ms"]),
                f"{row['difference_ms'] * 1e3:+.2f}",
                count_text(_known(row["a_mults"])),
                count_text(_known(row["b_mults"])),
            )
        )
        for _, row in shown.iterrows()
    ]
    columns = (
        Column("layer", right=False, folds=True),
        *map(Column, ("A", "B", "B - A", "mults A", "mults B")),
    )
    return Sheet("traced time per sample, us", columns, tuple(rows))


def _nothing(layers: pd.DataFrame) -> pd.Series:
    """Rows that took no time and have no multiplications on either side: containers, mostly."""
    figures = layers[["a_ms", "b_ms", "a_mults", "b_mults"]]
    return ((figures == 0) | figures.isna()).all(axis=1) & layers["side"].eq("both")


def _name(row: pd.Series, names: dict[str, str]) -> str:
    """The layer's short name; what A calls it beside it where that is not the same."""
    name = names[str(row["path"])] or "(the model)"
    renamed = row["side"] == "both" and row["a_path"] != row["b_path"]
    return f"{name} (A: {row['a_path']})" if renamed else name


def _us(value: float) -> str:
    return "–" if pd.isna(value) else f"{value * 1e3:.2f}"


def _known(value: float) -> float | None:
    return None if pd.isna(value) else value
