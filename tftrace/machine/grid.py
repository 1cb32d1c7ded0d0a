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
from dataclasses import dataclass, replace
from typing import Any

from tftrace.machine.chains import graph_optimizer_off, seconds_per_link
from tftrace.machine.kernels import KernelWork
from tftrace.machine.timing import measure_seconds

_CHANNELS = (3, 8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 256, 384, 512, 768, 1024, 2048)
_SPACES = (1, 4, 7, 8, 14, 17, 28, 35, 56, 73, 112, 149)
_BATCHES = (1, 2, 4, 8, 16, 32)
_CONV_WINDOWS = ((1, 1), (1, 1), (1, 1), (3, 3), (3, 3), (5, 5), (7, 7), (1, 7), (7, 1), (1, 3))
_DEPTHWISE_WINDOWS = ((3, 3), (3, 3), (5, 5), (7, 7))
_POOL_WINDOWS = ((2, 2), (3, 2), (3, 1))
_FEATURES = (16, 43, 64, 128, 256, 512, 1000, 1280, 2048)
_BINARY = ("Mul", "AddV2")
_UNARY = ("Relu", "Relu6", "Elu", "Sigmoid", "Tanh", "Erf")
_ROWS = (1, 1, 2, 4, 8, 16, 32, 32, 64, 128, 256, 512)

MMAP_BYTES = 32 * 1024 * 1024
"""Above it, malloc maps each block anew (glibc's DEFAULT_MMAP_THRESHOLD_MAX on 64 bits)."""


@dataclass(frozen=True)
class Sample:
    """One kernel shape and its time undisturbed (the best of a few repetitions), in seconds."""

    work: KernelWork
    seconds: float


def sample_kernels(scale: float = 1.0, seed: int = 0) -> Iterator[Sample]:
    """Time shapes of every family.

    Args:
        scale: factor on the number of shapes; 1 takes about 90 seconds.
        seed: which shapes are drawn.
    """
    draw = random.Random(seed)
    baseline = _seconds_of_an_eager_call()
    _raise_mmap_threshold()
    eager = [
        *_times(_convolution, draw, 200 * scale),
        *_times(_depthwise, draw, 60 * scale),
        *_times(_matrix_product, draw, 40 * scale),
        *_times(_max_pool, draw, 20 * scale),
        *_times(_average_pool, draw, 20 * scale),
        *_times(_pad, draw, 14 * scale),
        *_times(_concatenation, draw, 14 * scale),
        *_times(_transposition, draw, 14 * scale),
        *_times(_mean, draw, 14 * scale),
        *_times(_softmax, draw, 14 * scale),
        *_times(_fresh_convolution, draw, 14 * scale),
        *_times(_fresh_depthwise, draw, 8 * scale),
        *(
            benchmark
            for op_type in _UNARY + _BINARY
            for benchmark in _times(functools.partial(_fresh, op_type), draw, 4 * scale)
        ),
    ]
    first = [_best(prepare) for _, prepare in eager]
    # A second round a minute later, so that a burst of other load does not hit a shape twice.
    second = [_best(prepare) for _, prepare in eager]
    for (work, _), *seconds in zip(eager, first, second, strict=True):
        yield Sample(work, min(seconds) - baseline)
    with graph_optimizer_off():
        for _ in range(math.ceil(20 * scale)):
            yield from _element_wise(draw)


def _best(prepare: Callable[[], Callable[[], object]]) -> float:
    return measure_seconds(prepare(), repeats=6, at_least=0.001, budget=0.12).best


def windowed(
    op_type: str,
    batch: int,
    space: int,
    cin: int,
    cout: int,
    window: tuple[int, int],
    step: int,
) -> KernelWork:
    """Work of a float32 convolution, depthwise convolution or pooling that adds no padding.

    Args:
        space: height and width of the output.
        step: step of the window along height and width.
    """
    convolves = op_type == "Conv2D"
    weighs = op_type in ("Conv2D", "DepthwiseConv2dNative")
    size = math.prod(window)
    outputs = batch * space * space * cout
    per_output = size * (cin if convolves else 1)
    height, width = (extent - 1 + (space - 1) * step + 1 for extent in window)
    weights = size * cin * (cout if convolves else 1) if weighs else 0
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
        groups=1 if convolves else cin,
        fresh=4 * outputs > MMAP_BYTES,
    )


# A benchmark is its work and a function that allocates its inputs and answers with the call to
# time; so inputs live no longer than they are needed.
_Benchmark = tuple[KernelWork, Callable[[], Callable[[], object]]]


def _times(
    draw_one: Callable[[random.Random], _Benchmark], draw: random.Random, count: float
) -> Iterator[_Benchmark]:
    return (draw_one(draw) for _ in range(math.ceil(count)))


def _convolution(draw: random.Random) -> _Benchmark:
    while True:
        step = draw.choice((1, 1, 1, 2))
        work = windowed(
            "Conv2D",
            draw.choice(_BATCHES),
            draw.choice(_SPACES),
            draw.choice(_CHANNELS),
            draw.choice(_CHANNELS),
            draw.choice(_CONV_WINDOWS),
            step,
        )
        if 2e5 < work.macs < 1.2e9 and work.bytes < 150e6:
            return work, functools.partial(_prepare_window, work, step)


def _fresh_convolution(draw: random.Random) -> _Benchmark:
    while True:
        work, prepare = _convolution(draw)
        if work.fresh:
            return work, prepare


def _fresh_depthwise(draw: random.Random) -> _Benchmark:
    while True:
        work, prepare = _depthwise(draw)
        if work.fresh:
            return work, prepare


