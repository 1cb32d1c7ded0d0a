"""Micro-benchmarks: single kernels of many shapes, run through TensorFlow.

The shapes are drawn from ranges that image networks use, not from any network. A kernel that always
gets a fresh output buffer is timed as an eager call, less what an eager call of next to nothing
takes. An element-wise one is not: inside a graph its output overwrites its input, which an eager
call never does, so it is timed as a link of a chain within a `tf.function`.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Iterator

from tftrace.machine.bench import streams, windows
from tftrace.machine.bench.chains import graph_optimizer_off
from tftrace.machine.bench.products import matrix_product
from tftrace.machine.bench.shapes import MMAP_BYTES, Draw, Sample
from tftrace.machine.bench.timing import measure_seconds

_COUNTS: tuple[tuple[Draw, int], ...] = (
    (windows.convolution, 200),
    (windows.depthwise, 60),
    (matrix_product, 40),
    (windows.grouped_convolution, 40),
    (windows.max_pool, 20),
    (windows.average_pool, 20),
    (streams.pad, 14),
    (streams.concatenation, 14),
    (streams.transposition, 14),
    (streams.mean, 14),
    (streams.softmax, 14),
    (windows.fresh_convolution, 14),
    (windows.fresh_depthwise, 8),
    *((functools.partial(streams.fresh, name), 4) for name in streams.UNARY + streams.BINARY),
)
"""How many shapes of each family."""

FAMILIES = 3
"""Counts up when what is measured changes: calibrations kept from before are then measured anew."""

_CHAINS = 20


def sample_kernels(scale: float = 1.0, seed: int = 0) -> Iterator[Sample]:
    """Time shapes of every family.

    Args:
        scale: factor on the number of shapes; 1 takes about two minutes.
        seed: which shapes are drawn.
    """
    draw = random.Random(seed)
    baseline = _seconds_of_an_eager_call()
    _raise_mmap_threshold()
    eager = [draw_one(draw) for draw_one, n in _COUNTS for _ in range(math.ceil(n * scale))]
    first = [_best(prepare) for _, prepare in eager]
    # A second round a minute later, so that a burst of other load does not hit a shape twice.
    second = [_best(prepare) for _, prepare in eager]
    for (work, _), *seconds in zip(eager, first, second, strict=True):
        yield Sample(work, min(seconds) - baseline)
    with graph_optimizer_off():
        for _ in range(math.ceil(_CHAINS * scale)):
            yield from streams.element_wise(draw)


def _best(prepare: Callable[[], Callable[[], object]]) -> float:
    return measure_seconds(prepare(), repeats=6, at_least=0.001, budget=0.12).best


def _raise_mmap_threshold() -> None:
    # glibc serves from freed memory what is smaller than the largest block freed so far: free one
    # of the largest that counts, so that no sample depends on those before it.
    import tensorflow as tf

    tf.zeros(MMAP_BYTES // 4 - 4096)


def _seconds_of_an_eager_call() -> float:
    import tensorflow as tf

    number = tf.ones(1)
    return measure_seconds(lambda: tf.raw_ops.Relu(features=number), repeats=15).best
