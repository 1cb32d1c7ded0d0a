"""Measuring the roofs of this machine through TensorFlow itself."""

from __future__ import annotations

import functools
from typing import Any

from tftrace.machine.bench.chains import graph_optimizer_off, seconds_per_link
from tftrace.machine.bench.timing import Measured, less, measure_seconds, rate
from tftrace.stderr import held_stderr

_MATRIX_SIZES = {"float32": 1536, "float64": 1024, "float16": 256, "bfloat16": 256}
_WORKING_SETS = tuple(1 << power for power in range(14, 29))  # 16 KiB to 256 MiB
_TINY_CHAIN = 400


def matmul_gmacs() -> dict[str, Measured]:
    """Multiply-accumulates per second (1e9) of a square matrix product, by element type.

    The 16-bit types have no fast kernel on most processors and are measured with a small matrix.
    """
    import tensorflow as tf

    def square(matrix: Any) -> Any:
        return tf.linalg.matmul(matrix, matrix)

    rates = {}
    for dtype, size in _MATRIX_SIZES.items():
        # oneDNN writes a line where the processor has no kernel of a 16-bit type.
        with held_stderr():
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
        measured.append((size, rate(2 * size / 1e9, less(link, dispatch.best * 1e-6))))
    return tuple(measured)


def dispatch_us() -> Measured:
    """Microseconds per operation in a chain of operations on one number."""
    import tensorflow as tf

    with graph_optimizer_off():
        seconds = seconds_per_link(
            tf.multiply, tf.ones(1), tf.ones(1), links=_TINY_CHAIN, repeats=15
        )
    return seconds.map(lambda value: value * 1e6)
