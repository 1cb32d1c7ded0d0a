"""tftrace.Callback: a run of the predict that it is given to, and nothing else changed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tftrace
from tftrace.tracer import keras_private

layers = keras.layers
X = np.random.default_rng(0).random((20, 5), dtype=np.float32)


def stateful():
    keras.utils.set_random_seed(1)
    parts = [layers.Dense(4, name="dense"), layers.Dropout(0.5), layers.BatchNormalization()]
    return keras.Sequential([keras.Input((5,)), *parts], name="m")


@pytest.mark.parametrize(
    ("data", "steps"),
    [(X, 3), (tf.data.Dataset.from_tensor_slices(X).batch(5), 4)],
    ids=["array", "dataset"],
)
def test_a_predict_becomes_a_run(tmp_path, data, steps) -> None:
    model, watch = stateful(), tftrace.Callback(tmp_path, repeats=2)
    size = {} if isinstance(data, tf.data.Dataset) else {"batch_size": 8}
    found = model.predict(data, callbacks=[watch], verbose=0, **size)
    np.testing.assert_array_equal(found, stateful().predict(data, verbose=0, **size))
    profile = watch.profile
    assert watch.untraced == []
    assert (profile.run["samples"], profile.run["steps"]) == (20, steps)
    assert profile.layers.set_index("path")["macs"]["m/dense"] == 20
    assert profile.latency["n"] == 2
    assert tftrace.load(tmp_path).layers.equals(profile.layers)
    for one, other in zip(model.variables, stateful().variables, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_keras_2_takes_it(tmp_path) -> None:
    """The canary of what Keras 2 asks a callback."""
    keras_2 = pytest.importorskip("tf_keras")
    model = keras_2.Sequential([keras_2.layers.InputLayer((5,)), keras_2.layers.Dense(4)])
    expected = model.predict(X, verbose=0)
    watch = tftrace.Callback(tmp_path)
    np.testing.assert_array_equal(model.predict(X, callbacks=[watch], verbose=0), expected)
    assert watch.profile.layers["macs"].sum() == 20


def test_several_predicts_are_several_runs(tmp_path) -> None:
    model, watch = stateful(), tftrace.Callback(tmp_path)
    for _ in range(2):
        model.predict(X, callbacks=watch, verbose=0)
    assert len(watch.profiles) == 2


def test_what_is_not_measured_is_said(tmp_path) -> None:
    model, watch = stateful(), tftrace.Callback(tmp_path)
    model.compile(loss="mse")
    labels = np.zeros((20, 4))
    with pytest.warns(tftrace.TftraceWarning, match="this fit is not traced: .* predict only"):
        model.fit(X, labels, callbacks=[watch], verbose=0)
    with pytest.warns(tftrace.TftraceWarning, match="this evaluate is not traced"):
        model.evaluate(X, labels, callbacks=[watch], verbose=0)
    with pytest.warns(tftrace.TftraceWarning, match="a generator's batches are gone"):
        model.predict(((X,) for _ in range(1)), callbacks=[watch], verbose=0)
    with pytest.raises(LookupError):
        _ = watch.profile


def test_the_canary_the_call_is_found_in_its_frame() -> None:
    seen = []

    class Look(keras.callbacks.Callback):
        def on_predict_end(self, logs=None):
            seen.append(keras_private.predict_arguments(self.model))

    model = stateful()
    model.predict(X, batch_size=7, callbacks=[Look()], verbose=0)
    assert seen[0]["x"] is X
    assert (seen[0]["batch_size"], seen[0]["steps"]) == (7, None)


def test_where_the_frame_is_hidden_it_says_so(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tftrace.api.callback.predict_arguments", lambda model: None)
    model, watch = stateful(), tftrace.Callback(tmp_path)
    with pytest.warns(tftrace.TftraceWarning, match="its arguments are hidden"):
        model.predict(X, callbacks=[watch], verbose=0)
    assert keras_private.predict_arguments(model) is None
