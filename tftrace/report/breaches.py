"""Broken limits as parts of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tftrace.report.sheet import WARN, Column, Line, Part, Row, Sheet

if TYPE_CHECKING:
    from tftrace.budget import Breach


def breach_parts(breaches: Sequence[Breach], warnings: Sequence[str]) -> Iterator[Part]:
    """What the run lacks, then one row per broken limit, or one line that all hold."""
    yield from (Line(warning, WARN) for warning in warnings)
    if not breaches:
        yield Line("every limit holds")
        return
    rows = []
    for breach in breaches:
        found = "unknown" if breach.actual is None else f"{breach.actual:.6g}"
        rows.append(Row((breach.subject, breach.rule, f"{breach.limit:.6g}", found)))
    columns = (
        Column("what", right=False, folds=True),
        Column("limit on", right=False, folds=True),
        Column("limit"),
        Column("found"),
    )
    yield Sheet("", columns, tuple(rows))
    yield Line(f"{len(breaches)} limit{'s' if len(breaches) > 1 else ''} broken", "bold red")
