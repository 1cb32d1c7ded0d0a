"""Activations that run as passes of their own behind a convolution or matrix product."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from tftrace.advice.findings.chains import FUSED_ACTIVATIONS, FUSING, Product, product_before
from tftrace.advice.findings.figures import kernels, layers_ms
from tftrace.advice.findings.registry import Evidence, Finding, finding
from tftrace.attribution.layer_graph import LayerGraph
from tftrace.text import ms_text

_CURVES = frozenset(
    ("Erf", "Erfc", "Selu", "Sigmoid", "Softplus", "Softsign", "Tanh", *FUSED_ACTIVATIONS)
)
_ELEMENTWISE = _CURVES | {
    *("Add", "AddV2", "Exp", "Maximum", "Minimum", "Mul", "Neg", "RealDiv", "SelectV2", "Square"),
    "Sub",
}


@finding
def activation_pass(profile: Evidence) -> Iterator[Finding]:
    """An activation that TensorFlow could not make part of the kernel before it."""
    seen, time, graph = kernels(profile), layers_ms(profile), profile.layer_graph
    for path, mine in seen.groupby("layer", sort=False):
        curves = mine[mine["op_type"].isin(_CURVES)]
        products = [_product(graph, op) for op in curves["op"]]
        product = next((p for p in products if p is not None), None)
        if product is None:
            continue
        passes = mine[mine["op_type"].isin(_ELEMENTWISE)]
        yield _finding(str(path), passes, time, graph, product)


def _product(graph: LayerGraph, key: str) -> Product | None:
    """What makes the activation's input, unless folding a batch norm lets the two fuse."""
    op = graph.index.get(key)
    if op is None:
        return None
    sources = graph.data_inputs(op)
    found = product_before(graph, sources[0], past_norms=True) if len(sources) == 1 else ""
    if not isinstance(found, Product):
        # Swish and GELU read their input twice; the last reader before the fork decides.
        found = _before_fork(graph, sources[0]) if len(sources) == 1 else ""
    if not isinstance(found, Product):
        return None
    fusable = found.direct and graph.type[found.op] in FUSING
    if fusable and graph.type[op] in FUSED_ACTIVATIONS:
        return None
    return found


def _before_fork(graph: LayerGraph, op: int) -> Product | str:
    """As `product_before` for a value whose readers are all of one layer: its activation."""
    if len({graph.owner[reader] for reader in graph.consumers[op]}) > 1:
        return "its input has other readers too"
    sources = graph.data_inputs(op)
    return product_before(graph, sources[0], past_norms=True) if len(sources) == 1 else ""


def _finding(
    path: str,
    passes: pd.DataFrame,
    time: float,
    graph: LayerGraph,
    product: Product,
) -> Finding:
    at_stake = float(passes["settled_ms"].sum())
    kinds = list(dict.fromkeys(passes["op_type"]))
    behind = graph.type[product.op]
    many = f"{len(passes)} kernels" if len(passes) > 1 else "a kernel"
    return Finding(
        layer=path,
        kind="activation pass",
        text=(
            f"The activation in {path} runs as {many} of its own ({', '.join(kinds)}), "
            f"{ms_text(at_stake)} ms, {at_stake / time:.1%} of the layers' time."
        ),
        cause=_cause(behind, product.direct),
        remedy=(
            "XLA runs such a chain in one pass: --try jit measures it; "
            "a ReLU behind a convolution or Dense costs no pass at all"
        ),
        evidence={
            "ms": at_stake,
            "time_share": at_stake / time,
            "kernels": kinds,
            "behind": behind,
        },
        sure="measured",
    )


def _cause(behind: str, direct: bool) -> str:
    if behind not in FUSING:
        return f"TensorFlow fuses no activation into {behind}: it reads and writes it all again."
    if not direct:
        return (
            f"A reshape or copy stands between {behind} and the activation and keeps TensorFlow "
            "from fusing them: everything is read and written again."
        )
    return (
        "TensorFlow fuses ReLU, ReLU6, ELU and leaky ReLU into a convolution; others read and "
        "write the whole activation again, once per kernel."
    )
