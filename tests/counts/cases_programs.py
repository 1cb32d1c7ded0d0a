"""Quantised and low-rank layers, operations of one's own, control flow, and the unknowable."""

import keras
import tensorflow as tf
from cases import CASES, Case, case, on
from counting import BATCH
from keras import layers, ops


# --- quantised, low rank -----------------------------------------------------------------------
def _int8_dense():
    layer = layers.Dense(8)
    layer.build((None, 16))
    layer.quantize("int8")
    return layer


# Scale 127 / max, input * scale, kernel scale * input scale, output / both.
case("dense int8", _int8_dense, (16,), macs=128, mults=128 + 1 + 16 + 8 + 8)


def _int8_einsum():
    layer = layers.EinsumDense("abc,cd->abd", (5, 8))
    layer.build((None, 5, 16))
    layer.quantize("int8")
    return layer


# As the dense layer, for 5 rows with a scale each.
case("einsum dense int8", _int8_einsum, (5, 16), macs=640, mults=5 * (128 + 1 + 16 + 8 + 8))


def _lora_dense():
    layer = layers.Dense(8)
    layer.build((None, 16))
    layer.enable_lora(2)
    return layer


# kernel + A @ B on every batch, of rank 2; alpha / rank is one.
case(
    "dense lora",
    _lora_dense,
    (16,),
    macs=128,
    macs_executed=128 + 16 * 2 * 8 / BATCH,
    mults_executed=128 + 16 * 2 * 8 / BATCH,
)

# --- operations and control flow -----------------------------------------------------------------
case("ops matmul", on(lambda x: ops.matmul(x, ops.transpose(x, (0, 2, 1)))), (5, 8), macs=200)
case("ops einsum", on(lambda x: ops.einsum("bij,bkj->bik", x, x)), (5, 8), macs=5 * 5 * 8)
case("ops outer", on(lambda x: ops.einsum("bi,bj->bij", x, x)), (8,), mults=64)
case(
    "lambda",
    on(lambda x: layers.Lambda(lambda t: t * t + 1.0, output_shape=(5, 8))(x)),
    (5, 8),
    mults=40,
    flops=80,
)


class Custom(layers.Layer):
    """A layer of one's own, from a function of the input and a square kernel."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], shape[-1]))

    def call(self, x):
        return self.function(x, self.kernel)

    def compute_output_shape(self, shape):
        return shape


case("custom layer", lambda: Custom(lambda x, w: tf.nn.relu(tf.matmul(x, w))), (8,), macs=64)


def _turns(count):
    """``count`` products with the kernel in a while loop."""
    return lambda x, w: tf.while_loop(
        lambda i, y: i < count, lambda i, y: (i + 1, tf.matmul(y, w)), (0, x)
    )[1]


case("while", lambda: Custom(_turns(6)), (8,), macs=6 * 64)
case(
    "while in while",
    lambda: Custom(lambda x, w: ops.fori_loop(0, 3, lambda i, y: _turns(4)(y, w), x)),
    (8,),
    macs=3 * 4 * 64,
)


def _unused(x, w):
    tf.matmul(tf.exp(x), w)
    return tf.matmul(x, w)


case("dead product", lambda: Custom(_unused), (8,), macs=64, transcendentals=0)
case(
    "shared layer twice",
    lambda: (lambda dense: lambda x: dense(dense(x)))(layers.Dense(8)),
    (8,),
    macs=2 * 64,
)
case(
    "nested model",
    lambda: keras.Sequential([keras.Sequential([layers.Dense(6)]), layers.Dense(4)]),
    (8,),
    macs=8 * 6 + 6 * 4,
)
case(
    "kernel squared",  # w @ w needs no data: executed on every batch, not needed
    lambda: Custom(lambda x, w: tf.matmul(x, tf.matmul(w, w))),
    (8,),
    macs=64,
    macs_executed=64 + 512 / BATCH,
    mults_executed=64 + 512 / BATCH,
)

case(
    "top k",  # nothing is multiplied, and comparisons depend on the data
    on(lambda x: ops.top_k(x, 3)[0]),
    (5, 8),
    flops=None,
)


def _best_boxes(x, _):
    """The best three of nine boxes, one class, per image."""
    scores = tf.ones((BATCH, 9, 1))
    return tf.image.combined_non_max_suppression(x[:, :, None], scores, 3, 3)[0]


case(
    "key-value cache",  # written at place 3 of 8; what is read is multiplied
    on(lambda x: ops.slice_update(ops.zeros((BATCH, 8, 4)), (0, 3, 0), x)),
    (1, 4),
    mults=0,
)
case("boxes", lambda: Custom(_best_boxes), (9, 4), flops=None)


# --- what cannot be known is null, never 0 -------------------------------------------------------
NULL = dict.fromkeys(("macs_executed", "mults_executed", "flops"))


def _until_large(x, w):
    return tf.while_loop(lambda y: tf.reduce_sum(y) < 9.0, lambda y: tf.matmul(y, w) + 1.0, (x,))[0]


def unknown(name, build, *shapes):
    case(name, build, *shapes, macs=0, mults=0)
    CASES[-1] = Case(name, CASES[-1].model, shapes, None, None, NULL)


unknown("while on data", lambda: Custom(_until_large), (8,))
unknown(
    "branch on data",
    lambda: Custom(
        lambda x, w: tf.cond(tf.reduce_sum(x) > 0.0, lambda: tf.matmul(x, w), lambda: x)
    ),
    (8,),
)
unknown(
    "python function",
    lambda: Custom(lambda x, w: tf.ensure_shape(tf.numpy_function(abs, [x], "float32"), x.shape)),
    (8,),
)
unknown("fourier transform", lambda: layers.MelSpectrogram(fft_length=64), (256,))
