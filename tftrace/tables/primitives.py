"""**primitives**: what oneDNN ran inside the kernels, from the run that logged it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tftrace.attribution.primitives import COMPUTE
from tftrace.runs.manifest import Manifest, plain

COLUMNS = (
    *("op", "op_type", "layer", "primitive", "role", "implementation", "layout", "problem"),
    *("attributes", "variable", "kernel_calls", "calls", "busy_ms", "mean_us", "pass_ms"),
)


def logged(manifest: Manifest) -> list[dict[str, Any]]:
    """The rows that the run keeps; empty without a log."""
    return [plain(row) for row in manifest.onednn.primitives] if manifest.onednn else []


def primitives_table(primitives: list[dict[str, Any]], ops: pd.DataFrame) -> pd.DataFrame:
    """**primitives**: one row per kernel, primitive and shape, the most time first.

    ``calls`` and ``busy_ms`` are of the short run that logged them, in which kernels ran one after
    the other. ``pass_ms`` is what the same takes in the traced pass: per execution of the kernel,
    times its executions there; null where those are not known.
    """
    known = {(row.op, row.op_type): row for row in ops.itertuples()}
    rows = [_row(r, known.get((r["op"], r["op_type"]))) for r in primitives]
    table = pd.DataFrame(rows, columns=COLUMNS)
    for name in ("kernel_calls", "calls"):
        table[name] = table[name].astype("Int64")
    for name in ("busy_ms", "mean_us", "pass_ms"):
        table[name] = table[name].astype("Float64")
    table["variable"] = table["variable"].astype("boolean")
    return table.sort_values("busy_ms", ascending=False, ignore_index=True)


def computing(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, str]]:
    """By a kernel's name and type: implementation and layout of what it computes by.

    Where there are several, the one with the most time comes first.
    """
    mine: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda r: -r["busy_ms"]):
        if row["role"] == COMPUTE:
            mine.setdefault((row["op"], row["op_type"]), []).append(row)
    return {
        kernel: {
            name: "; ".join(dict.fromkeys(row[name] for row in found))
            for name in ("implementation", "layout")
        }
        for kernel, found in mine.items()
    }


def _row(logged: dict[str, Any], kernel: Any) -> dict[str, Any]:
    calls = None if kernel is None else _first_known(kernel.expected_calls, kernel.calls)
    layer = None if kernel is None or pd.isna(kernel.layer) else kernel.layer
    return logged | {
        "layer": layer,
        "mean_us": 1e3 * logged["busy_ms"] / logged["calls"],
        "pass_ms": None if calls is None else logged["busy_ms"] / logged["kernel_calls"] * calls,
    }


def _first_known(*values: Any) -> int | None:
    return next((int(v) for v in values if not pd.isna(v)), None)
