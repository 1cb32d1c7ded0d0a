"""Activations that run as passes of their own behind a convolution or matrix product."""

from __future__ import annotations

from collections.abc import Iterator

from tftrace.findings.basis.chains import CURVES, ELEMENTWISE, Product, product_before
from tftrace.findings.basis.commands import TRY_XLA
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
)
from tftrace.findings.registry import Finding, finding
from tftrace.graph.fusions import activations_taken, takes_activation, takes_bias
from tftrace.graph.kernel_types import plain_type
from tftrace.runs.layer_graph import LayerGraph
from tftrace.text import ms_text


@finding
def activation_pass(profile: Evidence) -> Iterator[Finding]:
    """An activation that TensorFlow could not make part of the kernel before it."""
    time, graph, with_onednn = layers_ms(profile), profile.layer_graph, onednn_ran(profile)
    for path, mine in by_layer(kernels(profile)).items():
        passes = [k for k in mine if k.plain_type in ELEMENTWISE]
        product = _product(graph, passes, with_onednn)
        if product is not None:
            yield _finding(profile, path, passes, time, product, with_onednn)


def _product(graph: LayerGraph, passes: list[Kernel], with_onednn: bool) -> Product | None:
    """What makes the activation's input, unless folding a batch norm lets the two fuse."""
    ops = [graph.index[name] for k in passes for name in k.members if name in graph.index]
    curves = [op for op in ops if plain_type(graph.type[op]) in CURVES]
    sources = (_input_of_activation(graph, op) for op in curves)
    # Swish and GELU read their input twice.
    before = (
        product_before(graph, source, past_norms=True, forks=True)
        for source in sources
        if source is not None
    )
    found = next((p for p in before if isinstance(p, Product)), None)
    if found is None:
        return None
    types = {plain_type(graph.type[op]) for op in ops}
    kind = plain_type(graph.type[found.op])
    fuses = found.direct and takes_activation(kind, types, with_onednn)
    return None if fuses else found


def _input_of_activation(graph: LayerGraph, op: int) -> int | None:
    """Back from the curve past what the activation does to its argument, scaling it, say."""
    layer = graph.owner[op]
    while len(sources := graph.data_inputs(op)) == 1:
        op = sources[0]
        if graph.owner[op] != layer or plain_type(graph.type[op]) not in ELEMENTWISE:
            return op
    return None


def _finding(
    profile: Evidence,
    path: str,
    passes: list[Kernel],
    time: float,
    product: Product,
    with_onednn: bool,
) -> Finding:
    at_stake = settled_ms(passes)
    kinds = list(dict.fromkeys(k.op_type for k in passes))
    behind = profile.layer_graph.type[product.op]
    many = f"{len(passes)} kernels" if len(passes) > 1 else "a kernel"
    return Finding(
        layer=path,
        kind="activation pass",
        text=(
            f"The activation in {name_of(profile, path)} runs as {many} of its own "
            f"({', '.join(kinds)}), {ms_text(at_stake)} ms, {of_predict(profile, at_stake)}."
        ),
        cause=_cause(behind, product.direct, with_onednn),
        remedy=(
            "XLA runs such a chain in one pass; a ReLU behind a convolution or Dense costs no pass "
            "at all"
        ),
        command=TRY_XLA,
        evidence={
            "ms": at_stake,
            "time_share": at_stake / time,
            "kernels": kinds,
            "behind": behind,
        },
        sure="measured",
    )


def _cause(behind: str, direct: bool, with_onednn: bool) -> str:
    *most, last = activations_taken(plain_type(behind), with_onednn) or ("",)
    if not takes_bias(plain_type(behind), with_onednn):
        return f"TensorFlow fuses no activation into {behind}: it reads and writes it all again."
    if not direct:
        return (
            f"A reshape or copy stands between {behind} and the activation and keeps TensorFlow "
            "from fusing them: everything is read and written again."
        )
    library = " with oneDNN" if with_onednn else ""
    return (
        f"TensorFlow{library} fuses {', '.join(most)} and {last} into {behind}; others read and "
        "write the whole activation again, once per kernel."
    )
