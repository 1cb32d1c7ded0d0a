"""Every rule on a run made by hand that triggers it, and on one that must not; sums by hand."""

from dataclasses import dataclass

import pandas as pd
import pytest
import runs_by_hand
from runs_by_hand import graph, kernel, layer, machine, run

from tftrace.comparison.ratio import Ratio
from tftrace.comparison.try_jit import jit_finding
from tftrace.findings import find
from tftrace.findings.basis import figures
from tftrace.report.findings import grouped
from tftrace.timeline.share_out import COMPILATION, EXECUTOR, PIPELINE


@pytest.fixture(params=[False, True], ids=["plain", "onednn"], autouse=True)
def onednn(request, monkeypatch) -> bool:
    """Every rule is held against runs without and with oneDNN."""
    monkeypatch.setattr(runs_by_hand, "ONEDNN", request.param)
    return request.param


def only(found, kind):
    (finding,) = [f for f in found if f["kind"] == kind]
    return finding


def kinds(found):
    return [f["kind"] for f in found]


def conv_then(*ops, types=None):
    """A convolution with a bias, and behind it the given operations."""
    return graph(
        ("x", "Placeholder", None),
        ("w", "ReadVariableOp", "m/conv"),
        ("conv", "Conv2D", "m/conv", ["x", "w"]),
        ("bias", "BiasAdd", "m/conv", ["conv", "w"]),
        *ops,
        types={"m/conv": "Conv2D"} | (types or {}),
    )


# --- what every finding has -------------------------------------------------------------------


def test_a_finding_says_what_why_what_to_do_and_how_sure() -> None:
    found = find(run([layer("m/a", "Permute", 10)], [kernel("t", "Transpose", "m/a", 10)]))
    (finding,) = found
    assert finding.keys() == {
        *("layer", "kind", "text", "cause", "remedy", "saving_ms", "evidence", "sure", "command"),
    }
    assert finding["sure"] in ("measured", "modelled", "heuristic")
    assert finding["evidence"]["ms"] == 10


def test_the_largest_saving_comes_first() -> None:
    layers = [layer("m/a", "Permute", 10), layer("m/b", "ZeroPadding2D", 30)]
    ops = [kernel("t", "Transpose", "m/a", 10), kernel("p", "Pad", "m/b", 30)]
    assert kinds(find(run(layers, ops))) == ["padding pass", "transpose pass"]


def test_a_trace_without_layers_has_no_findings() -> None:
    empty = run([layer("m", "Model", 1)])
    empty.layers = empty.layers.iloc[:0]
    assert find(empty) == []


@pytest.mark.parametrize(("each_ms", "seen"), [(0.05, 0), (0.2, 60)])
def test_small_findings_count_by_their_sum(each_ms: float, seen: int) -> None:
    """60 transposes in 1000 ms of layers: 3 ms are below a hundredth, 12 ms are not."""
    paths = [f"m/t{i}" for i in range(60)]
    layers = [layer("m/conv", "Conv2D", 1000), *(layer(p, "Permute", each_ms) for p in paths)]
    ops = [kernel("conv", "Conv2D", "m/conv", 1000)]
    ops += [kernel(p, "Transpose", p, each_ms) for p in paths]
    assert kinds(find(run(layers, ops))).count("transpose pass") == seen


def test_an_execution_held_up_by_others_is_not_promised() -> None:
    """Three of four executions took 1 ms and one 7: settled, that is 4 of the 10 ms."""
    slow = kernel("t", "Transpose", "m/a", 10, p50_us=1000.0)
    finding = only(find(run([layer("m/a", "Permute", 10)], [slow])), "transpose pass")
    assert finding["saving_ms"] == pytest.approx(4)


# --- batch norm -------------------------------------------------------------------------------


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


# --- activation -------------------------------------------------------------------------------


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


# --- dispatch and batches ---------------------------------------------------------------------


def test_starting_kernels_for_longer_than_they_run_is_dispatch_bound() -> None:
    """1000 kernels in 2 ms are 2 us each; starting them took 3 ms."""
    ops = [kernel("a", "Mul", "m/cell", 1.5, calls=900), kernel("b", "Add", "m/head", 0.5, 100)]
    layers = [layer("m/cell", "LSTMCell", 1.5), layer("m/head", "Dense", 0.5)]
    finding = only(find(run(layers, ops, wall={EXECUTOR: 3.0})), "dispatch-bound small ops")
    assert "1,000 kernels of 2.0 us" in finding["text"]
    assert "900 of them are in cell" in finding["text"]
    assert "unroll" in finding["remedy"]


