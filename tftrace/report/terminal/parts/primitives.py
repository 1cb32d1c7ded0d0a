"""What oneDNN ran, on a terminal: by implementation, with what could not be joined."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tftrace.text import ms_text, share_text


def primitives(onednn: dict[str, Any], table: pd.DataFrame) -> Iterator[RenderableType]:
    """The lines of the report; one where there is nothing to show, with the reason."""
    if onednn["reason"]:
        yield Text(f"oneDNN's primitives: none logged; {onednn['reason']}", style="yellow")
        return
    yield _by_implementation(table)
    lost = sum(row["calls"] for row in onednn["unjoined"])
    joined = int(table["calls"].sum())
    yield (
        f"oneDNN {onednn['version']} ({onednn['isa']}), logged in a second run of "
        f"{onednn['steps']} steps, one kernel at a time: {joined:,} of {joined + lost:,} "
        "primitives joined to a kernel"
    )
    for row in onednn["unjoined"]:
        yield Text(
            f"  {row['calls']:,} ({ms_text(row['busy_ms'])} ms) not joined: {row['reason']}",
            style="yellow",
        )
    elsewhere = table[table["pass_ms"].isna()]
    if len(elsewhere):
        names = ", ".join(dict.fromkeys(elsewhere["op"]))
        lost_ms = ms_text(float(elsewhere["busy_ms"].sum()))
        yield Text(
            f"  {lost_ms} ms of that run are left out above; how "
            f"often their kernels ran in this one is not known: {names}",
            style="yellow",
        )


def _by_implementation(table: pd.DataFrame) -> Table:
    shown = Table(
        title="oneDNN's primitives: their own time, scaled to the traced pass",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    shown.add_column("primitive", no_wrap=True)
    shown.add_column("implementation", overflow="fold", ratio=1)
    for name in ("kernels", "ms", "share"):
        shown.add_column(name, justify="right", no_wrap=True)
    known = table[table["pass_ms"].notna()]
    names = known["primitive"].where(known["role"] == "compute", known["role"])
    total = float(known["pass_ms"].sum())
    groups = known.groupby([names, known["implementation"]], sort=False)
    rows = [(name, part["op"].nunique(), float(part["pass_ms"].sum())) for name, part in groups]
    for (primitive, implementation), kernels, ms in sorted(rows, key=lambda r: -r[2]):
        share = share_text(ms / total if total else None)
        shown.add_row(primitive, implementation, str(kernels), ms_text(ms), share)
    return shown
