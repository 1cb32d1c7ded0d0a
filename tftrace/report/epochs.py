"""Where the epochs of ``fit`` went, as a part of a report: the steps, and what lies around them."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from tftrace.report.sheet import Barred, Column, Line, Part, Row, Sheet
from tftrace.runs.epochs import STEPS
from tftrace.text import ms_text, share_text

_VISIBLE = 1e-3
"""Parts of a smaller share are told together."""


def epochs_parts(table: pd.DataFrame, of: str) -> Iterator[Part]:
    """Of the table **epochs** each part: in the first epoch, in those after it, of the whole; or
    why that is not known.

    Args:
        of: whose epochs, in words.
    """
    total = float(table["wall_ms"].sum())
    if not total:
        yield Line(f"epochs: {table['note'].dropna().iloc[0]}")
        return
    epochs = sorted(table["epoch"].dropna().unique())
    times = table.assign(epoch=table["epoch"].fillna(-1)).pivot_table(
        index="part", columns="epoch", values="wall_ms", aggfunc="sum", sort=False
    )
    times = times.reindex(columns=[-1, *epochs], fill_value=0.0).fillna(0.0).astype(float)
    whole = times.sum(axis=1)
    shown = whole >= _VISIBLE * total
    rows = [_row(str(part), times.loc[part], total) for part in times.index[shown]]
    if not shown.all():
        rows.append(_row(f"{(~shown).sum()} more", times[~shown].sum(), total))
    yield Sheet(
        f"epochs: {len(epochs)} ({of}), {ms_text(total)} ms; of the later ones the median",
        (
            Column("part", right=False, folds=True),
            *map(Column, ("first epoch", "later ones", "outside")),
            Column("of fit", bar=10),
        ),
        tuple(rows),
    )
    steps = table[table["part"] == STEPS]
    if len(steps):
        last, number = steps.iloc[-1], steps["epoch"].iloc[-1]
        whole = float(table.loc[table["epoch"] == number, "wall_ms"].sum())
        yield Line(
            f"the last epoch, {ms_text(whole)} ms: {int(last['calls']):,} steps of "
            f"{ms_text(last['median_ms'])} ms (the median; {ms_text(last['wall_ms'])} ms together) "
            f"and {ms_text(whole - last['wall_ms'])} ms around them; the very first step took "
            f"{ms_text(steps.iloc[0]['first_ms'])} ms",
            indent=2,
        )
    for note in table["note"].dropna().unique():
        yield Line(note, indent=2)


def _row(name: str, times: pd.Series, total: float) -> Row:
    """``times`` outside of epochs, then in each."""
    outside, first, *later = (*times, 0.0)[: max(2, len(times))]
    told = (first, float(pd.Series(later).median()) if later else 0.0, outside)
    share = float(times.sum()) / total
    cells = (name, *(ms_text(ms) if ms else "" for ms in told))
    return Row((*cells, Barred(share_text(share), share)))
