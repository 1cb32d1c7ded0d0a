"""Rules about batch norm on runs made by hand: what triggers them, what must not; sums by hand."""

import pandas as pd
import pytest
import runs_by_hand
from runs_by_hand import graph, kernel, layer, run
from runs_for_rules import (
    batches,
    both_settings,  # noqa: F401
    call,
    conv_then,
    kinds,
    only,
    precise,
)

from tftrace.findings import find
from tftrace.timeline.share_out import PIPELINE


def norm_run(op_types=("Mul", "AddV2"), mults=1, behind="Softmax"):
    """A norm of 12 of 100 ms behind a biased convolution; ``behind`` reads it."""
    structure = conv_then(
        ("bn/mul", op_types[0], "m/bn", ["bias", "w"]),
        ("bn/add", op_types[-1], "m/bn", ["bn/mul", "w"]),
        ("act", behind, "m/act", ["bn/add"]),
        ("out", "Identity", None, ["act"]),
        types={"m/bn": "BatchNormalization"},
    )
    layers = [
        layer("m/conv", "Conv2D", 85, mults=99),
        layer("m/bn", "BatchNormalization", 12, mults=mults, bytes=50, bytes_executed=100),
        layer("m/act", "ReLU", 3),
    ]
    kernels = [
        kernel("conv", "_FusedConv2D", "m/conv", 85),
        *(
            kernel(f"bn/{name}", kind, "m/bn", 12 / len(op_types))
            for name, kind in zip(("mul", "add"), op_types, strict=False)
        ),
        kernel("act", behind, "m/act", 3),
    ]
    return run(layers, kernels, structure)


def test_a_batch_norm_in_two_passes_is_named_with_kernels_bytes_and_saving() -> None:
    finding = only(find(norm_run()), "unfused batch norm")
    assert finding["layer"] == "m/bn"
    assert "mul (Mul), add (AddV2)" in finding["text"]
    assert "100 B" in finding["text"]
    assert "50 B" in finding["text"]
    assert (finding["saving_ms"], finding["sure"]) == (pytest.approx(12), "measured")
    assert finding["evidence"]["fold"] == "backward"
    assert finding["evidence"]["into"] == ["m/conv"]


@pytest.mark.parametrize(("rest_ms", "said"), [(100.0, False), (1000.0, True)])
def test_a_saving_that_a_stopwatch_will_not_show_says_so(rest_ms, said) -> None:
    """12 ms of a call of 100 + 100 ms are 6 %, of 1,000 + 100 ms about 1 %."""
    profile = norm_run()
    profile.wall.loc[profile.wall["component"] == PIPELINE, "wall_ms"] = rest_ms
    text = only(find(profile), "unfused batch norm")["text"]
    assert ("less than whole calls vary by" in text) is said


def test_folding_frees_the_relu_behind_it_too() -> None:
    finding = only(find(norm_run(behind="Relu")), "unfused batch norm")
    assert (finding["saving_ms"], finding["sure"]) == (pytest.approx(15), "modelled")
    # What is added is named, and is part of what the finding is about.
    assert "act (3.00 ms)" in finding["text"]
    assert finding["evidence"]["activation"] == "act"
    assert finding["evidence"]["activation_ms"] == 3
    assert finding["evidence"]["norm_ms"] == 12
    assert finding["evidence"]["ms"] == 15


def test_a_stalled_read_is_waiting_not_memory_traffic() -> None:
    """2 ms of passes, 10 ms in which a read of a variable was held up: 2 are promised."""
    profile = norm_run()
    profile.ops.loc[profile.ops["op"].isin(["bn/mul", "bn/add"]), ["wall_ms", "busy_ms"]] = 1.0
    profile.ops.loc[profile.ops["op"].isin(["bn/mul", "bn/add"]), "p50_us"] = 250.0
    stalled = kernel("bn/read", "ReadVariableOp", "m/bn", 10, calls=1)
    profile.ops = pd.concat([profile.ops, pd.DataFrame([stalled])], ignore_index=True)
    finding = only(find(profile), "unfused batch norm")
    assert finding["saving_ms"] == pytest.approx(2)
    assert "ReadVariableOp" not in finding["text"].partition("moved")[0]
    assert "10.0 ms more went by in ReadVariableOp" in finding["text"]
    assert finding["evidence"]["waiting_ms"] == 10


