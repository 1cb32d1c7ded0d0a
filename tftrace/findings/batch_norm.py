"""Batch normalisation that runs as passes of its own over the activation."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tftrace.findings.chains import (
    FUSED_ACTIVATIONS,
    FUSING,
    Product,
    product_before,
    products_after,
)
from tftrace.findings.evidence import Evidence
from tftrace.findings.figures import (
    Kernel,
    by_layer,
    by_op,
    kernels,
    layers_ms,
    settled_ms,
    settled_part,
    total,
)
from tftrace.findings.registry import Finding, Sure, finding
from tftrace.runs.layer_graph import LayerGraph
from tftrace.text import bytes_text, ms_text

_PASSES = frozenset(("Add", "AddN", "AddV2", "Mul", "Sub"))
_FAR_ABOVE = 2.0
# Measured by benchmarks/fold.py (TensorFlow 2.21, two cores): folding ResNet50, MobileNetV2,
# DenseNet121 and EfficientNetB0 saved 0.55 to 1.0 of the norms' and freed activations' own time.
_SAVED_OF_OWN = 0.8
_UNSEEN = 0.02  # of a call; medians of calls on two quiet cores differ by as much
_TOO_SMALL = " Its saving alone is less than whole calls vary by; a stopwatch may show nothing."
# Measured (as above): in the network of `tftrace demo` the Dense behind the norm took 92 ms, and 65
# once the norm was folded away. The same passes over another buffer slow it as much, zeros do not
# matter, and emptying the cache before it costs a tenth: the cause is not known.
_MORE_BEHIND = (
    " The saving counts the norm's own kernels only. {into} may run faster too without passes "
    "before it: measured on one network, as much again; the cause is not known."
)


@dataclass(frozen=True)
class Fold:
    """What removing a batch norm by folding would do.

    ``direction`` is backward, forward or None with the ``obstacle``; ``into`` are layer paths.
    ``adds_bias``: the target has no bias yet and needs a pass to add one. ``frees`` is an
    activation (an operation) that would become part of the convolution.
    """

    direction: str | None
    into: tuple[str, ...] = ()
    adds_bias: bool = False
    frees: str | None = None
    obstacle: str = ""


@finding
def unfused_batch_norm(profile: Evidence) -> Iterator[Finding]:
    """A BatchNormalization whose share of time is far above its share of multiplications."""
    layers = profile.layers
    # Of a part that is unknown, the sum is the least and the norm's share the most it can be.
    time, mults, exact = layers_ms(profile), layers["mults"].sum(), layers["mults"].notna().all()
    norms = layers[(layers["type"] == "BatchNormalization") & layers["mults"].notna()]
    if not time or not mults or not len(norms):
        return
    seen = kernels(profile)
    settled, of_op, of_layer = settled_ms(seen), by_op(seen), by_layer(seen)
    call = float(profile.wall["wall_ms"].sum())
    for row in norms.to_dict(orient="records"):
        mine = of_layer.get(row["path"])
        time_share, mult_share = row["wall_ms"] / time, row["mults"] / mults
        if mine is None or _PASSES.isdisjoint(k.op_type for k in mine):
            continue
        # Settled, so that a convolution that another process held up does not hide the norm.
        if settled_ms(mine) < _FAR_ABOVE * mult_share * settled:
            continue
        fold = fold_of(profile.layer_graph, row["path"])
        share = f"{'' if exact else 'at most '}{mult_share:.2%}"
        found = _unfused(row, mine, of_op, fold, float(time_share), share, call)
        found.evidence["mult_share"] = float(mult_share) if exact else None
        yield found


def _unfused(
    row: dict[Hashable, Any],
    mine: list[Kernel],
    of_op: dict[str, list[Kernel]],
    fold: Fold,
    time_share: float,
    mult_share: str,
    call_ms: float,
) -> Finding:
    least_ms = 0.05 * total(k.wall_ms for k in mine)
    names = [f"{k.op.rpartition('/')[2]} ({k.op_type})" for k in mine if k.wall_ms >= least_ms]
    moved, least = row["bytes_executed"], row["bytes"]
    saving, sure = _saving(row, mine, of_op, fold)
    return Finding(
        layer=row["path"],
        kind="unfused batch norm",
        text=(
            f"{row['name']} takes {ms_text(row['wall_ms'])} ms, {time_share:.1%} of the layers' "
            f"time with {mult_share} of the multiplications: it ran as {', '.join(names)} "
            f"and moved {_amount(moved)} per sample where {_amount(least)} is the least possible."
            + (_TOO_SMALL if saving is not None and saving < _UNSEEN * call_ms else "")
        ),
        cause=(
            "Keras 3 on TensorFlow does not fuse batch normalisation: each kernel reads and "
            "writes the whole activation, so memory traffic decides, not multiplications."
            + (_MORE_BEHIND.format(into=_behind(fold)) if fold.direction == "forward" else "")
        ),
        remedy=_remedy(fold),
        saving_ms=saving,
        evidence={
            "ms": float(row["wall_ms"]),
            "time_share": time_share,
            "kernels": names,
            "bytes_executed": _number(moved),
            "bytes": _number(least),
            "fold": fold.direction,
            "into": list(fold.into),
            "obstacle": fold.obstacle or None,
        },
        sure=sure,
    )


def _saving(
    row: dict[Hashable, Any], mine: list[Kernel], of_op: dict[str, list[Kernel]], fold: Fold
) -> tuple[float | None, Sure]:
    """The norm's own time, with what folding it does to its neighbours."""
    if fold.direction is None:
        return None, "heuristic"
    own = float(row["wall_ms"]) * settled_part(mine)
    if fold.adds_bias:
        # The bias takes one pass over the activation; the norm took two.
        return own / 2, "modelled"
    if fold.direction == "forward":
        return own, "measured"
    freed = 0.0 if fold.frees is None else settled_ms(of_op.get(fold.frees, []))
    return _SAVED_OF_OWN * (own + freed), "modelled"


