"""Batch normalization that runs as passes of its own over the activation."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import pandas as pd

from tftrace.findings.basis.chains import Product, product_before
from tftrace.findings.basis.commands import FOLD, TRY_XLA
from tftrace.findings.basis.evidence import Evidence
from tftrace.findings.basis.figures import (
    Kernel,
    by_layer,
    kernels,
    layers_ms,
    name_of,
    of_predict,
    onednn_ran,
    settled_ms,
    total,
)
from tftrace.findings.basis.folds import READS, Fold, Saving, folds_of, freed, savings
from tftrace.findings.registry import Finding, Sure, finding
from tftrace.graph.kernel_types import plain_type
from tftrace.runs.layer_graph import LayerGraph
from tftrace.text import bytes_text, ms_text

_PASSES = frozenset(("Add", "AddN", "Mul", "Sub"))
_FAR_ABOVE = 2.0
_NAMED = 0.05  # of a norm's time: kernels below are not named
_UNSEEN = 0.02  # of a call; medians of calls on two quiet cores differ by as much
_TOO_SMALL = " Its saving alone is less than whole calls vary by; a stopwatch may show nothing."
# Measured by benchmarks/fold.py and kernel by kernel (TensorFlow 2.21, two cores): without oneDNN
# the Dense of `tftrace demo` took 66 ms behind the norm and 49 once that was folded away, with
# oneDNN 55 in both. The cause is not known.
_MORE_BEHIND = (
    " The saving counts the norm's own kernels only. {into} may run faster too without passes "
    "before it, as measured on one network; the cause is not known."
)


@finding
def unfused_batch_norm(profile: Evidence) -> Iterator[Finding]:
    """A BatchNormalization whose share of time is far above its share of multiplications."""
    layers = profile.layers
    # Of a part that is unknown, the sum is the least and the norm's share the most it can be.
    time, mults, exact = layers_ms(profile), layers["mults"].sum(), layers["mults"].notna().all()
    norms = layers[(layers["type"] == "BatchNormalization") & layers["mults"].notna()]
    if not time or not mults or not len(norms):
        return
    seen, graph, onednn = kernels(profile), profile.layer_graph, onednn_ran(profile)
    settled, of_layer = settled_ms(seen), by_layer(seen)
    call = float(profile.wall["wall_ms"].sum())
    folds = folds_of(graph, norms["path"], onednn)
    saved = savings(graph, {p: f for p, f in folds.items() if f.direction is not None}, seen)
    for row in norms.to_dict(orient="records"):
        path = row["path"]
        mine = of_layer.get(path, [])
        passes = [k for k in mine if k.plain_type not in READS]
        if _PASSES.isdisjoint(k.plain_type for k in passes):
            continue
        # Settled, so that a convolution that another process held up does not hide the norm.
        if settled_ms(passes) < _FAR_ABOVE * row["mults"] / mults * settled:
            continue
        time_share, mult_share = float(row["wall_ms"] / time), float(row["mults"] / mults)
        of_mults = f"{'' if exact else 'at most '}{mult_share:.2%} of the multiplications"
        told = name_of(profile, path), of_predict(profile, row["wall_ms"]), of_mults
        found = _unfused(row, mine, folds[path], saved.get(path), told, call, onednn)
        found.evidence["time_share"] = time_share
        found.evidence["mult_share"] = mult_share if exact else None
        yield found


def _unfused(
    row: dict[Hashable, Any],
    mine: list[Kernel],
    fold: Fold,
    saved: Saving | None,
    told: tuple[str, str, str],
    call_ms: float,
    onednn: bool,
) -> Finding:
    reads = [k for k in mine if k.plain_type in READS]
    least_ms = _NAMED * total(k.wall_ms for k in mine)
    names = [_name(k) for k in mine if k.wall_ms >= least_ms and k not in reads]
    moved, least = row["bytes_executed"], row["bytes"]
    own, waited = float(row["wall_ms"]), total(k.wall_ms for k in reads)
    at_stake = own + (saved.activation + saved.addition if saved else 0.0)
    saving = None if saved is None else min(saved.ms, at_stake)
    small = saving is not None and saving < _UNSEEN * call_ms
    forward = fold.direction == "forward" and not onednn
    return Finding(
        layer=row["path"],
        kind="unfused batch norm",
        text=(
            f"{told[0]} takes {ms_text(own)} ms, {told[1]} with {told[2]}: it ran as "
            f"{', '.join(names)} "
            f"and moved {_amount(moved)} per sample where {_amount(least)} is the least possible."
            + (_WAITED.format(ms_text(waited)) if waited >= least_ms else "")
            + (_beside(fold, saved) if saved is not None else "")
            + (_TOO_SMALL if small else "")
        ),
        cause=(
            "Keras 3 on TensorFlow does not fuse batch normalization: each kernel reads and "
            "writes the whole activation, so memory traffic decides, not multiplications."
            + (_MORE_BEHIND.format(into=_behind(fold)) if forward else "")
        ),
        remedy=_remedy(fold),
        command=TRY_XLA if fold.direction is None else FOLD,
        saving_ms=saving,
        evidence={
            "ms": at_stake,
            "norm_ms": own,
            "kernels": names,
            "waiting_ms": waited,
            "bytes_executed": _number(moved),
            "bytes": _number(least),
            "fold": fold.direction,
            "into": list(fold.into),
            "obstacle": fold.obstacle or None,
            "activation": fold.frees,
            "activation_ms": saved.activation if saved else 0.0,
            "addition": fold.joins,
            "addition_ms": saved.addition if saved else 0.0,
            "new_ms": saved.comes if saved else 0.0,
        },
        sure=_sure(saved),
    )


_WAITED = (
    " {} ms more went by in ReadVariableOp, which moves nothing: that is waiting, and not promised."
)


def _name(kernel: Kernel) -> str:
    return f"{kernel.op.rpartition('/')[2]} ({kernel.op_type})"


def _beside(fold: Fold, saved: Saving) -> str:
    """What else goes or comes with the norm, in words."""
    goes = [
        f"{op} ({ms_text(ms)} ms)"
        for op, ms in ((fold.joins, saved.addition), (fold.frees, saved.activation))
        if op is not None and ms > 0
    ]
    text = f" Folded, it takes along {' and '.join(goes)}" if goes else ""
    if saved.comes > 0:
        what = "a pass for the bias" if fold.adds_bias else "the reading of the tensor to add"
        text += (";" if text else " Folded, it is replaced in part:") + f" {what} comes instead"
        text += f" ({ms_text(saved.comes)} ms)"
    return f"{text}." if text else ""


def _sure(saved: Saving | None) -> Sure:
    """Measured when nothing but the norm's own kernels is counted."""
    if saved is None:
        return "heuristic"
    return "modelled" if saved.activation or saved.addition or saved.comes else "measured"


