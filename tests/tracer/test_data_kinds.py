"""Every kind of data that predict takes is measured, with the work of the same numbers in an array.

Work by hand: Dense(4) on 8 features multiplies 8 * 4 = 32 times for each sample.
"""

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf

import tftrace
from tftrace.errors import TftraceError

layers = keras.layers

SAMPLES, BATCH, STEPS = 70, 32, 3
X = np.linspace(0, 1, SAMPLES * 8, dtype="float32").reshape(SAMPLES, 8)


def plain():
    return keras.Sequential([keras.Input((8,)), layers.Dense(4)])


def nested():
    a, b, c = (keras.Input((8,), name=name) for name in "abc")
    joined = layers.Concatenate()([a, b, c])
    return keras.Model({"u": {"a": a}, "l": [b, c]}, layers.Dense(4)(joined))


class Plus(layers.Layer):
    def call(self, x, y=None):
        return x if y is None else x + y


def optional():
    a, b = keras.Input((8,), name="a"), keras.Input((8,), name="b", optional=True)
    return keras.Model([a, b], layers.Dense(4)(Plus()(a, b)))


def words():
    text = keras.Input((), dtype="string")
    to_numbers = layers.TextVectorization(vocabulary=["a", "b", "c"], output_sequence_length=4)
    return keras.Model(text, layers.Embedding(9, 2)(to_numbers(text)))


def sparse():
    x = keras.Input((8,), sparse=True)
    return keras.Model(x, layers.Dense(4)(x))


def ragged():
    x = keras.Input((None,), dtype="int32", ragged=True)
    return keras.Model(x, layers.GlobalAveragePooling1D()(layers.Embedding(9, 4)(x)))


TEXT = ["a b c", "d"] * 35
COUNTED = {
    "tensor": (plain, tf.constant(X), 32),
    "variable": (plain, tf.Variable(X), 32),
    "double": (plain, X.astype("float64"), 32),
    "boolean": (plain, X > 0.5, 32),
    "frame": (plain, pd.DataFrame(X), 32),
    "nested": (nested, {"u": {"a": X}, "l": [X, X]}, 96),
    "optional input left out": (optional, [X, None], 32),
    "optional input": (optional, [X, X], 32),
}
OTHER = {
    "text as objects": (words, np.array(TEXT, object)),
    "text as a tensor": (words, tf.constant(TEXT)),
    "sparse tensor": (sparse, tf.sparse.from_dense(X)),
    "scipy": (sparse, scipy.sparse.coo_matrix(X)),
    "ragged": (ragged, tf.ragged.constant([[1, 2], [3]] * 35, dtype=tf.int32)),
}


@pytest.mark.parametrize("kind", COUNTED)
def test_the_work_is_that_of_the_same_numbers_in_an_array(kind):
    build, data, macs = COUNTED[kind]
    run = tftrace.profile(build(), data, repeats=1, calibrate=False)
    assert (run.run["samples"], run.run["steps"], len(run.steps)) == (SAMPLES, STEPS, STEPS)
    assert run.layers["macs"].sum(min_count=len(run.layers)) == macs


@pytest.mark.parametrize("kind", OTHER)
def test_text_and_what_is_not_dense_is_measured(kind):
    build, data = OTHER[kind]
    run = tftrace.profile(build(), data, repeats=1, calibrate=False)
    assert (run.run["samples"], run.run["steps"], len(run.steps)) == (SAMPLES, STEPS, STEPS)
    steady, reason = (run.latency[f"without_autotuner{end}"] for end in ("", "_reason"))
    assert (steady is None) == (reason is not None) == (build is sparse)


@pytest.mark.parametrize("kind", [*COUNTED, *OTHER])
def test_trace_takes_it_and_returns_what_keras_does(kind, tmp_path):
    build, data = {**COUNTED, **OTHER}[kind][:2]
    model = build()
    expected = model.predict(data, verbose=0)
    with tftrace.trace(tmp_path) as tracing:
        outputs = model.predict(data, verbose=0)
    np.testing.assert_array_equal(outputs, expected)
    assert not tracing.untraced
    assert tracing.profile.run["samples"] == SAMPLES


@pytest.mark.parametrize("text", [np.array(TEXT), np.array(TEXT, "S")], ids=["U", "S"])
def test_text_as_numpy_saves_it_is_measured_though_keras_refuses_it(text, tmp_path):
    model = words()
    assert tftrace.profile(model, text, repeats=0, calibrate=False).run["samples"] == SAMPLES
    with tftrace.trace(tmp_path), pytest.raises(ValueError, match="Invalid dtype"):
        model.predict(text, verbose=0)


def test_predict_is_traced_with_its_arguments_by_position(tmp_path):
    begun = []
    callback = keras.callbacks.LambdaCallback(on_predict_begin=lambda logs: begun.append(1))
    model = plain()
    with tftrace.trace(tmp_path) as tracing:
        model.predict(X, 16, 0, None, callback)
    assert tracing.profile.run["batch_size"] == 16
    assert begun == [1]


