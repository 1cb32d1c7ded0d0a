"""Micro-benchmarks of kernels with a window: convolutions and pooling."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable
from typing import Any

from tftrace.machine.bench.shapes import (
    BATCHES,
    CHANNELS,
    MMAP_BYTES,
    SPACES,
    Benchmark,
    Draw,
    Shape,
)
from tftrace.machine.kernels import KernelWork

_CONV_WINDOWS = ((1, 1), (1, 1), (1, 1), (3, 3), (3, 3), (5, 5), (7, 7), (1, 7), (7, 1), (1, 3))
_DEPTHWISE_WINDOWS = ((3, 3), (3, 3), (5, 5), (7, 7))
_GROUPED_WINDOWS = ((1, 1), (3, 3), (3, 3), (5, 5), (7, 7))
_GROUPS = (2, 4, 8, 16, 32, 0, 0, 0)  # 0 stands for as many as channels
_POOL_WINDOWS = ((2, 2), (3, 2), (3, 1))


def windowed(
    op_type: str,
    batch: int,
    space: int,
    cin: int,
    cout: int,
    window: tuple[int, int],
    step: int,
    groups: int = 1,
) -> KernelWork:
    """Work of a float32 convolution, depthwise convolution or pooling that adds no padding.

    Args:
        space: height and width of the output.
        step: step of the window along height and width.
        groups: of a convolution; they divide both channels.
    """
    convolves = op_type == "Conv2D"
    weighs = op_type in ("Conv2D", "DepthwiseConv2dNative")
    size = math.prod(window)
    outputs = batch * space * space * cout
    per_output = size * (cin // groups if convolves else 1)
    height, width = (extent - 1 + (space - 1) * step + 1 for extent in window)
    weights = size * cin * (cout // groups if convolves else 1) if weighs else 0
    return KernelWork(
        op_type,
        macs=outputs * per_output if weighs else 0,
        flops=outputs * per_output * (2 if weighs else 1),
        bytes_in=4 * (batch * height * width * cin + weights),
        bytes_out=4 * outputs,
        batch=batch,
        out_h=space,
        out_w=space,
        cin=cin,
        cout=cout,
        kernel_h=window[0],
        kernel_w=window[1],
        stride=step * step,
        groups=groups if convolves else cin,
        fresh=4 * outputs > MMAP_BYTES,
    )


def convolution(draw: random.Random) -> Benchmark:
    """Of 0.2 to 1,200 million multiply-accumulates."""
    while True:
        step = draw.choice((1, 1, 1, 2))
        work = windowed(
            "Conv2D",
            draw.choice(BATCHES),
            draw.choice(SPACES),
            draw.choice(CHANNELS),
            draw.choice(CHANNELS),
            draw.choice(_CONV_WINDOWS),
            step,
        )
        if 2e5 < work.macs < 1.2e9 and work.bytes < 150e6:
            return work, functools.partial(_prepare_window, work, step)


def grouped_convolution(draw: random.Random) -> Benchmark:
    """A convolution in groups, compiled by XLA: TensorFlow itself has none on a CPU.

    Keras compiles it so too (`conv` in keras/src/backend/tensorflow/nn.py).
    """
    while True:
        step, channels = draw.choice((1, 1, 1, 2)), draw.choice(CHANNELS[1:])
        groups = draw.choice(_GROUPS) or channels
        if channels % groups or groups == 1:
            continue
        work = windowed(
            "Conv2D",
            draw.choice(BATCHES),
            draw.choice(SPACES),
            channels,
            channels * draw.choice((1, 1, 1, 2)),
            draw.choice(_GROUPED_WINDOWS),
            step,
            groups,
        )
        # Each position and group is a small matrix product of its own, some 100 ns long.
        if 2e4 < work.macs < 6e8 and work.rows * work.groups < 1e6 and work.bytes < 150e6:
            return work, functools.partial(_prepare_grouped, work, step)


def _prepare_grouped(work: KernelWork, step: int) -> Callable[[], object]:
    import tensorflow as tf

    image = tf.random.normal(_input_shape(work, step))
    kernel = tf.random.normal((work.kernel_h, work.kernel_w, work.cin // work.groups, work.cout))

    def convolve(x: Any, weights: Any) -> Any:
        return tf.nn.conv2d(x, weights, step, "VALID")

    compiled = tf.function(convolve, jit_compile=True)
    return lambda: compiled(image, kernel)


def depthwise(draw: random.Random) -> Benchmark:
    """Of 0.02 to 150 million multiply-accumulates."""
    while True:
        step, channels = draw.choice((1, 1, 1, 2)), draw.choice(CHANNELS)
        work = windowed(
            "DepthwiseConv2dNative",
            draw.choice(BATCHES),
            draw.choice(SPACES),
            channels,
            channels,
            draw.choice(_DEPTHWISE_WINDOWS),
            step,
        )
        if 2e4 < work.macs < 1.5e8 and work.bytes < 150e6:
            return work, functools.partial(_prepare_window, work, step)


def _fresh(draw_one: Draw, draw: random.Random) -> Benchmark:
    """One whose output is too large to be served from freed memory."""
    while True:
        work, prepare = draw_one(draw)
        if work.fresh:
            return work, prepare


fresh_convolution = functools.partial(_fresh, convolution)
fresh_depthwise = functools.partial(_fresh, depthwise)


def _pool(op_type: str, draw: random.Random) -> Benchmark:
    while True:
        size, step = draw.choice(_POOL_WINDOWS)
        channels = draw.choice(CHANNELS)
        work = windowed(
            op_type,
            draw.choice(BATCHES),
            draw.choice(SPACES),
            channels,
            channels,
            (size, size),
            step,
        )
        if 1e5 < work.bytes < 60e6:
            return work, functools.partial(_prepare_window, work, step)


max_pool = functools.partial(_pool, "MaxPool")
average_pool = functools.partial(_pool, "AvgPool")


def _prepare_window(work: KernelWork, step: int) -> Callable[[], object]:
    import tensorflow as tf

    image = tf.random.normal(_input_shape(work, step))
    window, steps = [1, work.kernel_h, work.kernel_w, 1], [1, step, step, 1]
    if work.op_type == "Conv2D":
        kernel = tf.random.normal((work.kernel_h, work.kernel_w, work.cin, work.cout))
        return lambda: tf.raw_ops.Conv2D(input=image, filter=kernel, strides=steps, padding="VALID")
    if work.op_type == "DepthwiseConv2dNative":
        kernel = tf.random.normal((work.kernel_h, work.kernel_w, work.cin, 1))
        return lambda: tf.raw_ops.DepthwiseConv2dNative(
            input=image, filter=kernel, strides=steps, padding="VALID"
        )
    if work.op_type == "MaxPool":
        return lambda: tf.raw_ops.MaxPool(input=image, ksize=window, strides=steps, padding="VALID")
    return lambda: tf.raw_ops.AvgPool(value=image, ksize=window, strides=steps, padding="VALID")


def _input_shape(work: KernelWork, step: int) -> Shape:
    height = (work.out_h - 1) * step + work.kernel_h
    width = (work.out_w - 1) * step + work.kernel_w
    return work.batch, height, width, work.cin
