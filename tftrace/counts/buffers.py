"""Which kernels need memory of their own, and which share or write over what they are given.

Read off TensorFlow 2.21's kernels on a CPU (``forward_input_or_allocate_output``, ``set_output`` of
an input); `tests/counts/test_buffers.py` asks TensorFlow again. A type that nothing is known of
makes every output anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

from tftrace.counts.traffic import VIEWS
from tftrace.graph import Node, TensorSpec
from tftrace.graph.kernel_types import kernel_type, plain_type

_L2, _L3 = 256 << 10, 30 << 20
"""Bytes of the caches for which TensorFlow's convolution gradients are cut."""

HANDLES = ("resource", "variant")
"""Element types of what only refers to memory."""

_ALIGNMENT = 64
"""A part of a tensor is handed on as it is where its rows are multiples of so many bytes
(EIGEN_MAX_ALIGN_BYTES)."""

_PASSES = VIEWS | {"Enter", "Exit", "NextIteration", "OptionalGetValue", "ReadVariableOp"}
_OVER_FIRST = frozenset(
    (
        *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BiasAdd", "Ceil"),
        *("ClipByValue", "Cos", "Cosh", "Elu", "Erf", "Erfc", "Exp", "Expm1", "Floor", "Inv"),
        *("LeakyRelu", "Log", "Log1p", "LogSoftmax", "LogicalNot", "Neg", "Reciprocal", "Relu"),
        *("Relu6", "Rint", "Round", "Rsqrt", "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax"),
        *("Softplus", "Softsign", "Sqrt", "Square", "Tan", "Tanh"),
    )
)
_OVER_ANY = frozenset(
    (
        *("Add", "AddN", "Atan2", "Div", "DivNoNan", "EluGrad", "FloorDiv", "FloorMod"),
        *("LeakyReluGrad", "LogicalAnd", "LogicalOr", "Maximum", "Minimum", "Mod", "Mul"),
        *("MulNoNan", "Pow", "RealDiv", "Relu6Grad", "ReluGrad", "RsqrtGrad", "Select"),
        *("SeluGrad", "SigmoidGrad", "SoftplusGrad", "SoftsignGrad", "SqrtGrad"),
        *("SquaredDifference", "Sub", "TanhGrad", "TruncateDiv", "TruncateMod", "Xdivy", "Xlogy"),
    )
)
_WHOLE = frozenset(
    (
        *("All", "Any", "BroadcastTo", "Cast", "Concat", "Max", "Mean", "Min", "Pack", "Pad"),
        *("Prod", "ResizeBilinear", "ResizeNearestNeighbor", "Slice", "StridedSlice", "Sum"),
        *("Tile", "Transpose"),
    )
)
"""Hand their tensor on where they have nothing to do."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel and what it takes: the specs of its inputs, and their values where known.

    ``threads`` are those among which it shares out its work.
    """

    node: Node
    sources: tuple[TensorSpec, ...]
    values: tuple[object, ...]
    onednn: bool
    threads: int

    @property
    def type(self) -> str:
        """What it computes, without a version."""
        return plain_type(self.node.type)


def shared(kernel: Kernel) -> dict[int, int]:
    """Outputs that are the buffer of an input, or part of it, and which input that is."""
    outputs = kernel.node.outputs
    if kernel.node.type == "IdentityN":
        return {index: index for index in range(len(outputs))}
    if not outputs or not kernel.sources:
        return {}
    if kernel.node.type in _PASSES:
        return {0: 0}
    rule = _PARTS.get(kernel.type)
    if rule is not None and (source := rule(kernel)) is not None:
        return dict.fromkeys(range(len(outputs)), source)
    if kernel.type in _WHOLE:
        # What joins several tensors has nothing to do where only one of them has elements.
        whole = [i for i, spec in enumerate(kernel.sources) if _same(spec, outputs[0])]
        return {0: whole[0]} if whole else {}
    return {}