def _remedy(fold: Fold) -> str:
    if fold.direction is None:
        return f"folding does not remove it ({fold.obstacle}); XLA runs it in one pass: --try jit"
    where = "before" if fold.direction == "backward" else "behind"
    return f"tftrace fold works it exactly into the weights of the layer {where} it"


def _behind(fold: Fold) -> str:
    return " and ".join(path.rpartition("/")[2] for path in fold.into)


def fold_of(graph: LayerGraph, path: str) -> Fold:
    """Where the run's graph lets a batch norm go; `tftrace.folding.fold` has the last word."""
    entries, exits = graph.entries(path), graph.exits(path)
    if len(entries) != 1 or len(exits) != 1:
        return Fold(None, obstacle="its surroundings are not known")
    before = product_before(graph, entries[0])
    if isinstance(before, Product):
        into = graph.path(before.op) or ""
        fuses = before.direct and graph.type[before.op] in FUSING
        return Fold(
            "backward",
            (into,),
            adds_bias=not before.bias and not fuses,
            frees=_freed(graph, exits[0]) if fuses else None,
        )
    after = products_after(graph, exits[0])
    if isinstance(after, str) or not after:
        return Fold(None, obstacle=f"before: {before}; behind: {after or 'nothing reads it'}")
    return Fold("forward", tuple(dict.fromkeys(graph.path(op) or "" for op in after)))


def _freed(graph: LayerGraph, op: int) -> str | None:
    """The activation that reads ``op`` alone, if a convolution can take it in."""
    readers = graph.consumers[op]
    if len(readers) != 1 or graph.type[readers[0]] not in FUSED_ACTIVATIONS:
        return None
    return graph.key[readers[0]]


@finding
def bias_blocks_fusion(profile: Evidence) -> Iterator[Finding]:
    """Keras 2: a FusedBatchNormV3 of its own behind a convolution that has a bias."""
    seen = kernels(profile)
    time = layers_ms(profile)
    graph = profile.layer_graph
    for kernel in (k for k in seen if k.op_type.startswith("FusedBatchNorm")):
        before = _biased_before(graph, kernel.layer)
        if before is None or not time:
            continue
        exits = graph.exits(kernel.layer)
        frees = _freed(graph, exits[0]) if len(exits) == 1 else None
        freed = settled_ms(k for k in seen if k.op == frees)
        conv = graph.path(before.op)
        yield Finding(
            layer=kernel.layer,
            kind="bias blocks the fusion",
            text=(
                f"{kernel.layer} runs as a kernel of its own (FusedBatchNormV3), "
                f"{ms_text(kernel.wall_ms)} ms, {kernel.wall_ms / time:.1%} of the layers' "
                f"time, behind {conv}, which adds a bias."
            ),
            cause=(
                "TensorFlow fuses convolution and batch norm (and ReLU) into one kernel, but not "
                "over a bias, which the norm's own offset makes superfluous."
            ),
            remedy=(
                "use_bias=False in the convolution, and its bias subtracted from the norm's "
                "moving_mean: the same function in one kernel"
            ),
            saving_ms=kernel.settled_ms + freed,
            evidence={
                "ms": kernel.wall_ms,
                "time_share": kernel.wall_ms / time,
                "convolution": conv,
                "activation": frees,
                "activation_ms": freed,
            },
            sure="modelled" if freed else "measured",
        )


def _biased_before(graph: LayerGraph, path: str) -> Product | None:
    entries = graph.entries(path)
    before = product_before(graph, entries[0]) if len(entries) == 1 else None
    if not isinstance(before, Product) or not (before.bias and before.direct):
        return None
    return before if graph.type[before.op] == "Conv2D" else None


def _amount(size: Any) -> str:
    return "an unknown amount" if pd.isna(size) else bytes_text(float(size))


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
