"""Layers that compute in double precision."""

from __future__ import annotations

from collections.abc import Iterator

from tftrace.findings.basis.evidence import Evidence
from tftrace.findings.basis.figures import (
    by_layer,
    kernels,
    layers_ms,
    name_of,
    of_predict,
    settled_ms,
)
from tftrace.findings.registry import Finding, finding
from tftrace.runs.layer_graph import LayerGraph
from tftrace.text import ms_text

_HALF = 0.5


@finding
def double_precision(profile: Evidence) -> Iterator[Finding]:
    """A layer whose kernels compute in float64."""
    time = layers_ms(profile)
    doubles = _double_ops(profile.layer_graph)
    rates = {} if profile.roofs is None else profile.roofs.matmul_gmacs
    slower = (
        rates["float32"].best / rates["float64"].best
        if "float32" in rates and "float64" in rates
        else None
    )
    # A cast to float64 is a finding of its own.
    doubled = (k for k in kernels(profile) if k.op in doubles and k.plain_type != "Cast")
    for path, mine in by_layer(doubled).items():
        spent = settled_ms(mine)
        types = list(dict.fromkeys(k.op_type for k in mine))
        multiplies = any(k.macs > 0 for k in mine)
        left = 1 / slower if multiplies and slower else _HALF
        beside = f" multiplies {slower:.1f} times slower and" if slower and multiplies else ""
        yield Finding(
            layer=path,
            kind="double precision",
            text=(
                f"{name_of(profile, path)} computes in float64 ({', '.join(types)}): "
                f"{ms_text(spent)} ms, {of_predict(profile, spent)}."
            ),
            cause=f"This machine{beside} moves twice the bytes in float64.",
            remedy="dtype='float32' for the layer (or keras.config.set_floatx) and for the data",
            saving_ms=spent * (1 - left),
            evidence={
                "ms": spent,
                "time_share": spent / time,
                "kernels": types,
                "float32_over_float64": slower,
            },
            sure="modelled",
        )


def _double_ops(graph: LayerGraph) -> set[str]:
    """Operations on the data that hand on float64."""
    return {
        graph.key[i]
        for i, dtype in enumerate(graph.dtype)
        if dtype == "float64" and graph.varies[i]
    }
