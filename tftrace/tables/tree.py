"""Layers rolled up into their containers."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tftrace.tables.frame import total
from tftrace.tables.layers import TRAINING

_SUMS = (
    *("params", "ops", "calls", "expected_calls", "wall_ms", "wall_share", "busy_ms"),
    *("thread_ms", "mults", "macs", "flops", "bytes", "bytes_executed"),
)


def roll_up(layers: pd.DataFrame, depth: int | None, samples: int) -> pd.DataFrame:
    """Rows deeper than ``depth`` added to their ancestor at that depth.

    Args:
        layers: the **layers** table.
        depth: 0 for the model as one row; None leaves every row.
        samples: samples that the times are over, for the rates.

    Returns: a table with the same columns. Sums are null when a part is unknown; ``bytes`` of a
    container are the sum over its parts, what passes between them included; its ``peak_live_bytes``
    the most of theirs that are known.
    """
    if depth is None or not len(layers):
        return layers
    ancestor = layers["path"].map(lambda path: "/".join(path.split("/")[: depth + 1]))
    rows = []
    for path, group in layers.groupby(ancestor, sort=False):
        # A container is called before its parts, so its own row comes first.
        row: dict[Any, Any] = group.iloc[0].to_dict()
        if len(group) > 1:
            for column in (*_SUMS, *(c for c in TRAINING if c in row)):
                added = total(group[column])
                row[column] = pd.NA if added is None else added
            row |= _ratios(row, samples)
            # Its own row has its own output; memory that is live is no sum.
            row["peak_live_bytes"] = group["peak_live_bytes"].max()
            inside = set(group["path"])
            fused = {other for others in group["fused_with"] for other in others} - inside
            row["fused_with"] = sorted(fused)
            row["note"] = f"{len(group) - 1} rows below added"
        row["path"] = path
        rows.append(row)
    return pd.DataFrame(rows, columns=layers.columns).astype(layers.dtypes.to_dict())


def _ratios(row: dict[Any, Any], samples: int) -> dict[str, Any]:
    wall, busy, flops, size = (row[k] for k in ("wall_ms", "busy_ms", "flops", "bytes"))

    def per_second(*columns: str) -> Any:
        amount = sum(row.get(column, 0) for column in columns)
        return amount * samples / wall / 1e6 if wall and not pd.isna(amount) else pd.NA

    known = not pd.isna(flops) and not pd.isna(size) and size > 0
    return {
        "parallelism": row["thread_ms"] / busy if busy else pd.NA,
        "gmacs_per_s": per_second("macs", "macs_backward"),
        "gb_per_s": per_second("bytes_executed"),
        "intensity": flops / size if known else pd.NA,
        "bound": None,
        "roof_share": pd.NA,
    }
