"""What the tables share: shares per sample, quantiles, nullable columns, rows as plain dicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tftrace.attribution.join import Join
from tftrace.attribution.kernel_owner import OUTSIDE, WORK, KernelInfo
from tftrace.runs.manifest import Site

PS_PER_MS = 1e9
PS_PER_NS = 1000
NEEDED = ("mults", "macs", "flops", "bytes")


def quantile(ordered: np.ndarray, part: float) -> float:
    """As `np.percentile`, whose overhead is most of the table for a thousand short rows."""
    place = (len(ordered) - 1) * part
    low = int(place)
    below, above = int(ordered[low]), int(ordered[min(low + 1, len(ordered) - 1)])
    weight = place - low
    if weight < 0.5:
        return below + (above - below) * weight
    return above - (above - below) * (1 - weight)


def per_sample(info: KernelInfo | None, join: Join) -> dict[str, int | float | None]:
    """Executed work of a kernel per sample, over its executions in one call."""
    if info is None:
        return dict.fromkeys(WORK)
    result: dict[str, int | float | None] = {}
    for name in WORK:
        amount = info.work[name]
        if amount == 0:
            result[name] = 0
        elif amount is None or info.times is None:
            result[name] = None
        else:
            result[name] = share_per_sample(amount * info.times, info.batch)
    return result


def share_per_sample(amount: int | None, batch: int) -> int | float | None:
    """Per sample: an integer where the batch divides it."""
    if amount is None:
        return None
    share, rest = divmod(amount, batch)
    return amount / batch if rest else share


def rate(per_sample: float | None, samples: int | None, seconds: float) -> float | None:
    """Billions per second."""
    if per_sample is None or samples is None or not seconds:
        return None
    return per_sample * samples / seconds / 1e9


def path_of(info: KernelInfo | None, sites: list[Site]) -> str | None:
    """Path of the layer that bears the kernel; None outside the model's layers."""
    if info is None or info.layer == OUTSIDE:
        return None
    return sites[info.layer].path


def device_of(join: Join, executions: np.ndarray) -> str:
    """Plane that the executions ran on; the host's when there are none."""
    if not len(executions):
        return "/host:CPU"
    return join.run.trace.plane_of(int(join.executions.line[executions[0]])).name


def table_of(
    rows: list[dict[str, Any]],
    integers: tuple[str, ...],
    numbers: tuple[str, ...],
    others: tuple[str, ...] = (),
) -> pd.DataFrame:
    """Nullable columns throughout: unknown is null. Whole numbers stay whole where all are.

    ``others`` are the columns that a table without rows has as well.
    """
    table = pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(others), dtype=object)
    for name in (*integers, *numbers):
        values = [row[name] for row in rows]
        whole = name in integers or (
            name in (*NEEDED, "bytes_executed")
            and all(v is None or isinstance(v, int) for v in values)
        )
        table[name] = pd.array(values, "Int64" if whole else "Float64")
    return table


def total(values: pd.Series) -> float | int | None:
    """Sum of a column; None when a part of it is unknown."""
    return None if values.isna().any() else _plain(values.sum())


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain dicts: Python numbers, None for null."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(k): _plain(v) for k, v in row.items()} for row in plain.to_dict(orient="records")]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
