"""What stands between a layer and the convolution or matrix product next to it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

from tftrace.graph.kernel_types import plain_type
from tftrace.graph.types import CALLS, DTYPE_BYTES
from tftrace.runs.layer_graph import LayerGraph

_PRODUCTS = frozenset(
    (
        *("BatchMatMul", "Conv2D", "Conv2DBackpropInput", "Conv3D", "Conv3DBackpropInput"),
        *("DepthwiseConv2dNative", "Einsum", "MatMul"),
    )
)
_BIAS = frozenset(("Add", "BiasAdd"))
_VIEWS = frozenset(("ExpandDims", "Identity", "Reshape", "Squeeze"))
_AVERAGES = frozenset(("AvgPool", "Mean"))
CURVES = frozenset(
    (
        *("Elu", "Erf", "Erfc", "LeakyRelu", "Relu", "Relu6", "Selu", "Sigmoid", "Softplus"),
        *("Softsign", "Tanh"),
    )
)
"""What makes an activation one."""

ELEMENTWISE = CURVES | {
    *("Add", "Exp", "Maximum", "Minimum", "Mul", "Neg", "RealDiv", "Select", "Square", "Sub"),
    "_UnaryOpsComposition",
}
"""What activations are made of."""

_BATCH_NORM = "BatchNormalization"


@dataclass(frozen=True)
class Product:
    """The convolution or matrix product that makes a value.

    ``bias``: one is added behind it. ``direct``: nothing but a bias stands behind it, so that
    TensorFlow can fuse what follows.
    """

    op: int
    bias: bool
    direct: bool


def product_before(
    graph: LayerGraph, op: int, past_norms: bool = False, forks: bool = False
) -> Product | str:
    """Walk back from the value of ``op`` to the product that makes it, or say what is in the way.

    Args:
        past_norms: go past batch norms too.
        forks: a value may have several readers, as long as one layer makes them all.
    """
    bias, direct = False, True
    while True:
        readers = graph.consumers[op]
        if len({graph.owner[r] for r in readers} if forks else readers) > 1:
            return "its input has other readers too"
        kind = plain_type(graph.type[op])
        sources = graph.data_inputs(op)
        if (kind in _PRODUCTS and len(sources) == 1) or _is_grouped(graph, op):
            return Product(op, bias, direct)
        layer = graph.path(op)
        if past_norms and layer is not None and graph.layer_type(op) == _BATCH_NORM:
            sources = graph.entries(layer)
        elif kind in _BIAS and len(sources) == 1:
            bias = True
        elif kind == "BatchToSpaceND" or (kind in _VIEWS and len(sources) == 1):
            direct = direct and kind == "Identity"
        else:
            return _obstacle(graph, op)
        if len(sources) != 1:
            return "its input is one of the model's" if not sources else "several tensors meet"
        op = sources[0]


def products_after(graph: LayerGraph, op: int) -> list[int] | str:
    """Follow every reader of ``op`` to the products that take it, or say what is in the way."""
    found: list[int] = []
    for reader in graph.consumers[op]:
        kind = plain_type(graph.type[reader])
        if graph.owner[reader] < 0:
            return "its result is an output of the model"
        if len(graph.data_inputs(reader)) != 1:
            return "its result meets another tensor"
        if kind in _PRODUCTS:
            if not _takes_offset(graph, op, reader):
                return f"{graph.path(reader)} pads its input"
            found.append(reader)
        elif kind in _VIEWS or kind in _AVERAGES:
            further = products_after(graph, reader)
            if isinstance(further, str):
                return further
            found += further
        else:
            return _obstacle(graph, reader)
    return found


def _obstacle(graph: LayerGraph, op: int) -> str:
    return f"{graph.type[op]} stands between"


def _is_grouped(graph: LayerGraph, op: int) -> bool:
    """Keras calls a function of its own for a grouped convolution."""
    return graph.type[op] in CALLS and "Conv" in (graph.layer_type(op) or "")


def _takes_offset(graph: LayerGraph, op: int, product: int) -> bool:
    """Whether a constant added to the input passes exactly: not where zeros pad the border."""
    kind = plain_type(graph.type[product])
    if kind not in ("Conv2D", "DepthwiseConv2dNative"):
        return kind in ("BatchMatMul", "Einsum", "MatMul")
    before, after = (graph.sites[graph.owner[i]].output_shape for i in (op, product))
    if before is None or after is None:
        return False
    size = _window(graph, product, before, after)
    if size is None or size == 1:
        return size == 1
    side = size if len(before) == 3 else isqrt(size)
    kept = [None if b is None else b - side + 1 for b in before[1:-1]]
    return kept == after[1:-1]


def _window(
    graph: LayerGraph, product: int, before: list[int | None], after: list[int | None]
) -> int | None:
    """Positions of the convolution's window, from the size of its kernel."""
    weights = [i for i in graph.inputs[product] if not graph.varies[i]]
    width = DTYPE_BYTES.get(graph.dtype[product] or "float32")
    size = graph.out_bytes[weights[0]] if weights else None
    if size is None or width is None or not before or not after:
        return None
    channels, filters = before[-1], after[-1]
    if plain_type(graph.type[product]) == "DepthwiseConv2dNative":
        channels = 1
    return size // (width * channels * filters) if channels and filters else None
