"""Who holds the memory at the peak, as a part of a report."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from tftrace.report.sheet import WARN, Barred, Column, Line, Part, Row, Sheet
from tftrace.text import bytes_text, share_text, short_names

_ROWS = 8


def memory_parts(table: pd.DataFrame) -> Iterator[Part]:
    """The largest holders at the peak, of the table **memory**; or why they are not known."""
    held = table["held_at_peak_bytes"]
    if held.isna().all():
        yield Line(f"memory: {table['note'].dropna().iloc[0]}", WARN)
        return
    known = table[held.fillna(0) > 0].sort_values("held_at_peak_bytes", ascending=False)
    total = None if held.isna().any() else int(held.sum())
    name = short_names(list(table["path"]))
    rows = [_row(name[row["path"]], row, total) for _, row in known.head(_ROWS).iterrows()]
    rest = known["held_at_peak_bytes"].iloc[_ROWS:]
    if len(rest):
        size = int(rest.sum())
        rows.append(Row((f"{len(rest)} more", bytes_text(size), _share(size, total), "", "")))
    columns = (
        Column("holder", right=False, folds=True),
        Column("held"),
        Column("of the peak", bar=10),
        Column("output"),
        Column("most live while it ran"),
    )
    title = f"memory at the peak, {bytes_text(total)}, by who holds it"
    yield Sheet(title, columns, tuple(rows))
    for note in table["note"].dropna().unique():
        yield Line(note, indent=2)


def _row(name: str, row: pd.Series, total: int | None) -> Row:
    size = int(row["held_at_peak_bytes"])
    output, live = (
        "" if pd.isna(row[column]) else bytes_text(int(row[column]))
        for column in ("output_bytes", "peak_live_bytes")
    )
    return Row((name, bytes_text(size), _share(size, total), output, live))


def _share(size: int, total: int | None) -> Barred:
    share = size / total if total else None
    return Barred(share_text(share), share)
