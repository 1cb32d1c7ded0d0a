"""The measurement leaves the model as it was, and a whole run folder or none."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import BUILDERS, normal

import tftrace
from tftrace.errors import TftraceError
from tftrace.graph.kernel_types import plain_type
from tftrace.tracer.capture import Options
from tftrace.tracer.graphs.watching import call_classes

layers = keras.layers


def quick(model, data, **options):
    return tftrace.profile(
        model, data, **{"repeats": 0, "warmup": 0, "calibrate": False, **options}
    )


def state(model):
    """What a caller could notice of a model besides its weights."""
    names = ("predict_function", "_jit_compile", "stop_predicting", "jit_compile")
    return {name: model.__dict__.get(name, "absent") for name in names}


def calls_of(model):
    return [cls.__dict__["__call__"] for cls in call_classes(model)]


def left_behind(folder):
    return [p for p in Path(folder).rglob("*") if p.is_file()]


# --- the model


def test_a_fresh_model_leaves_as_it_came():
    model, data = BUILDERS["small"]()
    before, weights, calls = state(model), model.get_weights(), calls_of(model)
    quick(model, data, jit="on")
    assert state(model) == before
    assert calls_of(model) == calls
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_compiled_used_model_keeps_its_function_and_state():
    model, data = BUILDERS["small"]()
    model.compile("sgd", "mse", jit_compile=False)
    expected = model.predict(data, verbose=0)
    before, optimizer = state(model), model.optimizer
    assert before["predict_function"] is not None
    quick(model, data, jit="on")
    assert state(model) == before
    assert model.optimizer is optimizer
    assert model.compiled
    np.testing.assert_array_equal(model.predict(data, verbose=0), expected)
    model.fit(data, np.zeros((len(data), 4)), verbose=0)


class Weak(layers.Layer):
    """Works while building, raises inside the measured graph."""

    armed = False

    def call(self, x):
        if self.armed:
            raise ValueError("this layer fails")
        return x


def test_after_an_exception_too(tmp_path):
    weak = Weak()
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2), weak])
    weak.armed = True
    before, calls = state(model), calls_of(model)
    with pytest.raises(ValueError, match="this layer fails"):
        quick(model, normal(40, 4), jit="on", out=tmp_path)
    assert state(model) == before
    assert calls_of(model) == calls
    assert left_behind(tmp_path) == []
    weak.armed = False
    assert len(quick(model, normal(40, 4)).layers) == 3


def test_trace_puts_predict_back_also_after_an_exception(tmp_path):
    before = keras.Model.predict
    with pytest.raises(RuntimeError), tftrace.trace(tmp_path):
        raise RuntimeError
    assert keras.Model.predict is before
    assert "predict" not in keras.Model.__dict__


def test_profiles_can_follow_each_other():
    model, data = BUILDERS["small"]()
    first, second = quick(model, data), quick(model, data)
    for column in ("path", "mults", "params", "ops", "expected_calls"):
        assert first.layers[column].tolist() == second.layers[column].tolist()


def test_runs_of_one_second_get_folders_of_their_own(tmp_path):
    model, data = BUILDERS["small"]()
    folders = {quick(model, data, out=tmp_path).folder for _ in range(3)}
    assert len(folders) == 3
    for folder in folders:
        assert sorted(p.name.split(".", 1)[1] for p in folder.iterdir()) == [
            "tftrace.json",
            "xplane.pb",
        ]
    assert not list(tmp_path.glob(".tftrace-*"))


# --- ways to run


@pytest.mark.kernels
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_steps_per_execution_repeat_the_work_per_call(steps):
    model, data = BUILDERS["small"]()
    model.compile(steps_per_execution=steps)
    profile = quick(model, data, batch_size=10, all_ops=True)  # 7 batches
    found = profile.ops[profile.ops["op_type"].map(plain_type) == "MatMul"]
    by_layer = found.groupby("layer")
    assert by_layer["calls"].sum().to_dict() == {"small/hidden": 7, "small/logits": 7}
    assert by_layer["expected_calls"].sum().to_dict() == {"small/hidden": 7, "small/logits": 7}
    work = {"small/hidden": 8 * 16, "small/logits": 16 * 4}
    for table, path in ((profile.layers, "path"), (profile.ops, "layer")):
        macs = table.groupby(path)["macs"].sum()
        assert macs[list(work)].to_dict() == work


@pytest.mark.parametrize(("asked", "traced"), [(1, 3), (3, 3), (7, 9), (11, 12)])
def test_a_shortened_pass_ends_with_a_whole_call(asked, traced):
    """A call of fewer batches is another signature: TensorFlow would trace it anew."""
    model, _ = BUILDERS["small"]()
    model.compile(steps_per_execution=3)
    profile = quick(model, normal(120, 8), batch_size=10, trace_batches=asked)
    assert profile.run["trace"]["steps"] == traced
    wall = profile.wall.set_index("component")["wall_ms"]
    assert wall["compilation"] == 0
    assert "unknown functions" not in wall.index
    assert not any("function" in warning for warning in profile.warnings)


class Meanwhile(keras.callbacks.Callback):
    """Runs a function of the caller's own in the middle of predict."""

    def __init__(self):
        super().__init__()
        self.function = tf.function(lambda x: tf.linalg.matmul(x, x), autograph=False)
        self.function(tf.ones((4, 4)))

    def on_predict_batch_end(self, batch, logs=None):
        self.function(tf.ones((4, 4)))


