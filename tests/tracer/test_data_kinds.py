"""Every kind of data that predict takes is measured, with the work that an array of it has."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from kinds import (
    BATCH,
    COUNTED,
    OTHER,
    OWN,
    PIPELINES,
    SAMPLES,
    STEPS,
    TEXT,
    X,
    nested,
    pipeline,
    plain,
    sparse,
    words,
)

import tftrace
from tftrace.errors import TftraceError


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
