"""Models of Keras 2: their kernels, their functions, their iterator inside the graph."""

import subprocess
import sys
from functools import cache

import networks
import numpy as np
import pytest
from raw_trace import executions, host_events, trace_of, window_ps

import tftrace
from tftrace.graph.kernel_types import KernelType, kernel_type, plain_type
from tftrace.tracer.loading.models import load_model

tf_keras = pytest.importorskip("tf_keras")
layers = tf_keras.layers


def convolution(bias):
    """Batch norm behind a convolution: with a bias it is a kernel, without it is free."""
    return tf_keras.Sequential(
        [
            tf_keras.Input((24, 24, 3)),
            layers.Conv2D(16, 3, use_bias=bias, name="conv"),
            layers.BatchNormalization(name="bn"),
            layers.ReLU(name="relu"),
            # The graph's own result would not be fused.
            layers.GlobalAveragePooling2D(name="pool"),
        ],
        name="m",
    )


def recurrent():
    return tf_keras.Sequential(
        [
            tf_keras.Input((12, 8)),
            layers.LSTM(16, return_sequences=True, name="first"),
            layers.LSTM(4, name="second"),
            layers.Dense(2, name="head"),
        ],
        name="m",
    )


def several():
    left, right = tf_keras.Input((4,), name="left"), tf_keras.Input((2,), name="right")
    shared = layers.Dense(3, name="shared")
    outputs = {"a": shared(left), "b": shared(layers.Dense(4, name="widen")(right))}
    return tf_keras.Model({"left": left, "right": right}, outputs, name="m")


BUILDERS = {
    "bias": (lambda: convolution(True), networks.normal(70, 24, 24, 3)),
    "no bias": (lambda: convolution(False), networks.normal(70, 24, 24, 3)),
    "recurrent": (recurrent, networks.normal(70, 12, 8)),
    "several": (
        several,
        {"right": networks.normal(70, 2), "left": networks.normal(70, 4)},
    ),
}


@cache
def run(name, jit="off", steps=1, all_ops=True):
    build, data = BUILDERS[name]
    model = build()
    if steps > 1:
        model.compile(steps_per_execution=steps)
    return tftrace.profile(model, data, repeats=0, calibrate=False, jit=jit, all_ops=all_ops)


FUSED_CONVOLUTION = KernelType(("Conv2D",), fused=True)


def by_plain_type(profile):
    return profile.ops.set_index(profile.ops["op_type"].map(plain_type))


def fused_convolutions(profile):
    return profile.ops[profile.ops["op_type"].map(kernel_type) == FUSED_CONVOLUTION]


RUNS = [*((name, jit) for name in BUILDERS for jit in ("off", "on"))]


@pytest.mark.kernels
def test_with_a_bias_batch_norm_is_a_kernel_of_its_own():
    profile = run("bias")
    kernels = by_plain_type(profile)
    assert kernels.loc["FusedBatchNorm", "layer"] == "m/bn"
    assert fused_convolutions(profile)["layer"].tolist() == ["m/conv"]
    (relu,) = profile.ops[["m/relu/Relu" in m for m in profile.ops["members"]]].itertuples()
    sites = profile.layers.set_index("path")
    if kernel_type(relu.op_type).fused:  # oneDNN's norm does it
        assert (plain_type(relu.op_type), relu.layer) == ("FusedBatchNorm", "m/bn")
        assert sites.loc["m/bn", "fused_with"] == ["m/relu"]
    else:
        assert (relu.op_type, relu.layer) == ("Relu", "m/relu")
        assert sites.loc["m/bn", "fused_with"] == []
    assert sites.loc["m/conv", "fused_with"] == []
    assert sites.loc["m/bn", "busy_ms"] > 0


@pytest.mark.kernels
def test_without_a_bias_it_is_fused_and_all_but_free():
    profile = run("no bias")
    assert "FusedBatchNorm" not in by_plain_type(profile).index
    (kernel,) = fused_convolutions(profile).itertuples()
    assert kernel.layer == "m/conv"
    assert kernel.op.endswith("relu/Relu")  # what it is called
    sites = profile.layers.set_index("path")
    assert sites.loc["m/conv", "fused_with"] == ["m/bn", "m/relu"]
    # 2 x 3 x 3 x 3 operations a value of the convolution against a handful: of the kernel's own
    # time, as a thread that is held up while it hands a weight on says nothing of either.
    ops = profile.ops
    beside = ops[(ops["layer"] == "m/conv") & (ops["op"] != kernel.op)]["busy_ms"].sum()
    assert sites.loc["m/conv", "busy_ms"] - beside > 0.8 * kernel.busy_ms
    assert set(ops[ops["layer"].isin(["m/bn", "m/relu"])]["op_type"]) == {"ReadVariableOp"}


@pytest.mark.kernels
def test_recurrent_bodies_that_lost_their_layers_name_are_on_their_layer():
    profile = run("recurrent")
    products = profile.ops["op_type"].map(plain_type) == "MatMul"
    body = profile.ops[products & profile.ops["macs"].notna()]
    # Two products a turn, 12 turns, of 8 x 64 and 16 x 64, then of 16 x 16 and 4 x 16 weights.
    macs = body.groupby("layer")["macs"].sum().to_dict()
    assert macs == {"m/first": 12 * 1536, "m/second": 12 * 320, "m/head": 8}
    calls = body.groupby("layer")["calls"].sum().to_dict()
    assert calls == {"m/first": 2 * 12 * 3, "m/second": 2 * 12 * 3, "m/head": 3}
    assert profile.recording["recorded"] == profile.recording["expected"]


