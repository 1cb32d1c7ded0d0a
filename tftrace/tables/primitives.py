"""**primitives**: what oneDNN ran inside the kernels, from the run that logged it."""

from __future__ import annotations

from typing import Any, TypeAlias

import pandas as pd

from tftrace.attribution.primitives import COMPUTE
from tftrace.graph.kernel_types import plain_type
from tftrace.runs.manifest import Manifest, plain

Key: TypeAlias = tuple[str, str, bool]
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
    keys = map(kernel_key, ops["op"], ops["op_type"], ops["calls"])
    known = dict(zip(keys, ops.itertuples(), strict=True))
    rows = [_row(r, next((known[k] for k in _keys(r) if k in known), None)) for r in primitives]
    table = pd.DataFrame(rows, columns=COLUMNS)
    for name in ("kernel_calls", "calls"):
        table[name] = table[name].astype("Int64")
    for name in ("busy_ms", "mean_us", "pass_ms"):
        table[name] = table[name].astype("Float64")
    table["variable"] = table["variable"].astype("boolean")
    return table.sort_values("busy_ms", ascending=False, ignore_index=True)


def kernel_key(op: str, op_type: str, calls: int) -> Key:
    """What a row of **ops** is known by: name and type, or the plain type if it was not recorded.

    oneDNN renames kernels after TensorFlow has shown its graph, so one that was only seen in the
    graph has another type than when it runs.
    """
    return (op, op_type, True) if calls else (op, plain_type(op_type), False)


def computing(rows: list[dict[str, Any]]) -> dict[Key, dict[str, str]]:
    """By `kernel_key`: implementation and layout of what a kernel computes by.

    Where there are several, the one with the most time comes first.
    """
    mine: dict[Key, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda r: -r["busy_ms"]):
        if row["role"] == COMPUTE:
            for key in _keys(row):
                mine.setdefault(key, []).append(row)
    return {
        key: {
            name: "; ".join(dict.fromkeys(row[name] for row in found))
            for name in ("implementation", "layout")
        }
        for key, found in mine.items()
    }


def _keys(logged: dict[str, Any]) -> tuple[Key, Key]:
    """Where to look for the kernel that ran a primitive: as recorded, then as only in the graph."""
    op, op_type = logged["op"], logged["op_type"]
    return kernel_key(op, op_type, 1), kernel_key(op, op_type, 0)


def _row(logged: dict[str, Any], kernel: Any) -> dict[str, Any]:
    # A kernel that was not recorded did not run 0 times.
    calls = None if kernel is None else _first_known(kernel.expected_calls, kernel.calls or None)
    layer = None if kernel is None or pd.isna(kernel.layer) else kernel.layer
    return logged | {
        "layer": layer,
        "mean_us": 1e3 * logged["busy_ms"] / logged["calls"],
        "pass_ms": None if calls is None else logged["busy_ms"] / logged["kernel_calls"] * calls,
    }


def _first_known(*values: Any) -> int | None:
    return next((int(v) for v in values if not pd.isna(v)), None)
