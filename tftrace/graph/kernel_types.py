"""What a kernel computes, whatever a library or the optimizer calls it.

TensorFlow's optimizer and oneDNN rename what they run: a ``Conv2D`` with its bias and activation
runs as ``_FusedConv2D`` or ``_MklNativeFusedConv2D``, a transpose as ``_MklTranspose``. Every rule
that compares types asks here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

_ONEDNN = re.compile(r"_+Mkl(Native|Dummy)?")
# TensorFlow's runtime has names of its own with an underscore (``_Arg``, ``_Send``).
_PREFIX = re.compile(_ONEDNN.pattern + r"|_Host(?=Cast$)|_(?=Fused|Quantized)")
_VERSION = re.compile(r"V\d$")
_PARTS = re.compile(
    r"(?<!Quantize)(?:With|And)(Bias(?:SignedSum|Sum)?|Relu|Requantize|Dequantize)(?=With|And|$)"
)

# Names that say otherwise than by a prefix what they compute: public names, the main one first.
_COMPOSED = {
    "FusedBatchNormEx": ("FusedBatchNorm",),
    "FusedBatchNormGradEx": ("FusedBatchNormGrad",),
    "FusedInstanceNorm": ("InstanceNorm",),
    "FusedMish": ("Softplus", "Tanh", "Mul"),
    "FusedPadConv2D": ("Conv2D", "MirrorPad"),
    "FusedResizeAndPadConv2D": ("Conv2D", "MirrorPad", "ResizeBilinear"),
    "LayerNorm": ("LayerNorm",),
    "Swish": ("Sigmoid", "Mul"),
    "_QuantizedMatMul": ("QuantizedMatMul",),
    "_ReadVariablesOp": ("ReadVariableOp",),
    "_UnaryOpsComposition": ("_UnaryOpsComposition",),
    "_VarHandlesOp": ("VarHandleOp",),
}
_ADDED = {
    "Bias": ("BiasAdd",),
    "BiasSignedSum": ("BiasAdd", "Add"),
    "BiasSum": ("BiasAdd", "Add"),
}
# Public operations of one kernel, fused as they are.
_ONE = re.compile(r"FusedBatchNorm(Grad)?(V\d)?$")


@dataclass(frozen=True)
class KernelType:
    """What kernels of one type compute.

    ``plain`` are TensorFlow's public names without a version, the one that takes the time first;
    ``LayerNorm``, ``InstanceNorm`` and ``_UnaryOpsComposition`` have none. ``fused``: such a
    kernel does the work of several operations, perhaps of more than ``plain`` tells; the graph
    knows which.
    """

    plain: tuple[str, ...]
    fused: bool = False


@cache
def kernel_type(name: str) -> KernelType:
    """What kernels of type ``name`` compute; a type that nothing is known of is what it says."""
    bare = name if name in _COMPOSED else _PREFIX.sub("", name, count=1)
    if bare in _COMPOSED:
        return KernelType(_COMPOSED[bare], fused=True)
    if _ONE.match(bare):
        return KernelType((_unversioned(bare),))
    main = _PARTS.sub("", bare.removeprefix("PadWith"))
    beside = [plain for part in _PARTS.findall(bare) for plain in _ADDED.get(part, (part,))]
    if bare.startswith("PadWith"):
        beside.append("Pad")
    if "Backprop" in main:
        beside = ["BiasAddGrad" if plain == "BiasAdd" else plain for plain in beside]
    plain = _unversioned(main.removeprefix("Fused"))
    return KernelType((plain, *beside), bool(beside) or main.startswith("Fused"))


def plain_type(name: str) -> str:
    """The operation that kernels of type ``name`` spend their time on, without a version."""
    return kernel_type(name).plain[0]


def computes(name: str, types: frozenset[str]) -> bool:
    """Whether kernels of type ``name`` compute one of the plain ``types``, by their name."""
    return not types.isdisjoint(kernel_type(name).plain)


def is_onednn(name: str) -> bool:
    """Whether kernels of type ``name`` are oneDNN's."""
    return _ONEDNN.match(name) is not None


def _unversioned(name: str) -> str:
    return _VERSION.sub("", name)
