"""Counts as parts of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from tftrace.report.batch_memory import batch_memory_parts, training_part
from tftrace.report.sheet import EM, FAINT, Column, Line, Part, Row, Sheet
from tftrace.text import bytes_text, count_text, share_text, short_names

if TYPE_CHECKING:
    from tftrace.counts import Counts
    from tftrace.counts.memory import Memory

RULES = ("mults", "macs", "flops")


def counts_parts(
    counts: Counts,
    title: str,
    rule: str = "mults",
    top: int | None = None,
    by_size: bool = False,
    more: Sequence[Memory] = (),
) -> Iterator[Part]:
    """One row per layer call, totals exact, coverage, the rule in words, and memory.

    Args:
        rule: the column that is shown, one of RULES.
        by_size: largest first instead of the order of execution.
        more: memory of further batch sizes.
    """
    yield Line(title, EM)
    yield _layers(counts, rule, top, by_size)
    yield from (Line(_total(counts, name)) for name in (*RULES, "params"))
    yield Line(str(counts.coverage))
    yield Line(counts.rule, FAINT)
    if counts.memory is not None:
        yield from batch_memory_parts([counts.memory, *more])
    if counts.training is not None:
        yield training_part(counts.training)


def _layers(counts: Counts, rule: str, top: int | None, by_size: bool) -> Sheet:
    layers = counts.layers
    if by_size:
        layers = layers.sort_values(rule, ascending=False, kind="stable", na_position="first")
    shown = layers if top is None else layers.head(top)
    total = counts.totals[rule]
    names = short_names(list(counts.layers["path"]))
    rows = []
    for _, row in shown.iterrows():
        value = _known(row[rule])
        executed = _known(row.get(f"{rule}_executed"))
        cells = (
            names[row["path"]],
            row["type"],
            count_text(row["params"]),
            count_text(value),
            share_text(value / total if value is not None and total else None),
            "" if count_text(executed) == count_text(value) else count_text(executed),
            bytes_text(_known(row["bytes"])),
        )
        rows.append(Row(cells))
    if len(shown) < len(layers):
        rows.append(Row((f"({len(layers) - len(shown)} more)", *[""] * 6), FAINT))
    columns = (
        Column("layer", right=False, folds=True),
        Column("type", right=False, most=16),
        *map(Column, ("params", rule, "share", "executed", "bytes")),
    )
    return Sheet("per sample", columns, tuple(rows))


def _total(counts: Counts, name: str) -> str:
    """A total to the last digit: that is what people quote."""
    value = counts.totals[name]
    if value is None:
        return f"{name}: unknown; at least {counts.known[name]:,}, in what is counted"
    return f"{name}: {value:,}"


def _known(value: object) -> float | None:
    return None if value is None or pd.isna(value) else float(value)  # type: ignore[arg-type, call-overload]
