"""Estimates from prices made by hand."""

import io
import json
import math
from dataclasses import replace
from typing import Any

import keras
import pandas as pd
import pytest
import tensorflow as tf
from rich.console import Console

from tftrace.counts.count import count_flow
from tftrace.counts.flow import flow_of
from tftrace.estimation.fusion import fuse_kernels
from tftrace.estimation.given import data_bytes
from tftrace.estimation.kernels import Estimate, KernelWork, estimate_kernels, estimate_predict
from tftrace.estimation.network import (
    NetworkEstimate,
    estimate_program,
    kernel_work,
)
from tftrace.machine.bench.timing import Measured
from tftrace.machine.fits import KernelFit
from tftrace.machine.model import MachineModel
from tftrace.report.estimate import estimate_parts
from tftrace.report.terminal.parts.draw import draw
from tftrace.tracer.graphs.programs import trace_model


def steady(value: float) -> Measured:
    return Measured(best=value, median=value, iqr=0.0, n=5)


def machine(**kernels: KernelFit) -> MachineModel:
    """50 GMAC/s, 10 GB/s, 2 us per operation, 1 ms per batch, 30 ms per call of predict."""
    return MachineModel(
        machine="made by hand",
        tensorflow="0",
        threads=(0, 0),
        matmul_gmacs={"float32": steady(40.0), "float64": steady(20.0)},
        conv_gmacs=steady(50.0),
        bandwidth_gb=((1_000, steady(10.0)),),
        dispatch_us=steady(2.0),
        predict_batch_ms=steady(1.0),
        predict_call_ms=steady(30.0),
        kernels=kernels,
    )


def fit(spread: float = 0.0, **prices: float) -> KernelFit:
    return KernelFit(prices=prices, threshold=0.0, spread=spread, n=20)


def priced(spread: float = 0.0) -> MachineModel:
    kernels = {
        "MatMul": fit(spread, macs=4e-11, calls=1e-5),
        "Relu": fit(spread, bytes=1e-10),
        "AddV2": fit(spread, bytes=2e-10),
        "AddV2, broadcast": fit(spread, bytes=3e-10),
    }
    return machine(**kernels)


def product(name: str = "m") -> KernelWork:
    return KernelWork("MatMul", macs=10_000_000, batch=10, cin=1000, cout=1000, name=name)


def streaming(op_type: str, name: str = "s", **features: bool) -> KernelWork:
    return KernelWork(op_type, bytes_in=500_000, bytes_out=500_000, name=name, **features)


def test_a_kernel_costs_its_prices_and_dispatch() -> None:
    (row,) = estimate_kernels([product()], priced()).itertuples()
    # 1e7 macs x 4e-11 s + 1e-5 s = 0.41 ms; dispatch 2 us
    assert row.ms == pytest.approx(0.412)
    assert (row.name, row.op_type, row.basis) == ("m", "MatMul", "fit")
    # 1e7 macs at 50e9 per second
    assert row.mac_only_ms == pytest.approx(0.2)


def test_interval_is_ninety_percent_of_a_log_normal() -> None:
    (row,) = estimate_kernels([product()], priced(spread=0.3)).itertuples()
    assert row.high_ms / row.ms == pytest.approx(math.exp(1.645 * 0.3))
    assert row.ms / row.low_ms == pytest.approx(math.exp(1.645 * 0.3))


def test_basis_says_what_a_number_rests_on() -> None:
    kernels = [
        streaming("Relu"),
        streaming("Sub"),
        streaming("Sub", broadcast=True),
        streaming("Reshape"),
        streaming("SomethingNew"),
        KernelWork("Relu", bytes_in=500_000, bytes_out=500_000, dtype="float64"),
    ]
    frame = estimate_kernels(kernels, priced())
    assert list(frame["basis"]) == [
        "fit",
        "fit of AddV2",
        "fit of AddV2, broadcast",
        "dispatch",
        "roofline",
        "roofline",
    ]
    # 1e6 bytes at 1e-10, 2e-10, 3e-10 s; nothing; at 10e9 per second; all with 2 us of dispatch
    assert list(frame["ms"]) == pytest.approx([0.102, 0.202, 0.302, 0.002, 0.102, 0.102])


def test_estimating_without_kernels_is_refused() -> None:
    with pytest.raises(ValueError, match="full calibration"):
        estimate_kernels([product()], machine())


