"""Micro-benchmarks of kernels that pass over their data: element-wise, moving and reducing ones."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tftrace.machine.bench.chains import seconds_per_link
from tftrace.machine.bench.shapes import (
    BATCHES,
    CHANNELS,
    MMAP_BYTES,
    SPACES,
    Benchmark,
    Sample,
    Shape,
    draw_shape,
    float_bytes,
)
from tftrace.machine.kernels import KernelWork

BINARY = ("Mul", "AddV2")
UNARY = ("Relu", "Relu6", "Elu", "Sigmoid", "Tanh", "Erf")


def pad(draw: random.Random) -> Benchmark:
    """One row and column of zeros on each side."""
    shape = batch, height, width, channels = draw_shape(draw)
    out = 4 * batch * (height + 2) * (width + 2) * channels
    margins = [[0, 0], [1, 1], [1, 1], [0, 0]]
    return _on_image("Pad", shape, float_bytes(shape), out, "input", paddings=margins)


def concatenation(draw: random.Random) -> Benchmark:
    """An image with itself, along its channels."""
    shape = draw_shape(draw)
    size = 2 * float_bytes(shape)
    return _on_image("ConcatV2", shape, size, size, "values", axis=3)


def transposition(draw: random.Random) -> Benchmark:
    """Channels to the front."""
    shape = draw_shape(draw)
    size = float_bytes(shape)
    return _on_image("Transpose", shape, size, size, "x", perm=[0, 3, 1, 2])


def mean(draw: random.Random) -> Benchmark:
    """Over height and width."""
    shape = draw_shape(draw)
    out = 4 * shape[0] * shape[3]
    return _on_image("Mean", shape, float_bytes(shape), out, "input", axis=[1, 2])


def softmax(draw: random.Random) -> Benchmark:
    """Over the channels."""
    shape = draw_shape(draw)
    size = float_bytes(shape)
    return _on_image("Softmax", shape, size, size, "logits")


def _on_image(
    op_type: str, shape: Shape, bytes_in: int, bytes_out: int, operand: str, **settings: Any
) -> Benchmark:
    def prepare() -> Callable[[], object]:
        import tensorflow as tf

        image = tf.random.uniform(shape)
        # Made into tensors once: a call would spend longer on that than on a small kernel.
        constants = {name: tf.constant(value) for name, value in settings.items()}
        inputs = [image, image] if operand == "values" else image
        return functools.partial(getattr(tf.raw_ops, op_type), **{operand: inputs}, **constants)

    work = _image_work(op_type, shape, bytes_in, bytes_out)
    return replace(work, fresh=bytes_out > MMAP_BYTES), prepare


def fresh(op_type: str, draw: random.Random) -> Benchmark:
    """An element-wise operation with an output too large to be served from freed memory."""
    while True:
        batch, space, channels = (draw.choice(c) for c in (BATCHES, SPACES, CHANNELS))
        size = float_bytes((batch, space, space, channels))
        if MMAP_BYTES < size < 3 * MMAP_BYTES:
            break
    work = _image_work(op_type, (batch, space, space, channels), size, size)
    return replace(work, fresh=True), functools.partial(_prepare_fresh, work)


def _prepare_fresh(work: KernelWork) -> Callable[[], object]:
    import tensorflow as tf

    image = tf.random.uniform((work.batch, work.out_h, work.out_w, work.cout))
    operation = getattr(tf.raw_ops, work.op_type)
    if work.op_type in BINARY:
        return lambda: operation(x=image, y=image)
    return lambda: operation(**{_operand(work.op_type): image})


def element_wise(draw: random.Random) -> Iterator[Sample]:
    """Every element-wise type on one shape; within `graph_optimizer_off()`."""
    import tensorflow as tf

    shape = draw_shape(draw)
    size = float_bytes(shape)
    links = 12 if size > 1e6 else 96
    image, vector, twin = tf.random.uniform(shape), tf.ones(shape[-1:]), tf.ones(shape)
    for op_type in BINARY:
        link = functools.partial(_binary_link, getattr(tf.raw_ops, op_type))
        work = _image_work(op_type, shape, size + 4 * shape[-1], size, broadcast=True)
        yield Sample(work, seconds_per_link(link, image, vector, links=links).best)
        work = _image_work(op_type, shape, 2 * size, size)
        yield Sample(work, seconds_per_link(link, image, twin, links=links).best)
    for op_type in UNARY:
        link = functools.partial(_unary_link, getattr(tf.raw_ops, op_type), _operand(op_type))
        work = _image_work(op_type, shape, size, size)
        yield Sample(work, seconds_per_link(link, image, vector, links=links).best)


def _binary_link(operation: Callable[..., Any], x: Any, y: Any) -> Any:
    return operation(x=x, y=y)


def _unary_link(operation: Callable[..., Any], operand: str, x: Any, _: Any) -> Any:
    return operation(**{operand: x})


def _operand(op_type: str) -> str:
    return "features" if op_type in ("Relu", "Relu6", "Elu") else "x"


def _image_work(
    op_type: str,
    shape: Shape,
    bytes_in: int,
    bytes_out: int,
    broadcast: bool = False,
) -> KernelWork:
    batch, height, width, channels = shape
    return KernelWork(
        op_type,
        flops=math.prod(shape),
        bytes_in=bytes_in,
        bytes_out=bytes_out,
        batch=batch,
        out_h=height,
        out_w=width,
        cin=channels,
        cout=channels,
        broadcast=broadcast,
    )