def test_large_kernels_are_not_dispatch_bound() -> None:
    ops = [kernel("a", "Conv2D", "m/conv", 2, calls=10)]
    found = find(run([layer("m/conv", "Conv2D", 2)], ops, wall={EXECUTOR: 3.0}))
    assert "dispatch-bound small ops" not in kinds(found)


def batches(ops_ms: float, macs: int, samples: int = 64, **settings: int):
    """8 batches of 8 samples, 2 ms each, of which the kernels take ``ops_ms``."""
    steps = [(10.0 + 2 * i, 2.0, ops_ms) for i in range(8)]
    layers = [layer("m/dense", "Dense", 8 * ops_ms, macs=macs)]
    rest = {PIPELINE: 8 * (2 - ops_ms) + 10}
    return run(
        layers,
        [],
        None,
        rest,
        steps,
        machine(),
        batch_size=8,
        samples=samples,
        median_ms=16.0,
        **settings,
    )


def test_batches_that_are_mostly_overhead_are_too_small() -> None:
    """12 of 16 ms run nothing; one batch of 64 instead of eight saves 7/8 of them: 10.5 ms.

    64 samples x 1.25e6 MACs in 16 ms are 5 GMAC/s, a tenth of the peak.
    """
    finding = only(find(batches(0.5, macs=1_250_000)), "batch size too small")
    assert finding["saving_ms"] == pytest.approx(10.5)
    assert finding["evidence"]["peak_share"] == pytest.approx(0.1)
    assert finding["evidence"]["suggested"] == 64


def test_a_shortened_pass_suggests_what_the_whole_call_allows() -> None:
    """8 of 8,000 steps were traced: a batch of 64 = 8 x 8 is a remedy for all 64,000 samples, and
    1,000 batches instead of 8,000 save 7/8 of the 12 ms."""
    finding = only(
        find(batches(0.5, macs=1_250_000, samples=64, of_samples=64_000, of_steps=8_000)),
        "batch size too small",
    )
    assert finding["evidence"]["suggested"] == 64
    assert finding["saving_ms"] == pytest.approx(10.5)
    two = only(
        find(batches(0.5, macs=1_250_000, samples=16, of_samples=64_000, of_steps=8_000)),
        "batch size too small",
    )
    assert two["evidence"]["suggested"] == 64


def test_a_slow_end_is_measured_against_passes_that_do_not_wait() -> None:
    slow = call(30, 90, median_ms=160)
    slow.latency["without_autotuner"] = {"median_ms": 75.0}
    text = only(find(slow), "predict overhead")["text"]
    assert "Untraced passes took 160 ms, 75.0 without the wait" in text


@pytest.mark.parametrize(
    "profile",
    [
        batches(1.8, macs=1_250_000),  # busy batches
        batches(0.5, macs=10_000_000),  # 40 GMAC/s: little is left to gain
        batches(0.5, macs=1_250_000, samples=8),  # there is no more data
    ],
)
def test_batches_that_are_large_enough(profile) -> None:
    assert "batch size too small" not in kinds(find(profile))


# --- the call of predict ----------------------------------------------------------------------


def call(
    before: float,
    after: float,
    median_ms: float | None = None,
    of_steps: int = 4,
    stages=(),
    samples: int = 32,
    **wall: float,
):
    """Four batches of 10 ms, each with 6 ms of kernels, of a call of ``of_steps``."""
    steps = [(before + 10 * i, 10.0, 6.0) for i in range(4)]
    rest = {PIPELINE: before + after + 16.0} | wall
    return run(
        [layer("m/conv", "Conv2D", 24)],
        [],
        None,
        rest,
        steps,
        median_ms=median_ms,
        of_steps=of_steps,
        stages=stages,
        samples=samples,
    )


@pytest.mark.parametrize(
    ("of_steps", "median_ms", "saving", "share"),
    [
        # 120 ms around 40 batches of 10 ms: 120 of 520.
        (40, None, 120, "23% of a call of all 40 steps"),
        # The untraced passes took 500: 100 beside the 400 in the batches, below a fifth of 520.
        (40, 500.0, None, None),
        # 120 ms around 4,000 ms in 400 batches.
        (400, None, None, None),
    ],
)
def test_a_shortened_pass_promises_nothing_that_comes_of_being_short(
    of_steps, median_ms, saving, share
) -> None:
    found = find(call(30, 90, median_ms=median_ms, of_steps=of_steps))
    if saving is None:
        assert "predict overhead" not in kinds(found)
    else:
        finding = only(found, "predict overhead")
        assert finding["saving_ms"] == saving
        assert share in finding["text"]
        assert finding["evidence"]["share"] == pytest.approx(120 / 520)