@pytest.mark.kernels
def test_what_must_have_run_in_a_function_called_whole_is_expected():
    """As many executions as are recorded when all are; a few are merged out of sight."""
    profile, every = run("recurrent", all_ops=False), run("recurrent")
    mine = profile.recording
    assert mine["expected"] == pytest.approx(every.recording["recorded"], rel=0.02)
    # Two products, two activations and a state each for 12 turns of 3 batches at the least.
    lstm = profile.layers.set_index("path").loc["m/first"]
    assert lstm["expected_calls"] > 5 * 12 * 3
    assert every.recording["expected_exact"]


@pytest.mark.kernels
@pytest.mark.parametrize(("name", "jit"), RUNS)
def test_everything_is_accounted_for(name, jit):
    profile = run(name, jit)
    assert profile.wall["wall_ms"].sum() == pytest.approx(
        window_ps(trace_of(profile)) / 1e9, rel=1e-3
    )
    raw = executions(host_events(trace_of(profile)))
    assert sum(raw.values()) == profile.ops["calls"].sum()
    rows = profile.ops[profile.ops["calls"] > 0]
    outside = rows[rows["component"] == "model ops outside layers"]
    # Keras 2 counts its batches in the graph; XLA fuses that addition.
    allowed = {"_Arg", "_Retval", "Identity", "NoOp", "AssignAddVariableOp", "fusion", "copy"}
    assert set(outside["op_type"]) <= allowed
    assert set(rows[rows["op_type"] == "IteratorGetNext"]["component"]) == {"input pipeline"}


@pytest.mark.parametrize("jit", ["off", "on"])
def test_a_mapping_of_inputs_and_a_shared_layer(jit):
    sites = run("several", jit).layers.set_index("path")
    assert sites["macs"].to_dict() == {
        "m": 0,
        "m/shared": 12,
        "m/widen": 8,
        "m/shared#2": 12,
    }
    assert (sites.loc[["m/shared", "m/widen", "m/shared#2"], "busy_ms"] > 0).all()


@pytest.mark.kernels
def test_several_steps_in_a_loop():
    profile = run("bias", steps=3)
    kernels = fused_convolutions(profile)
    assert kernels["calls"].sum() == 3
    assert set(kernels["layer"]) == {"m/conv"}
    sites = profile.layers.set_index("path")
    assert sites.loc["m/conv", "macs"] == 22 * 22 * 9 * 3 * 16
    assert profile.steps["samples"].sum() == 70


def test_the_model_leaves_as_it_came(random):
    model = convolution(True)
    model.compile("sgd", "mse")
    data = random.normal(size=(40, 24, 24, 3)).astype("float32")
    expected = model.predict(data, verbose=0)
    before = model.predict_function, model._jit_compile, model.__dict__.keys()
    tftrace.profile(model, data, repeats=0, calibrate=False, jit="on")
    assert (model.predict_function, model._jit_compile, model.__dict__.keys()) == before
    np.testing.assert_array_equal(model.predict(data, verbose=0), expected)
    assert "predict" in tf_keras.Model.__dict__


def test_trace_follows_keras_2_too(tmp_path):
    model = convolution(True)
    original = tf_keras.Model.predict
    with tftrace.trace(tmp_path) as tracing:
        model.predict(np.zeros((40, 24, 24, 3), "float32"), verbose=0)
    assert tf_keras.Model.predict is original
    assert "m/bn" in set(tracing.profile.layers["path"])


@pytest.mark.parametrize("form", ["m.keras", "m.h5", "saved_model"])
def test_files_of_keras_2_load(tmp_path, form):
    original = convolution(False)
    original.save(tmp_path / form)
    loaded = load_model(tmp_path / form, keras=2)
    assert isinstance(loaded, tf_keras.Model)
    assert [layer.name for layer in loaded.layers] == ["conv", "bn", "relu", "pool"]


def test_from_the_command_line(tmp_path):
    convolution(False).save(tmp_path / "m.h5")
    np.save(tmp_path / "x.npy", networks.normal(40, 24, 24, 3))
    arguments = ["run", "m.h5", "x.npy", "--keras", "2", "--repeats", "1", "--no-calibrate"]
    done = subprocess.run(
        [sys.executable, "-m", "tftrace", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    profile = tftrace.load(tmp_path / "tftrace-runs")
    assert len(fused_convolutions(profile)) == 1
    fused = profile.layers.set_index("name")["fused_with"]
    assert len(fused["conv"]) == 2


def test_a_constant_that_the_model_holds_is_not_its_batch():
    """Normalization keeps mean and variance as tensors of shape (1, …), inputs of the graph."""
    model = tf_keras.Sequential(
        [
            tf_keras.Input((6,)),
            layers.Normalization(mean=np.zeros(6), variance=np.ones(6), name="norm"),
            layers.Dense(3, name="head"),
        ],
        name="m",
    )
    profile = tftrace.profile(model, networks.normal(70, 6), repeats=0, calibrate=False)
    assert profile.layers.set_index("path").loc["m/head", "macs"] == 18
    kernels = profile.ops[profile.ops["layer"] == "m/head"]
    assert kernels["macs"].sum() == 18
