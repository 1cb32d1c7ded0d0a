"""Activations that run as passes of their own behind a convolution or matrix product."""

from __future__ import annotations

from collections.abc import Iterator

from tftrace.findings.chains import FUSED_ACTIVATIONS, FUSING, Product, product_before
from tftrace.findings.evidence import Evidence
from tftrace.findings.figures import Kernel, by_layer, kernels, layers_ms, settled_ms
from tftrace.findings.registry import Finding, finding
from tftrace.runs.layer_graph import LayerGraph
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
    time, graph = layers_ms(profile), profile.layer_graph
    for path, mine in by_layer(kernels(profile)).items():
        products = (_product(graph, k.op) for k in mine if k.op_type in _CURVES)
        product = next((p for p in products if p is not None), None)
        if product is not None:
            passes = [k for k in mine if k.op_type in _ELEMENTWISE]
            yield _finding(path, passes, time, graph, product)


def _product(graph: LayerGraph, key: str) -> Product | None:
    """What makes the activation's input, unless folding a batch norm lets the two fuse."""
    op = graph.index.get(key)
    source = None if op is None else _input_of_activation(graph, op)
    if op is None or source is None:
        return None
    # Swish and GELU read their input twice.
    found = product_before(graph, source, past_norms=True, forks=True)
    if isinstance(found, str):
        return None
    fuses = found.direct and graph.type[found.op] in FUSING
    return None if fuses and graph.type[op] in FUSED_ACTIVATIONS else found


def _input_of_activation(graph: LayerGraph, op: int) -> int | None:
    """Back from the curve past what the activation does to its argument, scaling it, say."""
    layer = graph.owner[op]
    while len(sources := graph.data_inputs(op)) == 1:
        op = sources[0]
        if graph.owner[op] != layer or graph.type[op] not in _ELEMENTWISE:
            return op
    return None


def _finding(
    path: str,
    passes: list[Kernel],
    time: float,
    graph: LayerGraph,
    product: Product,
) -> Finding:
    at_stake = settled_ms(passes)
    kinds = list(dict.fromkeys(k.op_type for k in passes))
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
