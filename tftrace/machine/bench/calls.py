"""What `predict` and `fit` cost around a network: per call, per batch, per byte and per variable.

Without the wait for tf.data's autotuner, which is chance: see `tftrace.machine.bench.batches`.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tftrace.machine.bench.batches import labeled_batches, steady_batches
from tftrace.machine.bench.timing import Measured, less, measure_seconds, rate

_FEW = 2
"""Batches of a short call: the second one still costs more than those that follow."""
_BATCHES = 64
_VARIABLES = 200
# Two batches of some 10 MB, as of 16 images of 224 x 224.
_ROWS, _WIDTH = 16, 150_528


def predict_ms() -> tuple[Measured, Measured]:
    """Milliseconds of `model.predict` around a network that does next to nothing: batch, call."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])

    def predicting(batches: int) -> Measured:
        data = np.zeros((batches, 1), np.float32)
        return measure_seconds(
            lambda: model.predict(steady_batches(data, 1), verbose=0), repeats=9, budget=0.8
        )

    return _by_batch_and_call(predicting(_FEW), predicting(_FEW + _BATCHES))


def fit_ms() -> tuple[Measured, Measured]:
    """Milliseconds of an epoch of `model.fit` around such a network: batch, call."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")

    def fitting(batches: int) -> Measured:
        data = np.zeros((batches, 1), np.float32)
        return measure_seconds(
            lambda: model.fit(labeled_batches(data, data, 1), shuffle=False, verbose=0),
            repeats=9,
            budget=0.8,
        )

    return _by_batch_and_call(fitting(_FEW), fitting(_FEW + _BATCHES))


def _by_batch_and_call(short: Measured, long: Measured) -> tuple[Measured, Measured]:
    """Milliseconds, from seconds of a short call and of a long one."""
    per_batch = long.map(lambda seconds: max(seconds - short.best, 0.0) / _BATCHES * 1e3)
    return per_batch, short.map(lambda seconds: max(seconds * 1e3 - _FEW * per_batch.best, 0.0))


def predict_gb() -> Measured:
    """Bytes of its data (1e9 per second) that `model.predict` takes in: copied whole, then gathered
    batch by batch, around a network that reads next to nothing of them."""

    def predicting(width: int) -> Measured:
        inputs = keras.Input((width,))
        model = keras.Model(inputs, keras.layers.Dense(1)(inputs[:, :1]))
        data = np.ones((2 * _ROWS, width), np.float32)
        return measure_seconds(
            lambda: model.predict(steady_batches(data, _ROWS), verbose=0), repeats=9, budget=1.5
        )

    small, large = predicting(1), predicting(_WIDTH)
    return rate(4 * 2 * _ROWS * _WIDTH / 1e9, less(large, small.best))


def predict_variable_us() -> Measured:
    """Microseconds per batch for each variable: to hand it to the function, and to read it."""
    few, many = _batch_seconds(1), _batch_seconds(_VARIABLES)
    return many.map(lambda seconds: 1e6 * max(seconds - few.median, 0.0) / (_VARIABLES - 1))


def _batch_seconds(variables: int) -> Measured:
    """Of a batch through a network that adds up so many small variables."""
    small = [tf.Variable(tf.zeros(4)) for _ in range(variables)]
    inputs = keras.Input((4,))
    added = keras.layers.Lambda(lambda x: x + tf.add_n([tf.identity(one) for one in small]))
    model = keras.Model(inputs, added(inputs))

    def predicting(batches: int) -> Measured:
        data = np.zeros((batches, 4), np.float32)
        return measure_seconds(
            lambda: model.predict(steady_batches(data, 1), verbose=0), repeats=5, budget=0.4
        )

    short, long = predicting(_FEW), predicting(_FEW + _BATCHES)
    return long.map(lambda seconds: max(seconds - short.median, 0.0) / _BATCHES)
