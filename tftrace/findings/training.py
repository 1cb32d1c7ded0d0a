"""What costs time in ``fit`` alone: statistics of batches, many small updates, frozen layers, and
what is computed a second time."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from tftrace.findings.basis.evidence import Evidence
from tftrace.findings.basis.figures import layers_ms, name_of, of_predict
from tftrace.findings.registry import Finding, finding_of_fit
from tftrace.graph.phases import OPTIMIZER
from tftrace.tables.frame import total
from tftrace.text import ms_text, share_text

_FAR_ABOVE = 2.0
# Per layer and step: were each update one kernel, a layer of weights and bias would have two.
_MANY_KERNELS = 4
_UPDATES_MATTER = 0.02  # of the pass


@finding_of_fit
def statistics_of_batches(profile: Evidence) -> Iterator[Finding]:
    """A batch norm that takes at least twice its share of the multiplications."""
    layers = profile.layers
    mults = total(layers["mults"] + layers["mults_backward"])
    for row in layers[layers["type"] == "BatchNormalization"].to_dict(orient="records"):
        spent, work = float(row["wall_ms"]), row["mults"] + row["mults_backward"]
        if not mults or pd.isna(work) or not spent:
            continue
        time_share, mults_share = spent / layers_ms(profile), float(work) / mults
        if time_share < _FAR_ABOVE * mults_share:
            continue
        forward, backward = float(row["forward_ms"]), float(row["backward_ms"])
        yield Finding(
            layer=row["path"],
            kind="batch norm in training",
            text=(
                f"{name_of(profile, row['path'])} takes {ms_text(forward)} ms forward and "
                f"{ms_text(backward)} ms backward, {of_predict(profile, spent, 'fit')}, with "
                f"{share_text(mults_share)} of the multiplications."
            ),
            cause=(
                "In training it takes mean and variance from each batch: sums over the whole "
                "tensor forward, and in the gradient sums again and a mean that is laid out to "
                "the size of the tensor. Each is a pass over memory that hardly multiplies."
            ),
            remedy=(
                "where it need not learn (fine-tuning), layer.trainable = False: it then runs "
                "with the statistics that it has"
            ),
            evidence={
                "ms": spent,
                "time_share": time_share,
                "mults_share": mults_share,
                "forward_ms": forward,
                "backward_ms": backward,
            },
        )


@finding_of_fit
def small_updates(profile: Evidence) -> Iterator[Finding]:
    """Updates of the weights as many kernels, where they take a visible part of the pass."""
    ops = profile.ops
    mine = ops[ops["phase"].eq(OPTIMIZER) & ops["calls"].gt(0)]
    updated = mine["layer"].nunique()
    spent = float(mine["wall_ms"].sum())
    if not updated or profile.run["jit"]:
        return
    share = spent / float(profile.wall["wall_ms"].sum())
    if share < _UPDATES_MATTER or len(mine) < _MANY_KERNELS * updated:
        return
    yield Finding(
        layer=None,
        kind="updates of many kernels",
        text=(
            f"The optimizer updates the weights of {updated} layers by {len(mine)} kernels in each "
            f"step: {ms_text(spent)} ms, {of_predict(profile, spent, 'fit')}."
        ),
        cause=(
            "Each operation of the optimizer's formula is a kernel of its own, which reads and "
            "writes the whole variable and its slots."
        ),
        remedy=(
            "model.compile(..., jit_compile=True) lets XLA join the operations of an update; "
            "larger batches make fewer steps"
        ),
        evidence={"ms": spent, "kernels": len(mine), "layers": updated, "wall_share": share},
    )


@finding_of_fit
def frozen_and_differentiated(profile: Evidence) -> Iterator[Finding]:
    """A layer whose weights stay, and through which the gradient passes all the same."""
    layers, ops = profile.layers, profile.ops
    updated = set(ops.loc[ops["phase"].eq(OPTIMIZER), "layer"].dropna())
    for row in layers[layers["params"].gt(0) & layers["call"].eq(1)].to_dict(orient="records"):
        spent = float(row["backward_ms"])
        # Under XLA the updates of several layers may be one kernel, which bears one of them.
        if row["path"] in updated or row["optimizer_ms"] or not spent:
            continue
        yield Finding(
            layer=row["path"],
            kind="gradient through frozen layers",
            text=(
                f"{name_of(profile, row['path'])} has weights that do not change, and its "
                f"gradient takes {ms_text(spent)} ms, {of_predict(profile, spent, 'fit')}: "
                "something in front of it learns."
            ),
            cause="The gradient of what is in front passes through every layer behind.",
            remedy="freeze what is in front of the frozen layers, too, if it need not learn",
            evidence={"ms": spent, "backward_ms": spent},
        )


@finding_of_fit
def computed_anew(profile: Evidence) -> Iterator[Finding]:
    """What the backward pass computes that the forward pass has computed already."""
    for row in profile.layers.to_dict(orient="records"):
        again, backward = float(row["recomputed_ms"]), float(row["backward_ms"])
        if not again:
            continue
        yield Finding(
            layer=row["path"],
            kind="recomputation",
            text=(
                f"{name_of(profile, row['path'])} is computed a second time in the backward pass: "
                f"{ms_text(again)} of its {ms_text(backward)} ms there, "
                f"{of_predict(profile, again, 'fit')}."
            ),
            cause=(
                "tf.recompute_grad (keras.remat) keeps nothing of what lies inside for the "
                "gradient, which saves memory and costs another forward pass."
            ),
            remedy=(
                "where the memory suffices (run --memory tells who holds it), leave it out, or "
                "keep it to the layers whose outputs are large and cheap to compute"
            ),
            evidence={"ms": again, "recomputed_ms": again, "backward_ms": backward},
        )
