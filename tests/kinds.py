"""Every kind of data that predict takes, each with a model that takes it.

Work by hand: Dense(4) on 8 features multiplies 8 * 4 = 32 times for each sample.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import numpy as np
import pandas as pd
import scipy.sparse
import tensorflow as tf

layers = keras.layers

SAMPLES, BATCH, STEPS = 70, 32, 3
X = np.linspace(0, 1, SAMPLES * 8, dtype="float32").reshape(SAMPLES, 8)
TEXT = ["a b c", "d"] * 35


def plain():
    return keras.Sequential([keras.Input((8,)), layers.Dense(4)])


def single():
    return keras.Sequential([keras.Input((1,)), layers.Dense(4)])


def three():
    a, b, c = (keras.Input((8,), name=name) for name in "abc")
    return keras.Model([a, b, c], layers.Dense(4)(layers.Concatenate()([a, b, c])))


def nested():
    a, b, c = (keras.Input((8,), name=name) for name in "abc")
    joined = layers.Concatenate()([a, b, c])
    return keras.Model({"u": {"a": a}, "l": [b, c]}, layers.Dense(4)(joined))


@keras.saving.register_keras_serializable("kinds")
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


@cache
def model_of(build: Callable[[], Any]) -> Any:
    """One model for all its kinds of data: none of them has a state."""
    return build()


@dataclass(frozen=True)
class Kind:
    """Data anew each time, and the MACs of a sample by hand; None where data alone decides."""

    build: Callable[[], Any]
    data: Callable[[], Any]
    macs: int | None
    steps: int | None = None

    @property
    def model(self) -> Any:
        return model_of(self.build)


class Parts(keras.utils.PyDataset):
    def __len__(self):
        return STEPS

    def __getitem__(self, index):
        return X[index * BATCH : (index + 1) * BATCH], np.zeros(BATCH)


def rows(values):
    return tf.data.Dataset.from_tensor_slices(values)


def pipeline():
    return rows(X).batch(BATCH)


def shuffled():
    return rows(X).shuffle(SAMPLES, seed=1).batch(BATCH)


def generator():
    return ((X[start : start + BATCH],) for start in range(0, SAMPLES, BATCH))


def lengths():
    ones = tf.data.Dataset.range(SAMPLES).map(lambda i: tf.ones(1 + i % 3, tf.int32))
    return ones.ragged_batch(BATCH)


SPARSE = tf.sparse.from_dense(X)
ARRAYS = {
    "float32": Kind(plain, lambda: X, 32),
    "float64": Kind(plain, lambda: X.astype("float64"), 32),
    "float16": Kind(plain, lambda: X.astype("float16"), 32),
    "int64": Kind(plain, lambda: (X * 9).astype("int64"), 32),
    "bool": Kind(plain, lambda: X > 0.5, 32),
    "list": Kind(three, lambda: [X, X, X], 96),
    "dict by name": Kind(three, lambda: dict.fromkeys("abc", X), 96),
    "text <U": Kind(words, lambda: np.array(TEXT), None),
    "text S": Kind(words, lambda: np.array(TEXT, "S"), None),
    "text objects": Kind(words, lambda: np.array(TEXT, object), None),
    "text tf.string": Kind(words, lambda: tf.constant(TEXT), None),
    "tf.Tensor": Kind(plain, lambda: tf.constant(X), 32),
    "tf.Variable": Kind(plain, lambda: tf.Variable(X), 32),
    "DataFrame": Kind(plain, lambda: pd.DataFrame(X), 32),
    "Series": Kind(single, lambda: pd.Series(X[:, 1]), 4),
    "nested": Kind(nested, lambda: {"u": {"a": X}, "l": [X, X]}, 96),
    "optional None": Kind(optional, lambda: [X, None], 32),
    "optional given": Kind(optional, lambda: [X, X], 32),
    "SparseTensor": Kind(sparse, lambda: SPARSE, None),
    "scipy.sparse": Kind(sparse, lambda: scipy.sparse.coo_matrix(X), None),
    "RaggedTensor": Kind(ragged, lambda: tf.ragged.constant([[1, 2], [3]] * 35, tf.int32), None),
}
BATCHES = {
    "tf.data": Kind(plain, pipeline, 32),
    "tf.data unknown length": Kind(plain, lambda: pipeline().filter(lambda _: True), 32),
    "tf.data labels": Kind(plain, lambda: rows((X, X[:, 0])).batch(BATCH), 32),
    "tf.data weights": Kind(plain, lambda: rows((X, X[:, 0], X[:, 0])).batch(BATCH), 32),
    "tf.data dicts": Kind(three, lambda: rows(dict.fromkeys("abc", X)).batch(BATCH), 96),
    "tf.data text": Kind(words, lambda: rows(TEXT).batch(BATCH), None),
    "tf.data ragged": Kind(ragged, lengths, None),
    "tf.data sparse": Kind(sparse, lambda: rows(SPARSE).batch(BATCH), None),
    "tf.data cut": Kind(plain, lambda: rows(X).repeat().take(SAMPLES).batch(BATCH), 32),
    "tf.data endless": Kind(plain, lambda: rows(X).repeat().batch(BATCH), 32, steps=STEPS),
    "PyDataset": Kind(plain, lambda: Parts(), 32),
    "generator": Kind(plain, generator, 32),
}
KINDS = ARRAYS | BATCHES
