"""Batch normalisation that runs as passes of its own over the activation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from tftrace.advice.findings.registry import Finding, finding
from tftrace.text import bytes_text

_MIN_SHARE = 0.005
_FAR_ABOVE = 2.0


@finding
def unfused_batch_norm(profile: Any) -> Iterator[Finding]:
    """A BatchNormalization whose share of time is far above its share of multiplications."""
    layers = profile.layers
    time, mults = layers["wall_ms"].sum(), layers["mults"].sum()
    for _, row in layers[layers["type"] == "BatchNormalization"].iterrows():
        if pd.isna(row["mults"]) or not time or not mults:
            continue
        time_share, mult_share = row["wall_ms"] / time, row["mults"] / mults
        if time_share < _MIN_SHARE or time_share < _FAR_ABOVE * mult_share:
            continue
        yield _finding(profile, row, time_share, mult_share)


def _finding(profile: Any, row: pd.Series, time_share: float, mult_share: float) -> Finding:
    ops = profile.ops
    mine = ops[(ops["layer"] == row["path"]) & (ops["calls"] > 0)]
    heavy = mine[mine["wall_ms"] >= 0.05 * mine["wall_ms"].sum()]
    kernels = [
        f"{op.rpartition('/')[2]} ({kind})"
        for op, kind in zip(heavy["op"], heavy["op_type"], strict=True)
    ]
    moved, least = row["bytes_executed"], row["bytes"]
    return Finding(
        layer=row["path"],
        kind="unfused batch norm",
        text=(
            f"{row['name']} takes {time_share:.1%} of the layers' time with {mult_share:.2%} of "
            f"the multiplications: it ran as {', '.join(kernels)} and moved "
            f"{_amount(moved)} per sample where {_amount(least)} is the least possible."
        ),
        cause=(
            "Keras 3 on TensorFlow does not fuse batch normalisation: each kernel reads and "
            "writes the whole activation, so memory traffic decides, not multiplications."
        ),
        remedy="fold it into a neighbouring layer, whose multiplications absorb it exactly",
        saving_ms=float(row["wall_ms"]),
        evidence={
            "time_share": float(time_share),
            "mult_share": float(mult_share),
            "kernels": kernels,
            "bytes_executed": None if pd.isna(moved) else float(moved),
            "bytes": None if pd.isna(least) else float(least),
        },
    )


def _amount(size: Any) -> str:
    return "an unknown amount" if pd.isna(size) else bytes_text(float(size))
