"""Convolutions that run far below what the machine can do: thin ones and dilated ones."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import pandas as pd

from tftrace.findings.basis.commands import WITHOUT_XLA
from tftrace.findings.basis.evidence import Evidence
from tftrace.findings.basis.figures import by_layer, kernels, name_of, settled_ms, settled_part
from tftrace.findings.registry import Finding, finding
from tftrace.graph.kernel_types import plain_type
from tftrace.graph.types import CALLS
from tftrace.runs.layer_graph import LayerGraph
from tftrace.text import ms_text

_FAR_BELOW = 0.25
_COPIES = frozenset(("BatchToSpaceND", "SpaceToBatchND"))


@finding
def thin_convolution(profile: Evidence) -> Iterator[Finding]:
    """A depthwise or grouped convolution that reaches a small part of its roof."""
    seen, layers = by_layer(kernels(profile)), profile.layers
    thin = _thin_layers(profile.layer_graph)
    others = layers[layers["type"].str.startswith("Conv") & ~layers["path"].isin(thin)]
    usual = others["gmacs_per_s"].median()
    measured = layers[layers["path"].isin(thin) & layers["roof_share"].notna()]
    for row in measured.to_dict(orient="records"):
        part = settled_part(seen.get(row["path"], []))
        spent = float(row["wall_ms"]) * part
        share = float(row["roof_share"]) / part if part else 1.0
        if share > _FAR_BELOW:
            continue
        yield _thin(profile, row, thin[row["path"]], spent, share, usual)


def _thin(
    profile: Evidence,
    row: dict[Hashable, Any],
    how: str,
    spent: float,
    share: float,
    usual: float,
) -> Finding:
    rate = None if pd.isna(row["gmacs_per_s"]) else float(row["gmacs_per_s"])
    plain = None if pd.isna(usual) else float(usual)
    beside = "" if plain is None else f", the plain convolutions {plain:.1f}"
    compiled = how == "depthwise" and bool(profile.run["jit"])
    reached = "" if rate is None else f" It makes {rate:.2f} GMAC/s{beside}."
    return Finding(
        layer=row["path"],
        kind=f"{how} convolution",
        text=(
            f"{name_of(profile, row['path'])} ({how}) takes {ms_text(spent)} ms and reaches "
            f"{share:.1%} of its "
            f"{row['bound']} roof on this machine.{reached}"
        ),
        cause=_CAUSES["compiled" if compiled else how],
        remedy=_REMEDIES["compiled" if compiled else how],
        command=WITHOUT_XLA if compiled else None,
        evidence={
            "ms": spent,
            "roof_share": share,
            "bound": row["bound"],
            "gmacs_per_s": rate,
            "plain_gmacs_per_s": plain,
            "xla": bool(profile.run["jit"]),
        },
    )


_CAUSES = {
    "depthwise": (
        "Few multiplications do not make it quick: each input value is used for one channel "
        "only, so there is no matrix product to run at the machine's rate."
    ),
    "compiled": (
        "XLA has no kernel for depthwise convolutions on a CPU and runs its general loop, many "
        "times slower than TensorFlow's own kernel."
    ),
    "grouped": (
        "TensorFlow has no kernel for groups on a CPU: Keras lets XLA compile one, without the "
        "matrix products of a plain convolution."
    ),
}
_REMEDIES = {
    "depthwise": (
        "try a plain convolution of fewer channels, or fewer and larger blocks: count time, not "
        "multiplications"
    ),
    "compiled": "leave XLA off",
    "grouped": (
        "try a plain convolution whose kernel is zero between the groups: the same function, "
        "more multiplications, often less time; or one Conv2D per group"
    ),
}


def _thin_layers(graph: LayerGraph) -> dict[str, str]:
    """Paths of depthwise and grouped convolutions, with which they are."""
    found: dict[str, str] = {}
    for op, kind in enumerate(graph.type):
        path, layer = graph.path(op), graph.layer_type(op) or ""
        if path is None:
            continue
        if plain_type(kind) == "DepthwiseConv2dNative":
            found[path] = "depthwise"
        elif kind in CALLS and layer.startswith("Conv") and "LSTM" not in layer:
            found.setdefault(path, "grouped")
    return found


@finding
def dilated_by_copies(profile: Evidence) -> Iterator[Finding]:
    """A dilated convolution that is run as a plain one between two copies."""
    depthwise = {p for p, how in _thin_layers(profile.layer_graph).items() if how == "depthwise"}
    for path, mine in by_layer(kernels(profile)).items():
        copies = [k for k in mine if k.plain_type in _COPIES]
        if not copies:
            continue
        spent, whole = settled_ms(copies), settled_ms(mine)
        native = path not in depthwise
        yield Finding(
            layer=path,
            kind="dilation by copies",
            text=(
                f"{name_of(profile, path)} is dilated and runs as SpaceToBatchND, convolution, "
                f"BatchToSpaceND: the two copies take {ms_text(spent)} of its {ms_text(whole)} ms."
            ),
            cause=(
                "Keras calls tf.nn.convolution, which rearranges the image so that a plain "
                "convolution does; bias and activation are not fused behind the copy."
            ),
            remedy=(
                "a small layer of your own that calls tf.nn.conv2d(…, dilations=…), for Conv1D on "
                "a height of 1, runs it without copies"
                if native
                else "none without another architecture: on a CPU the depthwise kernel has no "
                "dilation"
            ),
            saving_ms=spent if native else None,
            evidence={"ms": spent, "layer_ms": whole, "copies": int(sum(k.calls for k in copies))},
            sure="modelled" if native else "measured",
        )
