"""The first call of predict as parts of a report."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from tftrace.api.first import PARTS, REST
from tftrace.report.sheet import BLANK, EM, FAINT, Column, Line, Part, Row, Sheet
from tftrace.text import ms_text, time_text

if TYPE_CHECKING:
    from tftrace.api.first import FirstPredict


def first_parts(found: FirstPredict, title: str) -> Iterator[Part]:
    """What the first call costs more, its parts by graph, and what makes graphs."""
    table = found.table
    first, later = table["first_ms"].sum(), table["later_ms"].sum()
    yield Line(
        f"{title}: the first predict of {found.samples:,} samples takes {time_text(first)}, the "
        f"next {time_text(later)}",
        EM,
    )
    rows = table.to_dict(orient="records")
    largest = max(rows, key=lambda row: row["extra_ms"])
    if largest["extra_ms"] > 0:
        yield Line(
            f"most of what is more: {largest['part']}{_of(largest)}, "
            f"{time_text(largest['extra_ms'])}"
        )
    yield BLANK
    lines = [
        Row((f"{row['part']}{_of(row)}", *(ms_text(row[name]) for name in _COLUMNS)))
        for row in rows
    ]
    total = Row(("predict", *(ms_text(table[name].sum()) for name in _COLUMNS)), EM)
    columns = (Column("part", right=False, folds=True), *map(Column, ("first", "next", "more")))
    yield Sheet("ms, both calls under the profiler", columns, (*lines, total))
    yield BLANK
    left = found.samples % found.batch_size
    if found.graphs > 1 and left:
        again = table[table["batch"].isna() & (table["part"] != REST)]["extra_ms"].sum()
        yield Line(
            f"{found.graphs} graphs: batches of {found.batch_size}, and the last, of {left}, for "
            f"which one for any number is made; whole batches save {time_text(again)} of the first "
            "call"
        )
    for part in dict.fromkeys(table["part"]):
        yield Line(f"{part}: {PARTS[part]}", FAINT)


_COLUMNS = ("first_ms", "later_ms", "extra_ms")


def _of(row: Mapping[Hashable, Any]) -> str:
    if row["part"] == REST:
        return ""
    return ", any batch" if pd.isna(row["batch"]) else f", batch {row['batch']}"
