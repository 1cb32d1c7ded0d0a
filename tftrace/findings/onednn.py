"""What oneDNN's log shows: weights copied on every batch, reference implementations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tftrace.attribution.primitives import COMPUTE, WEIGHTS
from tftrace.findings.basis.commands import FREEZE, WITHOUT_ONEDNN
from tftrace.findings.basis.evidence import Evidence
from tftrace.findings.basis.figures import (
    by_op,
    kernels,
    layers_ms,
    name_of,
    of_predict,
    settled_ms,
    total,
)
from tftrace.findings.registry import Finding, finding
from tftrace.text import ms_text

_REFERENCE = re.compile(r"(^|[:_+])ref([:_+]|$)")


@finding
def reordered_weights(profile: Evidence) -> Iterator[Finding]:
    """Weights of variables that oneDNN brings into a layout of its own on every batch."""
    table = profile.primitives
    mine = table[(table["role"] == WEIGHTS) & table["variable"].fillna(False)]
    for path, rows, spent in _by_layer(profile, mine):
        share = spent / layers_ms(profile)
        yield Finding(
            layer=path,
            kind="weights reordered on every batch",
            text=(
                f"oneDNN copies the weights of {name_of(profile, path)} into a layout of its own "
                f"on every batch: {ms_text(spent)} ms, {of_predict(profile, spent)}."
            ),
            cause=(
                "The weights are variables, which may change from batch to batch, so TensorFlow "
                "does not keep what oneDNN reordered; of a constant it does."
            ),
            remedy=(
                "constants instead of variables, as an exported graph with frozen weights has them"
            ),
            command=FREEZE,
            saving_ms=spent,
            sure="measured",
            evidence={
                "ms": spent,
                "time_share": share,
                "kernels": [row["op"] for row in rows],
                "layouts": [row["layout"] for row in rows],
                "problems": [row["problem"] for row in rows],
            },
        )


@finding
def reference_implementation(profile: Evidence) -> Iterator[Finding]:
    """Kernels for which oneDNN has nothing but its plain reference code."""
    table = profile.primitives
    slow = table["implementation"].map(lambda name: bool(_REFERENCE.search(name))).astype(bool)
    for path, rows, spent in _by_layer(profile, table[(table["role"] == COMPUTE) & slow]):
        share = spent / layers_ms(profile)
        ran = ", ".join(dict.fromkeys(f"{r['primitive']} as {r['implementation']}" for r in rows))
        yield Finding(
            layer=path,
            kind="reference implementation",
            text=(
                f"oneDNN computes {name_of(profile, path)} by its reference code ({ran}): "
                f"{ms_text(spent)} ms, {of_predict(profile, spent)}."
            ),
            cause=(
                "None of its optimized implementations takes this element type, shape and layout "
                "on this processor; the reference is plain code without vector instructions."
            ),
            remedy=(
                "measure TensorFlow's own kernel; another element type or shape may have a fast "
                "implementation"
            ),
            command=WITHOUT_ONEDNN,
            sure="measured",
            evidence={
                "ms": spent,
                "time_share": share,
                "kernels": [row["op"] for row in rows],
                "implementations": [row["implementation"] for row in rows],
                "problems": [row["problem"] for row in rows],
            },
        )


def _by_layer(profile: Evidence, table: Any) -> Iterator[tuple[str, list[dict[str, Any]], float]]:
    """Layer, rows and time per traced pass; the primitives were timed in another run, so they
    count for no more than their kernels took in this one."""
    known = table[table["layer"].notna() & table["pass_ms"].notna()]
    seen = by_op(kernels(profile))
    for path, rows in known.groupby("layer", sort=False):
        found: list[dict[str, Any]] = rows.to_dict(orient="records")
        ops = rows.groupby("op")["pass_ms"].sum()
        spent = total(min(float(ms), settled_ms(seen.get(op, []))) for op, ms in ops.items())
        if spent > 0:
            yield str(path), found, spent
