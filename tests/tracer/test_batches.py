"""Batches for timing: the same that predict makes of arrays, with nothing to wait for."""

import keras
import numpy as np
import pytest

import tftrace
from tftrace.machine.bench.batches import steady_batches

layers = keras.layers


class Recording(keras.callbacks.Callback):
    """Keeps nothing but how often a batch began."""

    def __init__(self):
        self.batches = 0

    def on_predict_batch_end(self, batch, logs=None):
        self.batches += 1


@pytest.mark.parametrize(("count", "sizes"), [(8, [4, 4]), (10, [4, 4, 2]), (3, [3])])
def test_the_batches_are_predicts_own_in_order(count, sizes):
    x = np.arange(count * 2, dtype=np.float32).reshape(count, 2)
    found = [batch.numpy() for (batch,) in steady_batches(x, 4)]
    assert [len(batch) for batch in found] == sizes
    np.testing.assert_array_equal(np.concatenate(found), x)


def test_whole_batches_have_a_static_size_as_kerass_have():
    assert steady_batches(np.zeros((8, 2)), 4).element_spec[0].shape == (4, 2)
    assert steady_batches(np.zeros((9, 2)), 4).element_spec[0].shape.as_list() == [None, 2]


def test_autotuning_is_off():
    assert steady_batches(np.zeros((8, 2)), 4).options().autotune.enabled is False


@pytest.mark.parametrize("kind", ["list", "mapping"])
def test_several_inputs_keep_their_structure(kind):
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    inputs = [a, b] if kind == "list" else {"a": a, "b": b}
    model = keras.Model(inputs, layers.Subtract()([a, b]))
    one, two = np.ones((5, 2), np.float32), np.full((5, 2), 3, np.float32)
    x = [one, two] if kind == "list" else {"a": one, "b": two}
    seen = Recording()
    result = model.predict(steady_batches(x, 2), verbose=0, callbacks=[seen])
    np.testing.assert_array_equal(result, one - two)
    assert seen.batches == 3


def test_a_run_has_both_latencies():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    run = tftrace.profile(model, np.zeros((9, 4), np.float32), repeats=3, calibrate=False)
    steady = run.latency["without_autotuner"]
    assert steady["n"] == len(steady["all_ms"]) == 3
    assert run.latency["without_autotuner_reason"] is None
    assert steady["all_ms"] != run.latency["all_ms"]


class OnlyArrays(keras.Model):
    """A predict of its own, which needs arrays."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x)

    def predict(self, x, batch_size=None, **keywords):
        assert isinstance(x, np.ndarray)
        return super().predict(x, batch_size=batch_size, **keywords)


def test_a_predict_of_its_own_is_only_given_arrays():
    run = tftrace.profile(OnlyArrays(), np.zeros((9, 4), np.float32), repeats=3, calibrate=False)
    assert run.latency["without_autotuner"] is None
    assert "predict of its own" in run.latency["without_autotuner_reason"]
    assert run.latency["n"] == 3


def test_nothing_is_unknown_without_a_reason():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    run = tftrace.profile(model, np.zeros((9, 4), np.float32), repeats=0, calibrate=False)
    assert run.latency["without_autotuner"] is None
    assert run.latency["without_autotuner_reason"] == "latency was not measured"