def test_a_call_that_is_mostly_before_and_after_its_batches() -> None:
    finding = only(find(call(30, 90)), "predict overhead")
    assert finding["saving_ms"] == 120
    assert "30.0 ms before the first batch and 90.0 ms after the last" in finding["text"]
    assert "by chance" in finding["cause"]


def test_no_more_overhead_is_promised_than_the_untraced_passes_have() -> None:
    """A median of 100 ms less 40 ms in the batches leaves 60, whatever the traced pass took."""
    assert only(find(call(30, 90, median_ms=100)), "predict overhead")["saving_ms"] == 60


@pytest.mark.parametrize("profile", [call(3, 3), call(30, 90, median_ms=41)])
def test_a_call_that_is_mostly_batches(profile) -> None:
    assert "predict overhead" not in kinds(find(profile))


def test_batches_that_wait_for_data() -> None:
    """The pipeline has 16 ms more than there is around the batches; 3 x 4 ms can be waiting."""
    finding = only(find(call(1, 1)), "input pipeline bound")
    assert finding["evidence"]["waiting_ms"] == pytest.approx(12)


def test_a_pipeline_that_only_sets_up_does_not_bind() -> None:
    assert "input pipeline bound" not in kinds(find(call(1, 1, **{PIPELINE: 5.0})))


def stage(name: str, active: float, depth: int, dataset: str = "d", parallelism: int = 1):
    """A stage that was at work for so many ms, of 100 elements."""
    return {
        "stage": name,
        "path": name,
        "dataset": dataset,
        "depth": depth,
        "calls": 100,
        "busy_ms": active,
        "us_per_element": 10 * active,
        "active_ms": active,
        "wait_ms": 0.0,
        "parallelism": parallelism,
        "note": None,
    }


@pytest.mark.parametrize(
    ("stages", "named", "remedy", "prefetched"),
    [
        ([("Map", 12, 1), ("Batch", 3, 0)], "Map", ".map(f, num_parallel_calls", False),
        ([("Map", 2, 2), ("Batch", 9, 1), ("Prefetch", 1, 0)], "Batch", ".batch(n, num_", True),
        ([("Generator", 9, 1), ("FlatMap", 1, 0)], "Generator", "workers=", False),
        ([("ParallelMap", 9, 0, "d", 2)], "ParallelMap", "at most 2 of 4 processors", False),
        ([("ParallelMap", 9, 0, "d", 4)], "ParallelMap", "make it cheaper", False),
        ([("CSV", 9, 0)], "CSV", "do it once", False),
    ],
)
def test_the_stage_that_batches_wait_for_is_named(stages, named, remedy, prefetched) -> None:
    profile = call(1, 1, stages=[stage(*row) for row in stages])
    profile.machine["usable_cores"] = 4
    finding = only(find(profile), "input pipeline bound")
    assert finding["evidence"]["stage"] == named
    assert remedy in finding["remedy"]
    assert ("prefetch(" not in finding["remedy"]) == prefetched
    busy = max(row[1] for row in stages)
    assert finding["evidence"]["us_per_element"] == 10 * busy
    assert "us for each of 100 elements" in finding["text"]
    assert "arrays" not in finding["cause"]


def test_a_pipeline_of_the_users_own_that_keeps_up_is_no_finding() -> None:
    profile = call(1, 1, stages=[stage("Map", 30, 0)], **{PIPELINE: 5.0})
    assert "input pipeline bound" not in kinds(find(profile))


def test_waiting_for_the_users_pipeline_is_not_what_a_larger_batch_saves() -> None:
    """12 of the 16 ms without kernels wait for data: a quarter of the 40 ms is left of the rest."""
    kind = "batch size too small"
    assert kind in kinds(find(call(1, 1, samples=128)))
    assert kind not in kinds(find(call(1, 1, samples=128, stages=[stage("Map", 30, 0)])))


def test_a_command_never_names_a_file_that_cannot_be_written() -> None:
    from tftrace.findings.basis.commands import FOLD, TRY_XLA, complete

    own = {"own_batches": True, "batch_size": 20, "jit": False}
    assert complete(TRY_XLA, own) is None
    assert complete(FOLD, own) == "tftrace fold model.keras -o folded.keras"


