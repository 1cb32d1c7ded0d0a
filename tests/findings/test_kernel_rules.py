"""Rules about convolutions, copies, threads, precision and XLA on runs made by hand."""

from dataclasses import dataclass

import pytest
from runs_by_hand import graph, kernel, layer, machine, run
from runs_for_rules import (
    both_settings,  # noqa: F401
    kinds,
    only,
    precise,
)

from tftrace.comparison.ratio import Ratio
from tftrace.comparison.try_jit import jit_finding
from tftrace.findings import find
from tftrace.timeline.share_out import PIPELINE

# --- convolutions ---------------------------------------------------------------------------


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


# --- copies, threads, precision -------------------------------------------------------------


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


def test_double_precision_costs_what_the_machine_says() -> None:
    """50 against 20 GMAC/s: 2 of 5 parts of the time would be left."""
    finding = only(find(precise("float64", machine())), "double precision")
    assert finding["saving_ms"] == pytest.approx(6)
    assert "2.5 times slower" in finding["cause"]


def test_double_precision_is_twice_the_bytes_at_least() -> None:
    assert only(find(precise("float64")), "double precision")["saving_ms"] == pytest.approx(5)
    assert "double precision" not in kinds(find(precise("float32", machine())))


# --- XLA, measured --------------------------------------------------------------------------


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