def residual(onednn: bool, add_ms=(4.0, 3.0)):
    """conv -> norm -> addition with the input -> ReLU; TensorFlow made of the norm's offset and
    the addition two sums of 4 and 3 ms. Behind it a depthwise convolution without bias, a norm
    of 5 + 5 ms and a ReLU6 of 2."""
    structure = graph(
        ("x", "Placeholder", None),
        ("w", "ReadVariableOp", "m/conv"),
        ("conv", "Conv2D", "m/conv", ["x", "w"]),
        ("mul", "Mul", "m/bn", ["conv"]),
        ("off", "AddV2", "m/bn", ["mul"]),
        ("add", "AddV2", "m/add", ["off", "x"]),
        ("relu", "Relu", "m/relu", ["add"]),
        ("dw", "DepthwiseConv2dNative", "m/dw", ["relu", "w"]),
        ("mul2", "Mul", "m/bn2", ["dw"]),
        ("off2", "AddV2", "m/bn2", ["mul2"]),
        ("relu6", "Relu6", "m/relu6", ["off2"]),
        ("out", "Identity", None, ["relu6"]),
        types={
            "m/conv": "Conv2D",
            "m/bn": "BatchNormalization",
            "m/dw": "DepthwiseConv2D",
            "m/bn2": "BatchNormalization",
        },
    )
    prefix = "_MklNative" if onednn else ""
    both = {"members": ["add", "off"]}
    ops = [
        kernel("conv", f"{prefix}Conv2D", "m/conv", 40),
        kernel("mul", "Mul", "m/bn", 6),
        kernel("sum/1", "AddV2", "m/add", add_ms[0], **both),
        kernel("sum/2", "AddN", "m/add", add_ms[1], **both),
        kernel("relu", "Relu", "m/relu", 2),
        kernel("dw", f"{prefix}DepthwiseConv2dNative", "m/dw", 20),
        kernel("mul2", "Mul", "m/bn2", 5),
        kernel("off2", "AddV2", "m/bn2", 5),
        kernel("relu6", "Relu6", "m/relu6", 2),
    ]
    layers = [
        layer("m/conv", "Conv2D", 40, mults=99),
        layer("m/bn", "BatchNormalization", 9.5, mults=1),
        layer("m/add", "Add", 3.5),
        layer("m/relu", "ReLU", 2),
        layer("m/dw", "DepthwiseConv2D", 20, mults=20),
        layer("m/bn2", "BatchNormalization", 10, mults=1),
        layer("m/relu6", "ReLU", 2),
    ]
    return run(layers, ops, structure, onednn=onednn)


def saved(profile, path):
    (finding,) = [f for f in find(profile) if f["layer"] == path and "norm" in f["kind"]]
    return finding


def test_without_onednn_the_addition_behind_a_norm_stays() -> None:
    """Of its two sums the longer stays: 6 + 3 ms; the ReLU cannot be reached."""
    finding = saved(residual(onednn=False), "m/bn")
    assert finding["saving_ms"] == pytest.approx(9)
    assert finding["evidence"]["addition"] is None
    assert finding["evidence"]["activation"] is None


def test_with_onednn_the_convolution_takes_in_the_addition_and_its_relu() -> None:
    """6 + 4 + 3 + 2 ms go; reading the tensor to add costs half of the norm's longest pass."""
    finding = saved(residual(onednn=True), "m/bn")
    assert finding["saving_ms"] == pytest.approx(15 - 3)
    evidence = finding["evidence"]
    assert (evidence["addition"], evidence["activation"]) == ("add", "relu")
    # Half of the two sums is the addition's, half the norm's.
    assert (evidence["addition_ms"], evidence["activation_ms"]) == (3.5, 2)
    assert evidence["new_ms"] == 3
    assert evidence["ms"] == pytest.approx(9.5 + 3.5 + 2)
    assert "add (3.50 ms) and relu (2.00 ms)" in finding["text"]
    assert "the reading of the tensor to add comes instead (3.00 ms)" in finding["text"]


@pytest.mark.parametrize(
    ("onednn", "saving", "activation", "told"),
    [
        # A bias pass as long as one of the norm's comes instead, and the ReLU6 stays.
        (False, 5, None, "a pass for the bias comes instead (5.00 ms)"),
        # oneDNN's depthwise convolution takes in both.
        (True, 12, "relu6", "relu6 (2.00 ms)"),
    ],
)
def test_what_a_depthwise_convolution_takes_in(onednn, saving, activation, told) -> None:
    finding = saved(residual(onednn), "m/bn2")
    assert finding["saving_ms"] == pytest.approx(saving)
    assert finding["evidence"]["activation"] == activation
    assert told in finding["text"]