def test_compiling_in_the_window_is_said_and_counted() -> None:
    finding = only(find(call(1, 1, **{COMPILATION: 50.0})), "compilation in the window")
    assert finding["saving_ms"] == 50
    assert "compilation in the window" not in kinds(find(call(1, 1)))


# --- convolutions -----------------------------------------------------------------------------


def thin(type: str, op_type: str, roof_share: float | None, jit: bool = False):
    structure = graph(
        ("x", "Placeholder", None), ("c", op_type, "m/thin", ["x"]), types={"m/thin": type}
    )
    layers = [
        layer("m/plain", "Conv2D", 10, gmacs_per_s=30.0),
        layer("m/thin", type, 10, gmacs_per_s=1.5, roof_share=roof_share, bound="memory"),
    ]
    ops = [kernel("p", "_FusedConv2D", "m/plain", 10), kernel("c", op_type, "m/thin", 10)]
    return run(layers, ops, structure, jit=jit)


def test_a_depthwise_convolution_far_below_its_roof() -> None:
    finding = only(
        find(thin("DepthwiseConv2D", "DepthwiseConv2dNative", 0.05)), "depthwise convolution"
    )
    assert "5.0% of its memory roof" in finding["text"]
    assert "1.50 GMAC/s, the plain convolutions 30.0" in finding["text"]
    assert finding["saving_ms"] is None


def test_under_xla_the_remedy_is_to_leave_it_off() -> None:
    profile = thin("DepthwiseConv2D", "DepthwiseConv2dNative", 0.05, jit=True)
    found = only(find(profile), "depthwise convolution")
    assert found["remedy"] == "leave XLA off"
    assert found["command"] == "tftrace run model.keras data.npy --jit off"


def test_a_grouped_convolution_is_told_by_the_function_that_keras_calls_for_it() -> None:
    profile = thin("Conv2D", "StatefulPartitionedCall", 0.05)
    assert only(find(profile), "grouped convolution")["layer"] == "m/thin"


@pytest.mark.parametrize(
    "profile",
    [
        thin("DepthwiseConv2D", "DepthwiseConv2dNative", 0.6),  # near its roof
        thin("DepthwiseConv2D", "DepthwiseConv2dNative", None),  # the roof is not known
        thin("Conv2D", "Conv2D", 0.05),  # plain
    ],
)
def test_other_convolutions_are_not_called_thin(profile) -> None:
    assert not [k for k in kinds(find(profile)) if k.endswith("convolution")]


def dilated(op_type: str, copies: bool):
    structure = graph(("x", "Placeholder", None), ("c", op_type, "m/dilated", ["x"]))
    ops = [kernel("c", op_type, "m/dilated", 6)]
    if copies:
        ops += [kernel(n, n, "m/dilated", 2) for n in ("SpaceToBatchND", "BatchToSpaceND")]
    return run([layer("m/dilated", "Conv2D", 10)], ops, structure)


def test_the_copies_around_a_dilated_convolution_could_be_saved() -> None:
    finding = only(find(dilated("Conv2D", copies=True)), "dilation by copies")
    assert finding["saving_ms"] == 4
    assert "4.00 of its 10.0 ms" in finding["text"]


def test_but_not_around_a_depthwise_one() -> None:
    finding = only(find(dilated("DepthwiseConv2dNative", copies=True)), "dilation by copies")
    assert finding["saving_ms"] is None
    assert "dilation by copies" not in kinds(find(dilated("Conv2D", copies=False)))


# --- copies, threads, precision ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("op_type", "kind"),
    [("Transpose", "transpose pass"), ("Cast", "cast pass"), ("PadV2", "padding pass")],
)
def test_passes_that_compute_nothing(op_type: str, kind: str) -> None:
    found = find(run([layer("m/a", "Layer", 10)], [kernel("k", op_type, "m/a", 10)]))
    assert only(found, kind)["saving_ms"] == 10
    assert not find(run([layer("m/a", "Layer", 10)], [kernel("k", "Mul", "m/a", 10)]))


def test_the_input_pipelines_own_copies_are_not_the_models() -> None:
    own = kernel("k", "Cast", None, 10, component=PIPELINE)
    assert not find(run([layer("m/a", "Layer", 10)], [own]))


def lonely(**columns):
    ops = [kernel("k", "Cumsum", "m/a", 12, **({"thread_ms": 12.0} | columns))]
    return run([layer("m/a", "Lambda", 12)], ops)


