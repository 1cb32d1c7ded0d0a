"""Data that predict takes: how it is gone through, and what is said of it.

Every kind of it by every way to run is in tests/api/test_kinds_by_ways.py.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from kinds import BATCH, KINDS, SAMPLES, STEPS, X, nested, pipeline, plain

import tftrace
from tftrace.errors import TftraceError

DENSE = ("float32", "text tf.string", "RaggedTensor")


@pytest.mark.parametrize("kind", [*DENSE, "SparseTensor", "scipy.sparse"])
def test_latency_without_autotuner_is_known_or_says_why(kind):
    this = KINDS[kind]
    run = tftrace.profile(this.model, this.data(), repeats=1, calibrate=False)
    steady, reason = (run.latency[f"without_autotuner{end}"] for end in ("", "_reason"))
    assert (steady is None) == (reason is not None) == (kind not in DENSE)


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


@pytest.mark.parametrize("kind", ["tf.data", "tf.data unknown length", "PyDataset", "generator"])
def test_batches_of_its_own_are_counted_and_fresh_in_each_pass(kind):
    this = KINDS[kind]
    run = tftrace.profile(this.model, this.data(), repeats=3, calibrate=False)
    assert (run.run["samples"], run.run["steps"], len(run.steps)) == (SAMPLES, STEPS, STEPS)
    assert run.run["batch_size"] == BATCH
    assert "pipeline of its own" in run.latency["without_autotuner_reason"]


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
