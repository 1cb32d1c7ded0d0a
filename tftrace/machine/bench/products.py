"""Micro-benchmarks of matrix products."""

from __future__ import annotations

import random
from collections.abc import Callable

from tftrace.machine.bench.shapes import Benchmark
from tftrace.machine.kernels import KernelWork

_FEATURES = (16, 43, 64, 128, 256, 512, 1000, 1280, 2048)
_ROWS = (1, 1, 2, 4, 8, 16, 32, 32, 64, 128, 256, 512)


def matrix_product(draw: random.Random) -> Benchmark:
    """Of up to 512 rows."""
    rows, inner, outer = draw.choice(_ROWS), draw.choice(_FEATURES), draw.choice(_FEATURES)
    work = KernelWork(
        "MatMul",
        macs=rows * inner * outer,
        flops=2 * rows * inner * outer,
        bytes_in=4 * (rows * inner + inner * outer),
        bytes_out=4 * rows * outer,
        batch=rows,
        cin=inner,
        cout=outer,
    )

    def prepare() -> Callable[[], object]:
        import tensorflow as tf

        left, right = tf.random.normal((rows, inner)), tf.random.normal((inner, outer))
        return lambda: tf.raw_ops.MatMul(a=left, b=right)

    return work, prepare