def _remedy(fold: Fold) -> str:
    if fold.direction is None:
        return f"folding does not remove it ({fold.obstacle}); XLA runs it in one pass"
    where = "before" if fold.direction == "backward" else "behind"
    return f"fold it into the layer {where} it, which is exact"


def _behind(fold: Fold) -> str:
    return " and ".join(path.rpartition("/")[2] for path in fold.into)


@finding
def bias_blocks_fusion(profile: Evidence) -> Iterator[Finding]:
    """Keras 2: a FusedBatchNormV3 of its own behind a convolution that has a bias."""
    seen = kernels(profile)
    time, onednn = layers_ms(profile), onednn_ran(profile)
    graph = profile.layer_graph
    for kernel in (k for k in seen if k.plain_type == "FusedBatchNorm"):
        before = _biased_before(graph, kernel.layer)
        if before is None or not time:
            continue
        exits = graph.exits(kernel.layer)
        frees = freed(graph, exits[0], "Conv2D", onednn) if len(exits) == 1 else None
        freed_ms = settled_ms(k for k in seen if k.op == frees)
        conv = graph.path(before.op)
        yield Finding(
            layer=kernel.layer,
            kind="bias blocks the fusion",
            text=(
                f"{name_of(profile, kernel.layer)} runs as a kernel of its own "
                f"({kernel.op_type}), {ms_text(kernel.wall_ms)} ms, "
                f"{of_predict(profile, kernel.wall_ms)}, behind {conv}, which adds a bias."
                + (f" {frees} ({ms_text(freed_ms)} ms) would fuse too." if freed_ms else "")
            ),
            cause=(
                "TensorFlow fuses convolution and batch norm (and ReLU) into one kernel, but not "
                "over a bias, which the norm's own offset makes superfluous."
            ),
            remedy=(
                "use_bias=False in the convolution, and its bias subtracted from the norm's "
                "moving_mean: the same function in one kernel"
            ),
            saving_ms=kernel.settled_ms + freed_ms,
            evidence={
                "ms": kernel.wall_ms + freed_ms,
                "norm_ms": kernel.wall_ms,
                "time_share": kernel.wall_ms / time,
                "convolution": conv,
                "activation": frees,
                "activation_ms": freed_ms,
            },
            sure="modelled" if freed_ms else "measured",
        )


def _biased_before(graph: LayerGraph, path: str) -> Product | None:
    entries = graph.entries(path)
    before = product_before(graph, entries[0]) if len(entries) == 1 else None
    if not isinstance(before, Product) or not (before.bias and before.direct):
        return None
    return before if plain_type(graph.type[before.op]) == "Conv2D" else None


def _amount(size: Any) -> str:
    return "an unknown amount" if pd.isna(size) else bytes_text(float(size))


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