def test_a_long_kernel_on_one_of_two_threads() -> None:
    """Perfectly split, 12 ms would be 6."""
    finding = only(find(lonely()), "one thread")
    assert finding["saving_ms"] == pytest.approx(6)
    assert "1.00 of 2 threads" in finding["text"]


@pytest.mark.parametrize(
    "columns",
    [
        {"thread_ms": 22.0},  # two threads work
        {"calls": 1},  # once proves nothing
        {"p50_us": 100.0},  # many short ones
        {"busy_ms": 24.0, "thread_ms": 24.0},  # half of the time others ran as well
        {"device": "/device:GPU:0"},
    ],
)
def test_what_is_not_poor_parallelism(columns) -> None:
    assert "one thread" not in kinds(find(lonely(**columns)))


def test_one_core_cannot_idle() -> None:
    single = lonely()
    single.machine["intra_op_threads"] = 1
    assert "one thread" not in kinds(find(single))


def precise(dtype: str, roofs=None, macs: int = 5):
    structure = graph(("x", "Placeholder", None), ("c", "Conv2D", "m/conv", ["x"], dtype))
    ops = [kernel("c", "_FusedConv2D", "m/conv", 10, macs=macs)]
    return run([layer("m/conv", "Conv2D", 10)], ops, structure, roofs=roofs)


def test_double_precision_costs_what_the_machine_says() -> None:
    """50 against 20 GMAC/s: 2 of 5 parts of the time would be left."""
    finding = only(find(precise("float64", machine())), "double precision")
    assert finding["saving_ms"] == pytest.approx(6)
    assert "2.5 times slower" in finding["cause"]


def test_double_precision_is_twice_the_bytes_at_least() -> None:
    assert only(find(precise("float64")), "double precision")["saving_ms"] == pytest.approx(5)
    assert "double precision" not in kinds(find(precise("float32", machine())))


# --- XLA, measured ----------------------------------------------------------------------------


@dataclass
class Compared:
    medians: tuple[float, float]
    ratio: Ratio | None
    verdict: str = "verdict"


@pytest.mark.parametrize(
    ("low", "high", "kind", "saving"),
    [
        (0.4, 0.6, "XLA would help", 5.0),
        (1.7, 2.1, "XLA would hurt", None),
        (0.9, 1.1, "XLA makes no difference", None),
    ],
)
def test_xla_is_judged_by_its_interval(low, high, kind, saving) -> None:
    ratio = Ratio((low + high) / 2, low, high, 0.95, 11, (11, 11))
    finding = jit_finding(Compared((10.0, 10.0 * ratio.ratio), ratio))
    assert (finding.kind, finding.saving_ms) == (kind, pytest.approx(saving))
    assert finding.sure == "measured"


# --- grouping for the eye ---------------------------------------------------------------------


def told(kind: str, layer: str, saving: float | None, sure: str = "measured"):
    return {
        **{"kind": kind, "layer": layer, "text": f"{layer} is slow", "cause": "c", "remedy": "r"},
        **{"saving_ms": saving, "sure": sure, "evidence": {"ms": saving or 1.0}},
    }


def test_many_of_a_kind_are_told_once_with_their_sum() -> None:
    many = [told("norm", f"m/bn{i}", 10.0 - i) for i in range(5)]
    first, second = grouped([told("overhead", None, 20.0), *many, told("pad", "m/p", None)])[:2]
    assert first.title == "norm (5 layers): would save about 40.0 ms (measured)"
    assert [f["layer"] for f in first.shown] == ["m/bn0"]
    assert first.rest == "Likewise 4 more, 30.0 ms: bn1, bn2, bn3 …"
    assert second.kind == "overhead"


def test_a_few_of_a_kind_are_all_told_and_the_least_sure_names_the_group() -> None:
    few = [told("pad", "m/a", 2.0), told("pad", "m/b", 1.0, "heuristic")]
    (group,) = grouped(few)
    assert (len(group.shown), group.rest) == (2, "")
    assert group.title.endswith("3.00 ms (heuristic)")
    assert grouped([told("pad", "m/a", None)])[0].title == "pad: no saving promised"


def test_null_times_are_no_trouble() -> None:
    """Kernels that were not recorded have no times."""
    unseen = kernel("k", "Transpose", "m/a", 0, calls=0, wall_ms=pd.NA, busy_ms=pd.NA, p50_us=pd.NA)
    assert not find(run([layer("m/a", "Permute", 10)], [unseen]))