def test_a_function_of_the_callers_own_is_told_apart(tmp_path):
    model, data = BUILDERS["small"]()
    with tftrace.trace(tmp_path, all_ops=True) as tracing:
        model.predict(data, verbose=0, callbacks=[Meanwhile()])  # 3 batches
    profile = tracing.profile
    assert profile.wall["wall_share"].sum() == pytest.approx(1)
    rows = profile.ops[profile.ops["component"] == "unknown functions"]
    product = rows[rows["op"] == "MatMul"]
    assert product["calls"].tolist() == [3]
    assert profile.recording["recorded"] == profile.recording["expected"]
    (warning,) = profile.warnings
    assert "__inference_" in warning
    assert "3 calls" in warning
    assert warning in " ".join(str(profile).split())
    assert profile.to_dict()["warnings"] == [warning]


def test_eager_models_are_refused():
    model, data = BUILDERS["small"]()
    model.compile(run_eagerly=True)
    with pytest.raises(TftraceError, match="run_eagerly=False"):
        quick(model, data)


def test_several_inputs_by_name(tmp_path):
    model, data = BUILDERS["shared_dense"]()
    np.savez(tmp_path / "x.npz", **data)
    from tftrace.tracer.data.inputs import load_data

    profile = quick(model, load_data(tmp_path / "x.npz"))
    assert set(profile.layers["path"]) >= {"sharing/shared", "sharing/shared#2"}


def test_mapping_inputs_and_outputs():
    a, b = keras.Input((4,)), keras.Input((2,))
    outputs = {"sum": layers.Dense(1, name="s")(a), "rest": layers.Dense(2, name="r")(b)}
    model = keras.Model({"zz": a, "aa": b}, outputs, name="m")
    profile = quick(model, {"aa": normal(40, 2), "zz": normal(40, 4)}, all_ops=True)
    mults = profile.layers.set_index("path")["mults"]
    assert (mults["m/s"], mults["m/r"]) == (4, 4)
    found = profile.ops[profile.ops["macs"].fillna(0) > 0].set_index("layer")
    assert found["calls"].to_dict() == {"m/s": 2, "m/r": 2}