def overwritten(kernel: Kernel) -> tuple[int, ...]:
    """Inputs whose buffers output 0 may take over when nobody else needs them, the first first."""
    fused = kernel_type(kernel.node.type).fused
    if kernel.type in _OVER_FIRST and not fused:
        candidates = range(1)
    elif kernel.type in _OVER_ANY and not fused:
        candidates = range(len(kernel.sources))
    elif "Add" in (kernel.node.attrs.get("fused_ops") or ()):
        # A product that adds to what another made: behind its operands and the bias.
        candidates = range(2, len(kernel.sources))
    else:
        return ()
    output = kernel.node.outputs[0]
    return tuple(i for i in candidates if _same(kernel.sources[i], output))


def temporary_bytes(kernel: Kernel) -> int:
    """What a kernel has beside its outputs while it runs, as far as it follows from its shapes.

    oneDNN's max pooling notes where each maximum was, for a gradient: one byte per output. Without
    oneDNN, a convolution's gradients write out the windows of some images (`_columns`).
    """
    if kernel.onednn:
        return (kernel.node.outputs[0].size or 0) if kernel.type == "MaxPool" else 0
    if kernel.type in ("Conv2DBackpropFilter", "Conv2DBackpropInput"):
        return _columns(kernel)
    return 0


def _columns(kernel: Kernel) -> int:
    """Windows of as many images as fill the caches with the product that follows.

    One image, places x (window x channels) elements, where the product of one is large enough for
    all threads (tensorflow/core/kernels/conv_grad_input_ops.h and conv_grad_filter_ops.cc, for
    float32; the sizes of the caches are constants there).
    """
    of_filter = kernel.type == "Conv2DBackpropFilter"
    weights = kernel.node.outputs[0] if of_filter else kernel.sources[1]
    gradient = kernel.sources[2]
    if weights.size is None or gradient.size is None or not gradient.size:
        return 0
    batch, *places, filters = (int(size or 0) for size in gradient.shape or ())
    columns = prod(places) * (weights.size // filters)
    work = columns + weights.size + prod(places) * filters
    large = work // kernel.threads >= _L2 // 4
    alone = not of_filter and (batch == 1 or large)
    images = 1 if alone else -(-((_L2 + _L3) // 4) // work)
    return images * columns * 4


def _same(one: TensorSpec, other: TensorSpec) -> bool:
    return one.size is not None and one.size == other.size and one.dtype == other.dtype


def _aligned(spec: TensorSpec) -> bool:
    """Whether each row, along the first axis, begins at a multiple of `_ALIGNMENT`."""
    return bool(spec.shape and spec.shape[0] and spec.bytes is not None) and not (
        spec.bytes // spec.shape[0] % _ALIGNMENT  # type: ignore[index, operator]
    )


def _leading(kernel: Kernel) -> int | None:
    """Of what cuts out a part: rows of its first axis, whole and one behind the other."""
    source, output = kernel.sources[0], kernel.node.outputs[0]
    if not _aligned(source) or output.shape is None or source.shape is None:
        return None
    strides = kernel.values[3] if kernel.node.type == "StridedSlice" else ()
    if not isinstance(strides, list | tuple) or any(stride != 1 for stride in strides):
        return None
    rows = (output.shape[1:], output.shape if kernel.node.attrs.get("shrink_axis_mask") else None)
    return 0 if source.shape[1:] in rows else None


def _split(kernel: Kernel) -> int | None:
    place, axis = (1, 0) if kernel.node.type == "Split" else (0, 2)
    whole = len(kernel.node.outputs) == 1
    rows = kernel.values[axis] == 0 and _aligned(kernel.sources[place])
    return place if whole or rows else None


def _unpack(kernel: Kernel) -> int | None:
    rows = kernel.node.attrs.get("axis") == 0 and _aligned(kernel.sources[0])
    return 0 if rows or len(kernel.node.outputs) == 1 else None


def _transpose(kernel: Kernel) -> int | None:
    """Only axes of one element change places."""
    order, shape = kernel.values[1], kernel.sources[0].shape
    if not isinstance(order, list) or shape is None:
        return None
    moved = [axis for axis in order if shape[axis] != 1]
    return 0 if moved == sorted(moved) else None


_PARTS: Mapping[str, Callable[[Kernel], int | None]] = {
    "Slice": _leading,
    "Split": _split,
    "SplitV": _split,
    "StridedSlice": _leading,
    "Transpose": _transpose,
    "Unpack": _unpack,
}
"""The input of which every output is a part, by type; None where the kernel copies."""
