"""What a model refuses of the data is one line with its cause, and a fault of tftrace stays one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tftrace
from tftrace.errors import TftraceError
from tftrace.tracer.failures import cause_of, explained

layers = keras.layers
ONES = np.ones((8, 5), "float32")


class Own(keras.Model):
    """Declares no inputs, so that only its layers can refuse."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, x):
        return self.layer(x)


class Raising(layers.Layer):
    def call(self, x):
        raise KeyError("no such key")


def built(layer, shape=(None, 8)):
    layer.build(shape)
    return Own(layer)


def sequential(*parts):
    return keras.Sequential([keras.Input((8,)), *parts])


def two():
    a, b = keras.Input((8,), name="a"), keras.Input((8,), name="b")
    return keras.Model([a, b], layers.Add()([a, b]))


def pipeline(values):
    return tf.data.Dataset.from_tensor_slices(values).batch(4)


def uneven():
    return (np.ones((4, 8 if i < 2 else 5), "float32") for i in range(4))


CASES = {
    "size": (built(layers.Dense(4)), ONES, "expected axis -1 of input shape to have value 8"),
    "rank": (built(layers.Dense(4)), np.ones(8, "float32"), "expected min_ndim=2, found ndim=1"),
    "structure": (built(layers.Dense(4)), {"a": ONES}, ""),
    "not built": (keras.Sequential([layers.Conv2D(4, 3)]), ONES, "expected min_ndim=4"),
    "reshape": (
        keras.Sequential([keras.Input((None,)), layers.Reshape((4, 2))]),
        ONES,
        "The total size of the tensor must be unchanged",
    ),
    "smaller than its kernel": (
        keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(4, 5)]),
        np.ones((2, 3, 3, 3), "float32"),
        "subtracting 5 from 3",
    ),
    "index": (Own(layers.Embedding(5, 4)), np.full((8, 3), 7), "indices[0,0] = 7 is not in [0, 5)"),
    "needed input": (two(), [np.ones((8, 8), "float32"), None], "The input 'b' is not optional"),
    "of a pipeline": (sequential(layers.Dense(4)), pipeline(ONES), "to have value 8"),
    "text of a pipeline": (
        sequential(layers.Dense(4)),
        pipeline([["a"] * 8] * 8),
        "fails on this data: Cast string to float is not supported",
    ),
    "another batch": (Own(layers.Dense(4)), uneven(), "an element of shape (4, 5)"),
    "code of the model": (Own(Raising()), ONES, "fails on this data: no such key"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_one_line_with_the_cause(case) -> None:
    model, data, words = CASES[case]
    with pytest.raises(Exception) as error:  # noqa: PT011 -- what Keras raises, of many types
        tftrace.profile(model, data, repeats=0, calibrate=False)
    raised = error.value
    said = str(raised) if isinstance(raised, TftraceError) else explained(raised)
    assert words in said
    assert len(said.splitlines()) == 1
    assert "\x1b" not in said


def test_in_a_trace_block_the_error_is_kerass_own(tmp_path) -> None:
    model = built(layers.Dense(4))
    with tftrace.trace(tmp_path), pytest.raises(ValueError, match="incompatible with the layer"):
        model.predict(ONES, verbose=0)


def test_a_fault_of_tftrace_is_not_told_as_the_models(monkeypatch) -> None:
    def broken(*_, **__):
        raise ZeroDivisionError("in tftrace")

    monkeypatch.setattr("tftrace.tracer.capture.record", broken)
    with pytest.raises(ZeroDivisionError, match="in tftrace") as error:
        tftrace.profile(sequential(layers.Dense(4)), np.ones((8, 8), "float32"), calibrate=False)
    assert explained(error.value) is None


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("plain", "plain"),
        (
            "Exception encountered when calling A.call().\n\n\x1b[1mwhy\x1b[0m\n\nArguments: x",
            "why",
        ),
        (
            'Traceback:\n  File "a.py", line 3, in f\n    ret = func(*args)\nTypeError: b',
            "TypeError: b",
        ),
        (
            "Graph execution error:\n\nDetected at node a defined at:\nc = 1 is not\n",
            "c = 1 is not",
        ),
        ("", "ValueError"),
    ],
)
def test_the_cause_in_a_message(text, cause) -> None:
    assert cause_of(ValueError(text)) == cause