def test_predict_adds_batches_and_keras() -> None:
    frame = estimate_kernels([product("a"), product("b")], priced())
    # 30 ms per call, per batch 1 ms and two kernels of 0.412 ms
    expected = 30 + 3 * (1 + 2 * 0.412)
    estimate = estimate_predict(frame, priced(), batches=3)
    assert estimate == Estimate(
        ms=pytest.approx(expected),
        low_ms=pytest.approx(expected),
        high_ms=pytest.approx(expected),
        mac_only_ms=pytest.approx(3 * 0.4),
    )


def test_errors_add_within_a_type_and_in_quadrature_between_types() -> None:
    model = priced(spread=0.3)
    frame = estimate_kernels([product("a"), product("b"), streaming("Relu")], model)
    up = math.exp(1.645 * 0.3) - 1
    above = math.hypot(2 * 0.412 * up, 0.102 * up)
    estimate = estimate_predict(frame, model)
    assert estimate.high_ms - estimate.ms == pytest.approx(above)


def test_no_kernels_cost_what_keras_does() -> None:
    assert estimate_predict(estimate_kernels([], priced()), priced()).ms == pytest.approx(31.0)


@pytest.fixture(params=[False, True], ids=["plain", "onednn"])
def onednn(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_bias_and_activation_run_with_the_product(onednn: bool) -> None:
    kernels = [product("m"), streaming("BiasAdd", "b"), streaming("Relu", "r")]
    (fused,) = fuse_kernels(kernels, {"b": ["m", "bias"], "r": ["b"]}, onednn)
    assert (fused.op_type, fused.name, fused.macs) == ("MatMul", "r", 10_000_000)


@pytest.mark.parametrize(
    ("reads", "types"),
    [
        # someone else reads the product
        ({"b": ["m"], "r": ["b"], "x": ["m"]}, ["MatMul", "BiasAdd", "Relu"]),
        # someone else reads the biased product
        ({"b": ["m"], "r": ["b"], "x": ["b"]}, ["MatMul", "Relu"]),
    ],
)
def test_what_others_read_is_not_fused_away(
    onednn: bool, reads: dict[str, list[str]], types: list[str]
) -> None:
    kernels = [product("m"), streaming("BiasAdd", "b"), streaming("Relu", "r")]
    assert [work.op_type for work in fuse_kernels(kernels, reads, onednn)] == types


def test_activation_without_bias_stays_a_kernel_of_its_own(onednn: bool) -> None:
    kernels = [product("m"), streaming("Relu", "r")]
    assert fuse_kernels(kernels, {"r": ["m"]}, onednn) == kernels


def test_second_bias_and_second_activation_stay(onednn: bool) -> None:
    kernels = [
        product("m"),
        streaming("BiasAdd", "b"),
        streaming("BiasAdd", "c"),
        streaming("Relu", "r"),
        streaming("Relu", "q"),
    ]
    fused = fuse_kernels(kernels, {"b": ["m"], "c": ["b"], "r": ["c"], "q": ["r"]}, onednn)
    assert [work.name for work in fused] == ["b", "c", "r", "q"]


def test_output_as_large_as_any_before_comes_fresh_unless_it_overwrites(onednn: bool) -> None:
    def sized(op_type: str, name: str, megabytes: int) -> KernelWork:
        return KernelWork(op_type, bytes_out=megabytes << 20, name=name)

    kernels = [
        sized("Conv2D", "small", 4),
        sized("Conv2D", "largest kept", 20),
        sized("Conv2D", "beyond", 40),
        sized("Mul", "in place", 40),  # alone reads "beyond"
        sized("Sigmoid", "gate", 40),  # "swish" reads its input as well
        sized("Mul", "swish", 40),  # may overwrite the gate
        sized("Reshape", "view", 40),
    ]
    reads = {
        "largest kept": ["small"],
        "beyond": ["largest kept"],
        "in place": ["beyond"],
        "gate": ["in place"],
        "swish": ["in place", "gate"],
        "view": ["swish"],
    }
    fresh = [work.name for work in fuse_kernels(kernels, reads, onednn) if work.fresh]
    # oneDNN has one kernel for gate and swish, which is alone to read its input then.
    assert fresh == ["largest kept", "beyond", *([] if onednn else ["gate"])]


def test_nothing_is_taken_in_behind_an_activation(onednn: bool) -> None:
    kernels = [product("m"), streaming("BiasAdd", "b"), streaming("Relu", "r")]
    kernels.append(streaming("BiasAdd", "c"))
    fused = fuse_kernels(kernels, {"b": ["m"], "r": ["b"], "c": ["r"]}, onednn)
    assert [work.name for work in fused] == ["r", "c"]


@pytest.mark.parametrize(
    ("op_type", "activation", "without", "with_onednn"),
    [
        ("MatMul", "Sigmoid", ["b", "a"], ["a"]),
        ("MatMul", "Softplus", ["b", "a"], ["b", "a"]),
        ("Conv2D", "Sigmoid", ["b", "a"], ["b", "a"]),
        ("Conv3D", "Relu", ["m", "b", "a"], ["a"]),
        ("DepthwiseConv2dNative", "Relu6", ["m", "b", "a"], ["a"]),
        ("DepthwiseConv2dNative", "LeakyRelu", ["m", "b", "a"], ["b", "a"]),
        ("Einsum", "Relu", ["m", "b", "a"], ["m", "b", "a"]),
    ],
)
def test_what_fuses_depends_on_onednn(
    onednn: bool, op_type: str, activation: str, without: list[str], with_onednn: list[str]
) -> None:
    groups = 8 if op_type == "DepthwiseConv2dNative" else 1
    kernels = [KernelWork(op_type, groups=groups, name="m"), streaming("BiasAdd", "b")]
    kernels.append(streaming(activation, "a"))
    fused = fuse_kernels(kernels, {"b": ["m"], "a": ["b"]}, onednn)
    assert [work.name for work in fused] == (with_onednn if onednn else without)


GATES = {
    "swish": ([("Sigmoid", "g", ["b"]), ("Mul", "s", ["b", "g"])]),
    "mish": ([("Softplus", "p", ["b"]), ("Tanh", "g", ["p"]), ("Mul", "s", ["b", "g"])]),
    # Half of x times erfc(-x / sqrt(2)).
    "GELU": (
        [
            ("Mul", "h", ["b"]),
            ("Neg", "n", ["b"]),
            ("Mul", "d", ["n"]),
            ("Erfc", "g", ["d"]),
            ("Mul", "s", ["h", "g"]),
        ]
    ),
}


@pytest.mark.parametrize(
    ("op_type", "gate", "types"),
    [
        ("MatMul", "swish", ["MatMul", "_MklSwish"]),
        ("MatMul", "mish", ["MatMul", "_MklFusedMish"]),
        ("MatMul", "GELU", ["MatMul"]),
        ("Conv2D", "mish", ["Conv2D"]),
        ("Conv2D", "swish", ["Conv2D", "_MklSwish"]),
        ("AddV2", "GELU", ["AddV2", "Mul", "Neg", "Mul", "Erfc", "Mul"]),
    ],
)
def test_what_onednn_makes_of_an_activation_that_multiplies_by_its_input(
    op_type: str, gate: str, types: list[str]
) -> None:
    kernels = [KernelWork(op_type, name="m", flops=100)]
    reads: dict[str, list[str]] = {"b": ["m"]}
    if op_type != "AddV2":
        kernels.append(streaming("BiasAdd", "b"))
    for kind, name, sources in GATES[gate]:
        kernels.append(replace(streaming(kind, name), flops=7))
        reads[name] = sources if op_type != "AddV2" else ["m" if s == "b" else s for s in sources]
    running = fuse_kernels(kernels, reads, onednn=True)
    assert [work.op_type for work in running] == types
    assert running[-1].name == "s"
    assert sum(work.flops for work in running) == 100 + 7 * len(GATES[gate])
    assert len(fuse_kernels(kernels, reads, onednn=False)) == len(GATES[gate]) + 1


def test_a_gate_that_another_reads_stays_apart() -> None:
    kernels = [streaming("Sigmoid", "g"), streaming("Mul", "s"), streaming("Neg", "n")]
    reads = {"g": ["x"], "s": ["x", "g"], "n": ["g"]}
    apart = ["Sigmoid", "Mul", "Neg"]
    assert [w.op_type for w in fuse_kernels(kernels, reads, onednn=True)] == apart
    kernels = [replace(work, dtype="float64") for work in kernels[:2]]
    running = fuse_kernels(kernels, {"g": ["x"], "s": ["x", "g"]}, onednn=True)
    assert [w.op_type for w in running] == apart[:2]


@pytest.mark.kernels
@pytest.mark.parametrize("activation", ["silu", "mish", "gelu", "relu", "tanh", "hard_silu"])
@pytest.mark.parametrize("before", ["Conv2D", "Dense"])
def test_the_kernels_priced_are_those_that_run(before: str, activation: str) -> None:
    import numpy as np

    import tftrace
    from tftrace.estimation.network import fused_kernels
    from tftrace.graph.kernel_types import plain_type
    from tftrace.tracer.tf_private import onednn_is_on

    kind, size = (keras.layers.Dense, (8,)) if before == "Dense" else (keras.layers.Conv2D, (8, 3))
    model = keras.Sequential([keras.Input((16, 16, 8)), kind(*size, activation=activation)])
    x = np.ones((4, 16, 16, 8), "float32")
    ops = tftrace.profile(model, x, batch_size=4, repeats=0, warmup=0, calibrate=False).ops
    ran = ops[(ops["component"] == "layers") & (ops["calls"] > 0)]["op_type"]
    program, _ = trace_model(model, [(4, 16, 16, 8)])
    priced = fused_kernels(flow_of(program), bool(onednn_is_on()))
    aside = {"ReadVariableOp", "Reshape", "Squeeze"}
    names = {"RealDiv": "Mul"}  # by a constant: its reciprocal is multiplied by
    kinds = [[plain_type(name) for name in side] for side in (ran, (w.op_type for w in priced))]
    seen, told = (sorted(names.get(k, k) for k in side if k not in aside) for side in kinds)
    assert told == seen


def test_a_convolution_in_groups_takes_nothing_in(onednn: bool) -> None:
    grouped = KernelWork("Conv2D", groups=4, cin=8, cout=8, name="c")
    plain = KernelWork("Conv2D", cin=8, cout=8, name="c")
    bias = streaming("BiasAdd", "b")
    assert [w.name for w in fuse_kernels([grouped, bias], {"b": ["c"]}, onednn)] == ["c", "b"]
    assert [w.name for w in fuse_kernels([plain, bias], {"b": ["c"]}, onednn)] == ["b"]


def test_a_single_number_is_not_broadcast_and_a_vector_is() -> None:
    import numpy as np

    norm = keras.layers.Normalization(mean=np.zeros(3), variance=np.ones(3), name="norm")
    scale = keras.layers.Rescaling(0.5, offset=0.25, name="scale")
    model = keras.Sequential([keras.Input((8, 8, 3)), scale, norm])
    program, _ = trace_model(model, [(2, 8, 8, 3)])
    flow = flow_of(program)
    works = [(c, kernel_work(flow.ops[c.key], c)) for c in count_flow(flow) if c.live]
    found = {
        (c.owner.rpartition("/")[2], work.op_type): work.broadcast
        for c, work in works
        if c.owner and work is not None and work.op_type in ("Mul", "AddV2", "Sub", "RealDiv")
    }
    assert found["scale", "Mul"] is False
    assert found["scale", "AddV2"] is False
    assert found["norm", "Sub"] is True


def test_a_product_in_a_type_without_a_peak_is_unknown_and_no_exception() -> None:
    """Neither its time nor what multiplications alone would say: no peak was measured for it."""
    kernels = [
        KernelWork("MatMul", macs=1000, bytes_in=80, bytes_out=40, dtype="int32", name="i"),
        product("f"),
    ]
    found = estimate_kernels(kernels, priced()).set_index("name")
    assert found.loc["i", "basis"] == "unknown: no peak was measured for int32"
    assert found.loc["i", ["ms", "low_ms", "high_ms", "mac_only_ms"]].isna().all()
    assert found.loc["f", "ms"] == pytest.approx(0.412)


class Cast(keras.layers.Layer):
    """Multiplies its input with itself in another element type, and hands on float32."""

    def __init__(self, kind: str) -> None:
        super().__init__(name=kind)
        self.kind = kind

    def call(self, x: Any) -> Any:
        y = tf.cast(x, self.kind)
        return tf.cast(tf.math.real(tf.matmul(y, y)), "float32")


@pytest.mark.parametrize(
    "kind", ["int32", "int64", "float16", "bfloat16", "float64", "complex64", "complex128"]
)
def test_no_element_type_ends_in_an_exception(kind: str) -> None:
    """Without a measured peak the layer is null and the type is named; the rest is estimated."""
    model = keras.Sequential([keras.Input((8,)), Cast(kind), keras.layers.Dense(4, name="dense")])
    program, sites = trace_model(model, [(8, 8)])
    found = estimate_program(program, sites, priced(), batch=8)
    layers = found.layers.set_index("type")
    assert layers.loc["Dense", "ms"] > 0
    known = kind == "float64"
    assert pd.isna(layers.loc["Cast", "ms"]) == (not known)
    assert any("MatMul" in name for name in found.unknown) == (not known)
    assert found.total.ms > 0
    told = render(found)
    assert ("at least" in told) == (not known)
    assert "nan" not in told
    assert json.loads(json.dumps(found.to_dict()))["layers"]


def test_strings_and_tables_are_named_not_estimated() -> None:
    words = keras.layers.StringLookup(vocabulary=["a", "b"], name="words")
    model = keras.Sequential([keras.Input((4,), dtype="string"), words])
    program, sites = trace_model(model, [(8, 4)])
    found = estimate_program(program, sites, priced(), batch=8)
    assert found.unknown
    assert found.layers.set_index("type").loc["StringLookup", "ms":"high_ms"].isna().all()


def render(found: NetworkEstimate) -> str:
    output = io.StringIO()
    draw(estimate_parts(found, "m"), Console(file=output, width=100))
    return output.getvalue()


def test_predict_takes_in_its_data_at_a_rate() -> None:
    """2 batches of 500 kB at 1 GB/s: 1 ms beside 30 ms for the call and 1 ms for each batch."""
    slow = replace(priced(), predict_gb=steady(1.0))
    table = estimate_kernels([product()], slow)
    ms = estimate_predict(table, slow, batches=2, batch_bytes=500_000).ms
    assert ms == pytest.approx(30 + 2 * (1 + 0.412 + 0.5))
    # A calibration of an earlier version does not know the rate.
    assert estimate_predict(table, priced(), 2, 500_000).ms == pytest.approx(30 + 2 * 1.412)


def test_another_machine_hands_over_each_variable_too() -> None:
    """Kernel and bias, 2,000 us each, in 3 batches."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    dear = replace(priced(), predict_variable_us=steady(2000.0))
    free, paid = (
        estimate_program(*trace_model(model, [(8, 4)]), machine, 8, batches=3)
        for machine in (priced(), dear)
    )
    assert paid.total.ms - free.total.ms == pytest.approx(3 * 2 * 2)


def test_what_a_function_inside_is_given_is_no_data_of_the_model() -> None:
    """A convolution in groups is a call, a recurrent layer a loop.

    2 x 8 x 8 x 16 x 4 = 8,192 bytes, and 2 x 5 x 3 x 4 = 120.
    """
    grouped = keras.Sequential([keras.Input((8, 8, 16)), keras.layers.Conv2D(16, 3, groups=4)])
    looped = keras.Sequential([keras.Input((5, 3)), keras.layers.GRU(4)])
    for model, size in ((grouped, 8_192), (looped, 120)):
        program, _ = trace_model(model, [(2, *model.input_shape[1:])])
        assert data_bytes(flow_of(program)) == size


def test_the_data_of_a_model_has_a_size_or_the_estimate_says_so() -> None:
    slow = replace(priced(), predict_gb=steady(1.0))
    numbers = keras.Sequential([keras.Input((1000,)), keras.layers.Dense(1000)])
    found, fast = (
        estimate_program(*trace_model(numbers, [(10, 1000)]), machine, 10)
        for machine in (slow, priced())
    )
    # 10 x 1,000 x 4 bytes at 1 GB/s are 0.04 ms.
    assert found.total.ms - fast.total.ms == pytest.approx(0.04)
    assert found.unknown == ()
    text = keras.Input((), dtype="string")
    hashed = keras.Model(text, keras.layers.Hashing(5)(text))
    told = estimate_program(*trace_model(hashed, [(10,)]), slow, 10).unknown
    assert "the copies that predict makes of its data" in told
