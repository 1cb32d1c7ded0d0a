"""Measuring the roofs of this machine through TensorFlow itself."""

from __future__ import annotations

import functools
from typing import Any

from tftrace.machine.bench.chains import graph_optimizer_off, seconds_per_link
from tftrace.machine.bench.timing import Measured, measure_seconds, rate

_MATRIX_SIZES = {"float32": 1536, "float64": 1024, "float16": 256, "bfloat16": 256}
_WORKING_SETS = tuple(1 << power for power in range(14, 29))  # 16 KiB to 256 MiB
_TINY_CHAIN = 400
_FEW = 2
"""Batches of a short call: the second one still costs more than those that follow."""
_BATCHES = 64
# Two batches of some 10 MB, as of 16 images of 224 x 224.
_ROWS, _WIDTH = 16, 150_528


def matmul_gmacs() -> dict[str, Measured]:
    """Multiply-accumulates per second (1e9) of a square matrix product, by element type.

    The 16-bit types have no fast kernel on most processors and are measured with a small matrix.
    """
    import tensorflow as tf

    def square(matrix: Any) -> Any:
        return tf.linalg.matmul(matrix, matrix)

    rates = {}
    for dtype, size in _MATRIX_SIZES.items():
        matrix = tf.cast(tf.random.normal((size, size)), dtype)
        product = tf.function(square).get_concrete_function(matrix)
        run = functools.partial(product, matrix)
        seconds = measure_seconds(run, repeats=9, budget=1.0)
        rates[dtype] = rate(size**3 / 1e9, seconds)
    return rates


def conv_gmacs() -> Measured:
    """Multiply-accumulates per second (1e9) of a large float32 3 x 3 convolution."""
    import tensorflow as tf

    image = tf.random.normal((8, 30, 30, 256))
    kernel = tf.random.normal((3, 3, 256, 256))
    convolve = tf.function(
        lambda i, k: tf.nn.conv2d(i, k, strides=1, padding="VALID")
    ).get_concrete_function(image, kernel)
    macs = 8 * 28 * 28 * 256 * 9 * 256
    return rate(macs / 1e9, measure_seconds(lambda: convolve(image, kernel), repeats=9, budget=1.0))


def bandwidth_gb(dispatch: Measured) -> tuple[tuple[int, Measured], ...]:
    """Bytes per second (1e9) of scaling an array in place, read and write, by size of the array.

    Args:
        dispatch: microseconds of dispatching an operation, which is taken off each.
    """
    import tensorflow as tf

    measured = []
    for size in _WORKING_SETS:
        links = 256 if size <= 1 << 19 else 32 if size <= 1 << 23 else 4
        with graph_optimizer_off():
            link = seconds_per_link(
                tf.multiply,
                tf.ones(size // 4),
                tf.constant(1.0),
                links=links,
                repeats=9,
                budget=0.4,
            )
        measured.append((size, rate(2 * size / 1e9, _less(link, dispatch.best * 1e-6))))
    return tuple(measured)


def dispatch_us() -> Measured:
    """Microseconds per operation in a chain of operations on one number."""
    import tensorflow as tf

    with graph_optimizer_off():
        seconds = seconds_per_link(
            tf.multiply, tf.ones(1), tf.ones(1), links=_TINY_CHAIN, repeats=15
        )
    return seconds.map(lambda value: value * 1e6)


def predict_ms() -> tuple[Measured, Measured]:
    """Milliseconds of `model.predict` around a network that does next to nothing: batch, call.

    Without the wait for tf.data's autotuner, which is chance: see `tftrace.machine.bench.batches`.
    """
    import keras
    import numpy as np

    from tftrace.machine.bench.batches import steady_batches

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    few, many = np.zeros((_FEW, 1), np.float32), np.zeros((_FEW + _BATCHES, 1), np.float32)

    def predicting(data: Any) -> Measured:
        return measure_seconds(
            lambda: model.predict(steady_batches(data, 1), verbose=0), repeats=9, budget=0.8
        )

    short, batches = predicting(few), predicting(many)
    per_batch = batches.map(lambda seconds: max(seconds - short.best, 0.0) / _BATCHES * 1e3)
    return per_batch, short.map(lambda seconds: max(seconds * 1e3 - _FEW * per_batch.best, 0.0))


def predict_gb() -> Measured:
    """Bytes of its data (1e9 per second) that `model.predict` takes in: copied whole, then gathered
    batch by batch, around a network that reads next to nothing of them."""
    import keras
    import numpy as np

    from tftrace.machine.bench.batches import steady_batches

    def predicting(width: int) -> Measured:
        inputs = keras.Input((width,))
        model = keras.Model(inputs, keras.layers.Dense(1)(inputs[:, :1]))
        data = np.ones((2 * _ROWS, width), np.float32)
        return measure_seconds(
            lambda: model.predict(steady_batches(data, _ROWS), verbose=0), repeats=9, budget=1.5
        )

    small, large = predicting(1), predicting(_WIDTH)
    return rate(4 * 2 * _ROWS * _WIDTH / 1e9, _less(large, small.best))


def _less(measured: Measured, overhead: float) -> Measured:
    # Where the work nearly vanishes in the overhead their difference is worth little: at most half
    # of what was measured is taken off, which understates the rate rather than inventing one.
    return Measured(
        best=max(measured.best - overhead, measured.best / 2),
        median=max(measured.median - overhead, measured.median / 2),
        iqr=measured.iqr,
        n=measured.n,
    )
