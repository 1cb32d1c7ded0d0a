"""What a kernel's type says: known names by hand, and every name that TensorFlow registers."""

import re

import pytest

from tftrace.graph.kernel_types import computes, is_onednn, kernel_type, plain_type


@pytest.mark.parametrize(
    ("name", "plain", "fused"),
    [
        ("Conv2D", ["Conv2D"], False),
        ("_FusedConv2D", ["Conv2D"], True),
        ("_MklNativeConv2D", ["Conv2D"], False),
        ("_MklNativeFusedConv2D", ["Conv2D"], True),
        ("_MklNativeConv2DWithBias", ["Conv2D", "BiasAdd"], True),
        ("_MklNativePadWithConv2D", ["Conv2D", "Pad"], True),
        ("_MklNativePadWithFusedConv2D", ["Conv2D", "Pad"], True),
        (
            "_MklNativeConv2DBackpropFilterWithBias",
            ["Conv2DBackpropFilter", "BiasAddGrad"],
            True,
        ),
        ("_MklConv3DBackpropInputV2", ["Conv3DBackpropInput"], False),
        ("_FusedDepthwiseConv2dNative", ["DepthwiseConv2dNative"], True),
        ("_MklNativeDepthwiseConv2dNative", ["DepthwiseConv2dNative"], False),
        ("_MklNativeFusedMatMul", ["MatMul"], True),
        ("BatchMatMulV2", ["BatchMatMul"], False),
        ("_MklBatchMatMulV2", ["BatchMatMul"], False),
        ("_MklFusedBatchMatMulV2", ["BatchMatMul"], True),
        ("_MklEinsum", ["Einsum"], False),
        ("_MklSoftmax", ["Softmax"], False),
        ("_MklTranspose", ["Transpose"], False),
        ("_MklSwish", ["Sigmoid", "Mul"], True),
        ("_MklFusedMish", ["Softplus", "Tanh", "Mul"], True),
        ("_MklLayerNorm", ["LayerNorm"], True),
        ("_MklFusedInstanceNorm", ["InstanceNorm"], True),
        # One public operation: "Fused" is its name.
        ("FusedBatchNormV3", ["FusedBatchNorm"], False),
        ("_MklNativeFusedBatchNormV3", ["FusedBatchNorm"], False),
        ("_FusedBatchNormEx", ["FusedBatchNorm"], True),
        ("_MklNativeFusedBatchNormEx", ["FusedBatchNorm"], True),
        (
            "_MklQuantizedConv2DWithBiasSumAndReluAndRequantize",
            ["QuantizedConv2D", "BiasAdd", "Add", "Relu", "Requantize"],
            True,
        ),
        ("_QuantizedMatMul", ["QuantizedMatMul"], True),
        ("QuantizeAndDequantizeV2", ["QuantizeAndDequantize"], False),
        ("_HostCast", ["Cast"], False),
        # The runtime's own, and what is not TensorFlow's at all.
        ("_Arg", ["_Arg"], False),
        ("_Send", ["_Send"], False),
        ("fusion", ["fusion"], False),
        ("", [""], False),
    ],
)
def test_known_names(name, plain, fused):
    assert list(kernel_type(name).plain) == plain
    assert kernel_type(name).fused is fused
    assert plain_type(name) == plain[0]


def test_a_kernel_computes_each_of_its_types():
    assert computes("_MklSwish", frozenset(["Mul", "Relu"]))
    assert not computes("_MklSwish", frozenset(["Tanh"]))


def test_onednn_is_told_by_its_prefix():
    assert is_onednn("_MklSwish")
    assert is_onednn("_MklNativeMaxPool")
    assert not is_onednn("_FusedMatMul")
    assert not is_onednn("MklSwish")


# What has no public twin: rules can only name it as it is.
NO_TWIN = {"InstanceNorm", "LayerNorm", "QuantizedMaxPool3D", "_UnaryOpsComposition"}


@pytest.fixture(scope="module")
def registered():
    kernels = pytest.importorskip("tensorflow.python.framework.kernels")
    return {kernel.op for kernel in kernels.get_all_registered_kernels().kernel}


def is_public(plain):
    registry = pytest.importorskip("tensorflow.python.framework.op_def_registry")
    known = (registry.get(plain + version) for version in ("", "V2", "V3"))
    return not plain.startswith("_") and any(op is not None for op in known)


def test_every_kernel_that_is_renamed_has_a_public_type(registered):
    renamed = {name for name in registered if re.match("_+(Mkl|Fused|Quantized)", name)}
    assert len(renamed) > 100
    for name in renamed:
        assert plain_type(name) != name
        unknown = {p for p in kernel_type(name).plain if not is_public(p)}
        assert unknown <= NO_TWIN, name


def test_every_other_kernel_is_itself_or_a_fusion_of_what_is_public(registered):
    for name in registered:
        found = kernel_type(name)
        assert found.fused or len(found.plain) == 1, name
        if found.fused:
            assert all(is_public(p) or p in NO_TWIN for p in found.plain), name
        elif not name.startswith("_"):
            assert re.sub(r"V\d$", "", name) == found.plain[0]