def test_two_norms_that_meet_in_one_addition_do_not_both_promise_it() -> None:
    structure = graph(
        ("x", "Placeholder", None),
        ("w", "ReadVariableOp", "m/c1"),
        *((f"c{i}", "Conv2D", f"m/c{i}", ["x", "w"]) for i in (1, 2)),
        *((f"mul{i}", "Mul", f"m/bn{i}", [f"c{i}"]) for i in (1, 2)),
        *((f"off{i}", "AddV2", f"m/bn{i}", [f"mul{i}"]) for i in (1, 2)),
        ("add", "AddV2", "m/add", ["off1", "off2"]),
        ("relu", "Relu", "m/relu", ["add"]),
        ("out", "Identity", None, ["relu"]),
        types={"m/bn1": "BatchNormalization", "m/bn2": "BatchNormalization"},
    )
    names = [f"{k}{i}" for k in ("mul", "off") for i in (1, 2)]
    ops = [kernel(n, "Mul" if "mul" in n else "AddV2", f"m/bn{n[-1]}", 5) for n in names]
    ops += [kernel("add", "AddV2", "m/add", 4), kernel("relu", "Relu", "m/relu", 2)]
    layers = [
        layer("m/c1", "Conv2D", 60, mults=99),
        layer("m/bn1", "BatchNormalization", 10, mults=1),
        layer("m/bn2", "BatchNormalization", 10, mults=1),
        layer("m/add", "Add", 4),
        layer("m/relu", "ReLU", 2),
    ]
    found = [f for f in find(run(layers, ops, structure, onednn=True)) if "norm" in f["kind"]]
    assert sum(f["evidence"]["addition_ms"] for f in found) == 4
    assert sum(f["evidence"]["activation_ms"] for f in found) == 2
    # 10 + 10 + 4 + 2 go, half of a pass of 5 comes.
    assert sum(f["saving_ms"] for f in found) == pytest.approx(26 - 2.5)


def test_no_promise_is_larger_than_what_its_finding_is_about() -> None:
    runs = [norm_run(), norm_run(behind="Relu"), residual(True), residual(False)]
    runs += [norm_run(op_types=(kind,), behind="Relu") for kind in ("FusedBatchNormV3",)]
    runs += [call(30, 90), batches(0.5, macs=1_250_000), precise("float64")]
    found = [f for profile in runs for f in find(profile) if f["saving_ms"] is not None]
    assert len(found) > 8
    assert all(f["saving_ms"] <= f["evidence"]["ms"] + 1e-9 for f in found)


def test_folding_forward_says_that_the_layer_behind_may_gain_as_well() -> None:
    structure = graph(
        ("x", "Placeholder", None),
        ("act", "Sigmoid", "m/act", ["x"]),
        ("Mul", "Mul", "m/bn", ["act"]),
        ("AddV2", "AddV2", "m/bn", ["Mul"]),
        ("dense", "MatMul", "m/dense", ["AddV2"]),
        ("out", "Identity", None, ["dense"]),
        types={"m/bn": "BatchNormalization"},
    )
    layers = [
        layer("m/act", "Activation", 3),
        layer("m/bn", "BatchNormalization", 12, mults=1, bytes=50, bytes_executed=100),
        layer("m/dense", "Dense", 85, mults=99),
    ]
    ops = [kernel("Mul", "Mul", "m/bn", 12), kernel("dense", "MatMul", "m/dense", 85)]
    for onednn in (False, True):
        finding = only(find(run(layers, ops, structure, onednn=onednn)), "unfused batch norm")
        assert finding["evidence"]["fold"] == "forward"
        assert (finding["saving_ms"], finding["sure"]) == (12, "measured")
        # Seen without oneDNN only.
        assert ("dense may run faster too" in finding["cause"]) is not onednn


def test_a_batch_norm_that_multiplies_as_much_as_it_takes_is_no_finding() -> None:
    assert "unfused batch norm" not in kinds(find(norm_run(mults=99)))


def test_a_fused_batch_norm_is_not_called_unfused() -> None:
    assert "unfused batch norm" not in kinds(find(norm_run(op_types=("fusion",))))


@pytest.mark.parametrize("kind", ["FusedBatchNormV3", "_MklNativeFusedBatchNormV3"])
def test_a_bias_in_front_of_a_fused_norm_is_named_with_the_activation_it_holds_up(kind) -> None:
    finding = only(find(norm_run(op_types=(kind,), behind="Relu")), "bias blocks the fusion")
    assert f"({runs_by_hand.named(kind)})" in finding["text"]
    assert "act (3.00 ms) would fuse too" in finding["text"]
    assert finding["evidence"]["convolution"] == "m/conv"
    assert finding["saving_ms"] == 15


def test_a_fused_norm_behind_a_convolution_without_bias_is_no_finding() -> None:
    with_bias = norm_run(op_types=("FusedBatchNormV3",))
    with_bias.layer_graph.type[3] = "Relu"
    assert "bias blocks the fusion" not in kinds(find(with_bias))