def test_inputs_in_a_structure_are_named_when_they_do_not_fit():
    with pytest.raises(TftraceError, match=r"inputs \(.*a.*\) come in lists and mappings"):
        tftrace.profile(nested(), {"u": [X], "l": {"b": X}}, calibrate=False)


# --- data in batches of its own


class Parts(keras.utils.PyDataset):
    def __len__(self):
        return STEPS

    def __getitem__(self, index):
        return X[index * BATCH : (index + 1) * BATCH], np.zeros(BATCH)


def pipeline():
    return tf.data.Dataset.from_tensor_slices(X).batch(BATCH)


def labeled():
    return tf.data.Dataset.from_tensor_slices((X, X[:, 0])).batch(BATCH)


def of_unknown_length():
    return pipeline().filter(lambda batch: True)


def generator():
    return ((X[start : start + BATCH],) for start in range(0, SAMPLES, BATCH))


OWN = {f.__name__: f for f in (pipeline, labeled, of_unknown_length, Parts, generator)}


@pytest.mark.parametrize("kind", OWN)
def test_batches_of_its_own_are_counted_and_fresh_in_each_pass(kind):
    run = tftrace.profile(plain(), OWN[kind](), repeats=3, calibrate=False)
    assert (run.run["samples"], run.run["steps"], len(run.steps)) == (SAMPLES, STEPS, STEPS)
    assert run.run["batch_size"] == BATCH
    assert run.layers["macs"].sum(min_count=len(run.layers)) == 32
    assert "pipeline of its own" in run.latency["without_autotuner_reason"]


@pytest.mark.parametrize("kind", OWN)
def test_trace_leaves_the_callers_batches_to_the_caller(kind, tmp_path):
    model = plain()
    expected = model.predict(X, verbose=0)
    with tftrace.trace(tmp_path) as tracing:
        outputs = model.predict(OWN[kind](), verbose=0)
    np.testing.assert_array_equal(outputs, expected)
    assert not tracing.untraced
    assert (tracing.profile.run["samples"], tracing.profile.run["steps"]) == (SAMPLES, STEPS)


def of_mappings():
    return tf.data.Dataset.from_tensor_slices({"a": X, "b": X, "c": X}).batch(BATCH)


def weighted():
    return tf.data.Dataset.from_tensor_slices((X, X[:, 0], X[:, 0])).batch(BATCH)


def cut():
    return tf.data.Dataset.from_tensor_slices(X).repeat().take(SAMPLES).batch(BATCH)


def of_text():
    return tf.data.Dataset.from_tensor_slices(TEXT).batch(BATCH)


def of_rows():
    rows = tf.data.Dataset.range(SAMPLES).map(lambda i: tf.ones(1 + i % 3, tf.int32))
    return rows.ragged_batch(BATCH)


def of_sparse():
    return tf.data.Dataset.from_tensor_slices(tf.sparse.from_dense(X)).batch(BATCH)


def flat_inputs():
    a, b, c = (keras.Input((8,), name=name) for name in "abc")
    return keras.Model([a, b, c], layers.Dense(4)(layers.Concatenate()([a, b, c])))


PIPELINES = {
    of_mappings: (flat_inputs, 96),
    weighted: (plain, 32),
    cut: (plain, 32),
    of_text: (words, None),
    of_rows: (ragged, None),
    of_sparse: (sparse, None),
}


@pytest.mark.parametrize("data", PIPELINES, ids=lambda f: f.__name__)
def test_pipelines_of_every_kind_are_measured(data):
    build, macs = PIPELINES[data]
    run = tftrace.profile(build(), data(), repeats=0, calibrate=False)
    assert (run.run["samples"], run.run["steps"], len(run.steps)) == (SAMPLES, STEPS, STEPS)
    if macs is not None:
        assert run.layers["macs"].sum(min_count=len(run.layers)) == macs


def test_a_pipeline_of_single_samples_is_said_to_be_one():
    data = tf.data.Dataset.from_tensor_slices(X)
    with pytest.raises(TftraceError, match=r"samples one by one, it seems; make batches"):
        tftrace.profile(plain(), data, calibrate=False)


def test_of_data_without_end_whole_batches_are_taken(tmp_path):
    model = plain()
    with pytest.raises(TftraceError, match="never ends"):
        tftrace.profile(model, pipeline().repeat(), calibrate=False)
    # 32 + 32 hold 40 samples.
    run = tftrace.profile(model, pipeline().repeat(), samples=40, repeats=0, calibrate=False)
    assert (run.run["samples"], run.run["steps"], len(run.steps)) == (64, 2, 2)
    with tftrace.trace(tmp_path) as tracing:
        outputs = model.predict(pipeline().repeat(), steps=4, verbose=0)
    # The third batch has the remaining 6.
    assert len(outputs) == tracing.profile.run["samples"] == 32 + 32 + 6 + 32


def test_a_shuffle_goes_on_as_it_would_have(tmp_path):
    def shuffled():
        return tf.data.Dataset.from_tensor_slices(X).shuffle(SAMPLES, seed=1).batch(BATCH)

    model = plain()
    expected = model.predict(shuffled(), verbose=0)
    with tftrace.trace(tmp_path):
        np.testing.assert_array_equal(model.predict(shuffled(), verbose=0), expected)
