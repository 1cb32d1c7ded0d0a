"""Would XLA help? Measured interleaved on the model itself, never guessed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tftrace.comparison.compare import Comparison, Side, compare_models
from tftrace.comparison.ratio import MIN_PAIRS
from tftrace.errors import TftraceError
from tftrace.findings.registry import Finding
from tftrace.text import ms_text

HELPS, HURTS, SAME = "XLA would help", "XLA would hurt", "XLA makes no difference"


def try_jit(
    load: Callable[[], Any],
    x: Any,
    *,
    batch_size: int = 32,
    pairs: int = 11,
    out: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Comparison, dict[str, Any]]:
    """Predict ``x`` without XLA (A) and with it (B), interleaved.

    Args:
        load: makes the model; called twice, once for each side.
        x: data for ``predict``.
        pairs: timed passes of each, at least 6.
        out: folder for the two runs; temporary by default.

    Returns: the comparison, and its finding as a dict like those of ``Profile.findings``.

    Raises:
        TftraceError: too few pairs, the data does not fit the model, or a side cannot be traced.
    """
    if pairs < MIN_PAIRS:
        raise TftraceError(f"{pairs} pairs decide nothing; at least {MIN_PAIRS}")
    sides = [
        Side(name, load(), batch_size, jit)
        for name, jit in (("without XLA", "off"), ("with XLA", "on"))
    ]
    comparison = compare_models(sides[0], sides[1], x, pairs, out, progress)
    return comparison, asdict(jit_finding(comparison))


def jit_finding(comparison: Comparison) -> Finding:
    """What a comparison of without XLA (A) against with it (B) says, as a finding."""
    off, on = comparison.medians
    ratio = comparison.ratio
    resolvable = ratio is not None and ratio.resolvable
    helps = ratio is not None and resolvable and ratio.ratio < 1
    kind = SAME if not resolvable else HELPS if helps else HURTS
    saving = off - on if helps and off is not None and on is not None else None
    return Finding(
        layer=None,
        kind=kind,
        text=(
            f"predict takes {ms_text(off)} ms without XLA and {ms_text(on)} ms with it: "
            f"{comparison.verdict}."
        ),
        cause=_CAUSES[kind],
        remedy=_REMEDIES[kind],
        saving_ms=saving,
        evidence={
            "ms": abs(off - on) if off is not None and on is not None else 0.0,
            "off_ms": off,
            "on_ms": on,
            "ratio": None if ratio is None else ratio.to_dict(),
        },
        sure="measured",
    )


_CAUSES = {
    HELPS: "XLA runs chains of small operations as one kernel, which saves passes over memory.",
    HURTS: (
        "XLA's own loops for some kernels, convolutions above all, are slower than TensorFlow's "
        "on this machine."
    ),
    SAME: "What XLA saves in passes over memory is too little to be seen beside the rest.",
}
_REMEDIES = {
    HELPS: "compile the model with jit_compile=True; the first batch of each shape takes longer",
    HURTS: "leave it off: model.compile(jit_compile=False) where it is the default",
    SAME: "leave it off: it would only add compilation to the first batch of each shape",
}
