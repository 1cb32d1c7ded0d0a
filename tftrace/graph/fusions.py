"""What TensorFlow's optimizer makes part of a product on a CPU, without and with oneDNN.

Read off optimized graphs of TensorFlow 2.21; `tests/graph/test_fusions.py` asks TensorFlow again.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeAlias

_RELUS = ("ReLU", "ReLU6", "ELU", "leaky ReLU")
_Activations: TypeAlias = dict[str, tuple[str, ...]]
_PLAIN: _Activations = {"Conv2D": _RELUS, "MatMul": _RELUS}
_ONEDNN: _Activations = {
    # x * sigmoid(x) too, but Keras's swish multiplies by one inside: it stays a kernel.
    "Conv2D": (*_RELUS, "mish", "hard swish"),
    "Conv3D": (*_RELUS, "mish"),
    "DepthwiseConv2dNative": ("ReLU", "ReLU6", "ELU", "hard swish"),
    "MatMul": (*_RELUS, "sigmoid", "tanh", "GELU"),
}

_NAMES = {
    "Elu": "ELU",
    "LeakyRelu": "leaky ReLU",
    "Relu": "ReLU",
    "Relu6": "ReLU6",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
}
# What an activation is that multiplies by its own input, by its curve.
_GATED = {
    "Softplus": "mish",
    "Sigmoid": "swish",
    "Relu6": "hard swish",
    "Erf": "GELU",
    "Erfc": "GELU",
    "Tanh": "GELU",
}


# Kernels of oneDNN's for what multiplies by its own input, and the element types they take.
_GATES = {"swish": "_MklSwish", "mish": "_MklFusedMish"}
_GATE_TYPES = ("float32", "bfloat16", "float16")


def takes_bias(product: str, onednn: bool) -> bool:
    """Whether a product of that plain type takes in the bias behind it."""
    return product in (_ONEDNN if onednn else _PLAIN)


def activations_taken(product: str, onednn: bool) -> tuple[str, ...]:
    """Names of the activations that a product takes in behind a bias."""
    return (_ONEDNN if onednn else _PLAIN).get(product, ())


def takes_activation(product: str, types: Collection[str], onednn: bool) -> bool:
    """Whether a product takes in, behind a bias, an activation of operations of those types."""
    return activation_name(types) in activations_taken(product, onednn)


def gate_kernel(types: Collection[str], dtype: str) -> str | None:
    """oneDNN's kernel for an activation of operations of those types; None: it stays apart."""
    name = activation_name(types)
    return _GATES.get(name) if name is not None and dtype in _GATE_TYPES else None


def activation_name(types: Collection[str]) -> str | None:
    """The activation that operations of those plain types compute; None: not one known here."""
    names = _GATED if "Mul" in types else _NAMES
    return next((name for curve, name in names.items() if curve in types), None)
