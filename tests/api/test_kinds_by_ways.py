"""Kind of data by way to run: each cell runs as without trace(), or is refused with its one line.

The ways are those beside ``profile`` and ``predict`` inside trace(), of which
tests/tracer/test_data_kinds.py has every kind.
"""

import numpy as np
import pytest
import tensorflow as tf
from kinds import COUNTED, OTHER, OWN, PIPELINES, SAMPLES, STEPS, TEXT, plain, words

import tftrace

ARRAYS = {
    **{
        kind: (build, lambda data=data: data, macs) for kind, (build, data, macs) in COUNTED.items()
    },
    **{kind: (build, lambda x=x: x, None) for kind, (build, x) in OTHER.items()},
}
TEXT_OF_NUMPY = {
    "text <U": (words, lambda: np.array(TEXT), None),
    "text S": (words, lambda: np.array(TEXT, "S"), None),
}
BATCHES = {
    **{kind: (plain, data, 32) for kind, data in OWN.items()},
    **{data.__name__: (build, data, macs) for data, (build, macs) in PIPELINES.items()},
}
KINDS = {**ARRAYS, **TEXT_OF_NUMPY, **BATCHES}
CALLS = {
    "predict_on_batch": lambda model, x: model.predict_on_batch(x),
    "tf.function": lambda model, x: tf.function(lambda batch: model(batch, training=False))(x),
}


@pytest.mark.parametrize("way", CALLS)
@pytest.mark.parametrize("kind", [*ARRAYS, *TEXT_OF_NUMPY])
def test_one_batch_of_it(kind, way, tmp_path) -> None:
    build, data, macs = KINDS[kind]
    model, call = build(), CALLS[way]
    if kind == "scipy":  # Keras gathers it in a pipeline of predict's alone
        with tftrace.trace(tmp_path) as tracing, pytest.raises(TypeError, match="TraceType"):
            call(model, data())
        assert (tracing.profiles, tracing.untraced) == ([], [])
        return
    expected = call(model, data())
    with tftrace.trace(tmp_path) as tracing:
        found = call(model, data())
    np.testing.assert_array_equal(found, expected)
    assert tracing.untraced == []
    profile = tracing.profile
    assert (profile.run["samples"], profile.run["steps"]) == (SAMPLES, 1)
    if macs is not None:
        assert profile.layers["macs"].sum(min_count=len(profile.layers)) == macs
    assert not any(profile.checks.values())


@pytest.mark.parametrize("kind", [*ARRAYS, *BATCHES])
def test_predict_with_the_callback(kind, tmp_path) -> None:
    build, data, macs = KINDS[kind]
    model = build()
    expected = model.predict(data(), verbose=0)
    watch = tftrace.Callback(tmp_path)
    if kind == "generator":
        with pytest.warns(tftrace.TftraceWarning, match=r"use tftrace\.trace\(\), which keeps"):
            found = model.predict(data(), callbacks=[watch], verbose=0)
        assert len(watch.untraced) == 1
    else:
        found = model.predict(data(), callbacks=[watch], verbose=0)
        profile = watch.profile
        assert (profile.run["samples"], profile.run["steps"]) == (SAMPLES, STEPS)
        if macs is not None:
            assert profile.layers["macs"].sum(min_count=len(profile.layers)) == macs
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("way", CALLS)
def test_what_keras_itself_refuses_stays_an_error_of_the_callers(way, tmp_path) -> None:
    """A batch is no pipeline."""
    with tftrace.trace(tmp_path) as tracing, pytest.raises(ValueError, match="input tensors"):
        CALLS[way](plain(), OWN["pipeline"]())
    assert (tracing.profiles, tracing.untraced) == ([], [])
