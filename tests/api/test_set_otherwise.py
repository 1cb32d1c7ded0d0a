"""TensorFlow set up so that a run cannot be followed, each way in a process of its own."""

import json
import subprocess
import sys

import pytest

REPLICAS = """
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
import keras
def built(*devices):
    with tf.distribute.MirroredStrategy(devices).scope():
        return keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
two, one = built("CPU:0", "CPU:1"), built("CPU:0")
answer["two"] = [*answers(two), profiled(two)]
answer["one"] = [*answers(one), profiled(one)]
"""
NO_EAGER = """
import tensorflow as tf
tf.compat.v1.disable_eager_execution()
import tf_keras as keras
model = keras.Sequential([keras.layers.InputLayer((8,)), keras.layers.Dense(4)])
answer["off"] = [*answers(model), profiled(model)]
"""
BEFORE = """
import json, sys, tempfile, warnings
import numpy as np
x = np.ones((16, 8), "float32")
answer = {}
def answers(model):
    import tftrace
    plain = model.predict(x, verbose=0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with tftrace.trace(tempfile.mkdtemp()) as tracing:
            found = model.predict(x, verbose=0)
    told = [str(w.message) for w in told if w.category is tftrace.TftraceWarning]
    return bool((found == plain).all()), len(tracing.profiles), told
def profiled(model):
    import tftrace
    try:
        return int(tftrace.profile(model, x, repeats=0, calibrate=False).layers["macs"].sum())
    except tftrace.TftraceError as error:
        return str(error)
"""
AFTER = "print(json.dumps(answer))"


def answer(program: str) -> dict:
    command = [sys.executable, "-c", BEFORE + program + AFTER]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_two_replicas_are_refused_and_one_is_measured():
    found = answer(REPLICAS)
    same, runs, (told,), refused = found["two"]
    assert (same, runs) == (True, 0)
    assert "runs on 2 replicas (MirroredStrategy)" in told
    assert refused in told
    # Dense(4) on 8 features: 32 multiply-accumulates.
    assert found["one"] == [True, 1, [], 32]


def test_without_eager_execution_the_reason_is_told():
    pytest.importorskip("tf_keras")
    same, runs, (told,), refused = answer(NO_EAGER)["off"]
    assert (same, runs) == (True, 0)
    assert "eager execution is off" in told
    assert refused in told