def _depthwise(draw: random.Random) -> _Benchmark:
    while True:
        step, channels = draw.choice((1, 1, 1, 2)), draw.choice(_CHANNELS)
        work = windowed(
            "DepthwiseConv2dNative",
            draw.choice(_BATCHES),
            draw.choice(_SPACES),
            channels,
            channels,
            draw.choice(_DEPTHWISE_WINDOWS),
            step,
        )
        if 2e4 < work.macs < 1.5e8 and work.bytes < 150e6:
            return work, functools.partial(_prepare_window, work, step)


def _pool(op_type: str, draw: random.Random) -> _Benchmark:
    while True:
        size, step = draw.choice(_POOL_WINDOWS)
        channels = draw.choice(_CHANNELS)
        work = windowed(
            op_type,
            draw.choice(_BATCHES),
            draw.choice(_SPACES),
            channels,
            channels,
            (size, size),
            step,
        )
        if 1e5 < work.bytes < 60e6:
            return work, functools.partial(_prepare_window, work, step)


_max_pool = functools.partial(_pool, "MaxPool")
_average_pool = functools.partial(_pool, "AvgPool")


def _prepare_window(work: KernelWork, step: int) -> Callable[[], object]:
    import tensorflow as tf

    height = (work.out_h - 1) * step + work.kernel_h
    width = (work.out_w - 1) * step + work.kernel_w
    image = tf.random.normal((work.batch, height, width, work.cin))
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


def _matrix_product(draw: random.Random) -> _Benchmark:
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


def _pad(draw: random.Random) -> _Benchmark:
    shape = batch, height, width, channels = _draw_shape(draw)
    out = 4 * batch * (height + 2) * (width + 2) * channels
    return _on_image(
        "Pad", shape, _bytes(shape), out, lambda tf, x: tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    )


def _concatenation(draw: random.Random) -> _Benchmark:
    shape = _draw_shape(draw)
    size = 2 * _bytes(shape)
    return _on_image("ConcatV2", shape, size, size, lambda tf, x: tf.concat([x, x], 3))


def _transposition(draw: random.Random) -> _Benchmark:
    shape = _draw_shape(draw)
    size = _bytes(shape)
    return _on_image("Transpose", shape, size, size, lambda tf, x: tf.transpose(x, [0, 3, 1, 2]))


def _mean(draw: random.Random) -> _Benchmark:
    shape = _draw_shape(draw)
    out = 4 * shape[0] * shape[3]
    return _on_image("Mean", shape, _bytes(shape), out, lambda tf, x: tf.reduce_mean(x, [1, 2]))


def _softmax(draw: random.Random) -> _Benchmark:
    shape = _draw_shape(draw)
    size = _bytes(shape)
    return _on_image("Softmax", shape, size, size, lambda tf, x: tf.nn.softmax(x))


def _on_image(
    op_type: str,
    shape: tuple[int, int, int, int],
    bytes_in: int,
    bytes_out: int,
    call: Callable[[Any, Any], object],
) -> _Benchmark:
    def prepare() -> Callable[[], object]:
        import tensorflow as tf

        return functools.partial(call, tf, tf.random.uniform(shape))

    work = _image_work(op_type, shape, bytes_in, bytes_out)
    return replace(work, fresh=bytes_out > MMAP_BYTES), prepare


def _fresh(op_type: str, draw: random.Random) -> _Benchmark:
    """An element-wise operation with an output too large to be served from freed memory."""
    while True:
        batch, space, channels = (draw.choice(c) for c in (_BATCHES, _SPACES, _CHANNELS))
        size = _bytes((batch, space, space, channels))
        if MMAP_BYTES < size < 3 * MMAP_BYTES:
            break
    work = _image_work(op_type, (batch, space, space, channels), size, size)
    return replace(work, fresh=True), functools.partial(_prepare_fresh, work)


def _prepare_fresh(work: KernelWork) -> Callable[[], object]:
    import tensorflow as tf

    image = tf.random.uniform((work.batch, work.out_h, work.out_w, work.cout))
    operation = getattr(tf.raw_ops, work.op_type)
    if work.op_type in _BINARY:
        return lambda: operation(x=image, y=image)
    return lambda: operation(**{_operand(work.op_type): image})


def _element_wise(draw: random.Random) -> Iterator[Sample]:
    import tensorflow as tf

    shape = _draw_shape(draw)
    size = _bytes(shape)
    links = 12 if size > 1e6 else 96
    image, vector, twin = tf.random.uniform(shape), tf.ones(shape[-1:]), tf.ones(shape)
    for op_type in _BINARY:
        link = functools.partial(_binary_link, getattr(tf.raw_ops, op_type))
        work = _image_work(op_type, shape, size + 4 * shape[-1], size, broadcast=True)
        yield Sample(work, seconds_per_link(link, image, vector, links=links).best)
        work = _image_work(op_type, shape, 2 * size, size)
        yield Sample(work, seconds_per_link(link, image, twin, links=links).best)
    for op_type in _UNARY:
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
    shape: tuple[int, int, int, int],
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


def _draw_shape(draw: random.Random) -> tuple[int, int, int, int]:
    while True:
        space, batch, channels = (draw.choice(c) for c in (_SPACES, _BATCHES, _CHANNELS))
        shape = (batch, space, space, channels)
        if 4e4 < _bytes(shape) < 40e6:
            return shape


def _bytes(shape: tuple[int, ...]) -> int:
    return 4 * math.prod(shape)


def _raise_mmap_threshold() -> None:
    # glibc serves from freed memory what is smaller than the largest block freed so far: free one
    # of the largest that counts, so that no sample depends on those before it.
    import tensorflow as tf

    tf.zeros(MMAP_BYTES // 4 - 4096)


def _seconds_of_an_eager_call() -> float:
    import tensorflow as tf

    number = tf.ones(1)
    return measure_seconds(lambda: tf.raw_ops.Relu(features=number), repeats=15).best