def test_trace_follows_predict_and_returns_its_outputs(tmp_path):
    model, data = BUILDERS["small"]()
    expected = model.predict(data, verbose=0)
    seen = []
    callback = keras.callbacks.LambdaCallback(on_predict_end=lambda logs: seen.append(1))
    with tftrace.trace(tmp_path) as tracing:
        with pytest.raises(LookupError):
            _ = tracing.profile
        got = model.predict(data, verbose=0, callbacks=[callback])
        model.predict(data[:40], batch_size=20, verbose=0)
    np.testing.assert_array_equal(got, expected)
    assert seen == [1]  # once, though the data went through twice
    assert [p.run["samples"] for p in tracing.profiles] == [70, 40]
    assert tracing.profile.run["batch_size"] == 20


def test_only_so_many_samples_and_batches():
    model, data = BUILDERS["small"]()
    profile = quick(model, data, samples=50, batch_size=10, trace_batches=2)
    assert profile.run["samples"] == 50
    trace = profile.run["trace"]
    assert (trace["samples"], trace["steps"], trace["whole"]) == (20, 2, False)
    assert len(profile.steps) == 2
    assert "only the first 2 of 5 steps" in str(profile)


@pytest.mark.parametrize(
    "options",
    [{"batch_size": 0}, {"repeats": -1}, {"warmup": -1}, {"samples": 0}, {"jit": "maybe"}],
    ids=str,
)
def test_options_that_cannot_be_meant_are_refused(options):
    with pytest.raises(TftraceError):
        Options(**options)


# --- the run folder


def test_out_is_a_file(tmp_path):
    model, data = BUILDERS["small"]()
    (tmp_path / "out").touch()
    for out in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(TftraceError, match="--out"):
            quick(model, data, out=out)


def test_out_cannot_be_written():
    model, data = BUILDERS["small"]()
    with pytest.raises(TftraceError, match="cannot write"):
        quick(model, data, out="/proc/tftrace")


def test_a_profiler_that_already_runs_goes_on(tmp_path):
    model, data = BUILDERS["small"]()
    tf.profiler.experimental.start(str(tmp_path / "theirs"))
    with pytest.raises(TftraceError, match="already running"):
        quick(model, data, out=tmp_path / "mine")
    tf.profiler.experimental.stop()
    assert left_behind(tmp_path / "theirs")
    assert left_behind(tmp_path / "mine") == []


def test_data_that_does_not_fit_leaves_nothing(tmp_path):
    model, _ = BUILDERS["small"]()
    with pytest.raises(TftraceError):
        quick(model, normal(5, 9), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("wait", ["early", "measuring"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_a_whole_folder_or_none(tmp_path, number, wait):
    model, data = BUILDERS["small"]()
    model.save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", np.tile(data, (500, 1)))
    command = [sys.executable, "-m", "tftrace", "run", "m.keras", "x.npy", "--out", "out"]
    process = subprocess.Popen(
        [*command, "--repeats", "200", "--no-calibrate"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONFAULTHANDLER": "1"},
    )
    try:
        if wait == "measuring":
            _until(lambda: any((tmp_path / "out").glob(".tftrace-*")))
        time.sleep(0.5)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # where does it hang?
        pytest.fail(process.communicate()[1])
    finally:
        process.kill()
    assert process.returncode != 0
    assert "Traceback" not in errors
    assert left_behind(tmp_path / "out") == []
    assert not list((tmp_path / "out").glob(".tftrace-*"))


def test_an_interruption_that_is_swallowed_comes_again(tmp_path):
    script = tmp_path / "swallow.py"
    script.write_text(SWALLOWING)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 130
    assert done.stdout == "cleaned\n"
    assert "Traceback" not in done.stderr


SWALLOWING = """
import os, signal, time
from tftrace import cli

@cli.app.command()
def stubborn() -> None:
    try:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        except SystemExit:
            pass  # as native code may do
        time.sleep(20)
    finally:
        time.sleep(2)  # the clean-up is not interrupted
        print("cleaned")

import sys
sys.argv = ["tftrace", "stubborn"]
cli.main()
"""


def _until(happened, seconds=60):
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)
