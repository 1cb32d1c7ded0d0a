"""The user's own input pipeline as a part of a report, stage by stage."""

from __future__ import annotations

import pandas as pd

from tftrace.report.sheet import Column, Row, Sheet
from tftrace.text import ms_text


def input_sheet(table: pd.DataFrame) -> Sheet:
    """The stages in the order that data passes them: beside the model, not part of its time."""
    rows = [
        Row(
            (
                f"{row['stage']} ({row['dataset']})",
                f"{row['calls']:,}",
                ms_text(_known(row["us_per_element"])),
                ms_text(_known(row["busy_ms"])),
                ms_text(row["wait_ms"]),
                "–" if pd.isna(row["parallelism"]) else str(row["parallelism"]),
            )
        )
        for _, row in table.iterrows()
    ]
    columns = (
        Column("stage", right=False, folds=True),
        *map(Column, ("elements", "us each", "busy ms", "wait ms", "threads")),
    )
    title = "input pipeline: work of each stage, on its own threads beside the model"
    return Sheet(title, columns, tuple(rows))


def _known(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
