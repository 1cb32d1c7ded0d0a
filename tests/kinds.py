"""Every kind of data that predict takes, each with a model that takes it.

Work by hand: Dense(4) on 8 features multiplies 8 * 4 = 32 times for each sample.
"""

import keras
import numpy as np
import pandas as pd
import scipy.sparse
import tensorflow as tf

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
