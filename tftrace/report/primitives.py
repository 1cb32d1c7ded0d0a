"""What oneDNN ran as parts of a report: by implementation, with what could not be joined."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from tftrace.report.sheet import WARN, Column, Line, Part, Row, Sheet
from tftrace.text import ms_text, share_text


def primitives(onednn: dict[str, Any], table: pd.DataFrame) -> Iterator[Part]:
    """The parts of the report; one line where there is nothing to show, with the reason."""
    if onednn["reason"]:
        yield Line(f"oneDNN's primitives: none logged; {onednn['reason']}", WARN)
        return
    yield _by_implementation(table)
    lost = sum(row["calls"] for row in onednn["unjoined"])
    joined = int(table["calls"].sum())
    yield Line(
        f"oneDNN {onednn['version']} ({onednn['isa']}), logged in a second run of "
        f"{onednn['steps']} steps, one kernel at a time: {joined:,} of {joined + lost:,} "
        "primitives joined to a kernel"
    )
    for row in onednn["unjoined"]:
        told = f"{row['calls']:,} ({ms_text(row['busy_ms'])} ms) not joined: {row['reason']}"
        yield Line(told, WARN, 2)
    elsewhere = table[table["pass_ms"].isna()]
    if len(elsewhere):
        names = ", ".join(dict.fromkeys(elsewhere["op"]))
        lost_ms = ms_text(float(elsewhere["busy_ms"].sum()))
        yield Line(
            f"{lost_ms} ms of that run are left out above; how often their kernels ran in this "
            f"one is not known: {names}",
            WARN,
            2,
        )


def _by_implementation(table: pd.DataFrame) -> Sheet:
    known = table[table["pass_ms"].notna()]
    names = known["primitive"].where(known["role"] == "compute", known["role"])
    total = float(known["pass_ms"].sum())
    groups = known.groupby([names, known["implementation"]], sort=False)
    found = [(name, part["op"].nunique(), float(part["pass_ms"].sum())) for name, part in groups]
    rows = [
        Row((primitive, how, str(kernels), ms_text(ms), share_text(ms / total if total else None)))
        for (primitive, how), kernels, ms in sorted(found, key=lambda r: -r[2])
    ]
    columns = (
        Column("primitive", right=False),
        Column("implementation", right=False, folds=True),
        *map(Column, ("kernels", "ms", "share")),
    )
    title = "oneDNN's primitives: their own time, scaled to the traced pass"
    return Sheet(title, columns, tuple(rows))
