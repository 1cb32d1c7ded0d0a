"""**replicas**: what several devices ran alike, side by side."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from tftrace.attribution.rows import LAYERS
from tftrace.timeline.devices import is_device
from tftrace.timeline.per_device import COMPUTE

_REPLICA = re.compile(r"(^|/)replica_\d+/")


def replicas_table(ops: pd.DataFrame) -> pd.DataFrame:
    """One row per op (and type, and program) that at least two devices ran, longest first.

    Args:
        ops: the **ops** table of a trace from elsewhere.

    Columns: `op` without the scope `replica_N/` that a distribution strategy puts before it,
    `op_type`, `hlo_module` where XLA made any, `devices` that ran it, `min_ms`, `median_ms`,
    `max_ms` of `busy_ms` over those, `max_over_median`, and `slowest`, the device of the most.
    Copies and trials of algorithms are left out: their number depends on the device.
    """
    kernels = ops[ops["component"].isin((COMPUTE, LAYERS)) & ops["device"].map(is_device)]
    keys = ["op", "op_type", *(["hlo_module"] if "hlo_module" in ops else [])]
    table = kernels.assign(op=kernels["op"].map(lambda op: _REPLICA.sub(r"\1", op)))
    by_device = table.groupby([*keys, "device"], dropna=False, sort=False)["busy_ms"].sum()
    rows = [
        {
            **dict(zip(keys, key, strict=True)),
            "devices": len(ms),
            "min_ms": float(ms.min()),
            "median_ms": float(np.median(ms)),
            "max_ms": float(ms.max()),
            "max_over_median": float(ms.max() / np.median(ms)) if np.median(ms) else None,
            "slowest": ms.idxmax()[-1],
        }
        for key, ms in by_device.groupby(level=list(range(len(keys))), dropna=False, sort=False)
        if len(ms) > 1
    ]
    numbers = ("min_ms", "median_ms", "max_ms", "max_over_median")
    found = pd.DataFrame(rows, columns=[*keys, "devices", *numbers, "slowest"])
    found = found.astype(dict.fromkeys(numbers, "Float64") | {"devices": "Int64"})
    return found.sort_values("max_ms", ascending=False, kind="stable", ignore_index=True)
