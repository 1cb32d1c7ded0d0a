"""Rules about activations on runs made by hand: what triggers them, and what must not."""

import pytest
from runs_by_hand import graph, kernel, layer, run
from runs_for_rules import (
    both_settings,  # noqa: F401
    conv_then,
    kinds,
    only,
)

from tftrace.findings import find
from tftrace.findings.basis import figures


def activation_run(op_type: str, kernel_type: str):
    structure = conv_then(("act", op_type, "m/conv", ["bias"]), ("o", "Identity", None, ["act"]))
    ops = [kernel("conv", "Conv2D", "m/conv", 6), kernel("act", kernel_type, "m/conv", 4)]
    return run([layer("m/conv", "Conv2D", 10)], ops, structure)


def test_a_tanh_behind_a_convolution_is_a_pass_of_its_own() -> None:
    finding = only(find(activation_run("Tanh", "Tanh")), "activation pass")
    assert finding["evidence"] == {
        "ms": 4,
        "time_share": 0.4,
        "kernels": ["Tanh"],
        "behind": "Conv2D",
    }
    assert finding["saving_ms"] is None


def swish_run(kernels):
    """Swish behind a convolution: the curve and its product with its input."""
    structure = conv_then(
        ("act", "Sigmoid", "m/conv", ["bias"]),
        ("mul", "Mul", "m/conv", ["bias", "act"]),
        ("o", "Identity", None, ["mul"]),
    )
    return run([layer("m/conv", "Conv2D", 10)], kernels, structure)


def test_a_swish_in_one_kernel_bears_the_name_of_its_product() -> None:
    one = kernel("mul", "_MklSwish", "m/conv", 4, members=["mul", "act"])
    finding = only(find(swish_run([one])), "activation pass")
    assert (finding["evidence"]["kernels"], finding["evidence"]["ms"]) == (["_MklSwish"], 4)
    two = [kernel("act", "Sigmoid", "m/conv", 3), kernel("mul", "Mul", "m/conv", 1)]
    finding = only(find(swish_run(two)), "activation pass")
    assert (finding["evidence"]["kernels"], finding["evidence"]["ms"]) == (["Sigmoid", "Mul"], 4)


def test_a_swish_inside_the_convolution_is_none() -> None:
    whole = kernel("mul", "_FusedConv2D", "m/conv", 10, members=["mul", "act", "bias", "conv"])
    assert "activation pass" not in kinds(find(swish_run([whole])))


@pytest.mark.parametrize(
    ("product", "activation", "saving", "with_onednn"),
    [
        # The norm's 2 ms and the activation's 2.
        ("Conv2D", "Relu", 4, 4),
        # Without oneDNN a bias comes, which takes a pass like the norm's.
        ("DepthwiseConv2dNative", "Relu", 0, 4),
        # A bias fuses, the activation with oneDNN only.
        ("MatMul", "Tanh", 2, 4),
    ],
)
def test_an_activation_that_a_fold_lets_fuse_is_the_norms_matter(
    onednn, product, activation, saving, with_onednn
) -> None:
    structure = graph(
        ("x", "Placeholder", None),
        ("w", "ReadVariableOp", "m/a"),
        ("product", product, "m/a", ["x", "w"]),
        ("bn", "Mul", "m/bn", ["product", "w"]),
        ("act", activation, "m/act", ["bn"]),
        ("o", "Identity", None, ["act"]),
        types={"m/bn": "BatchNormalization"},
    )
    layers = [layer("m/a", "Layer", 6, mults=99)]
    layers.append(layer("m/bn", "BatchNormalization", 2, mults=1))
    ops = [kernel("product", product, "m/a", 6), kernel("bn", "Mul", "m/bn", 2)]
    ops.append(kernel("act", activation, "m/act", 2))
    found = find(run([*layers, layer("m/act", "Activation", 2)], ops, structure))
    saves = with_onednn if onednn else saving
    assert only(found, "unfused batch norm")["saving_ms"] == pytest.approx(saves)
    assert ("activation pass" in kinds(found)) is (saves < 4)


def test_padding_inside_the_convolution_is_no_pass() -> None:
    ops = [kernel("conv", "_MklNativePadWithConv2D", "m/conv", 10, members=["conv", "pad"])]
    assert "padding pass" not in kinds(find(run([layer("m/conv", "Conv2D", 10)], ops)))


def test_a_run_that_does_not_say_tells_by_its_kernels(onednn) -> None:
    profile = activation_run("Tanh", "Tanh")
    del profile.machine["onednn"]
    assert figures.onednn_ran(profile) is onednn


def test_a_relu_inside_the_convolution_is_none() -> None:
    assert "activation pass" not in kinds(find(activation_run("Relu", "_FusedConv2D")))
