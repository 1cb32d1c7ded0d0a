"""Models of one layer (or one oddity) with their work per sample, derived by hand.

Each number is the formula written out for the shapes of the case; none is read off a run.
``macs`` and ``mults`` are what the mathematics needs. Where a case says nothing of
``mults_executed`` and ``macs_executed`` they are the same. Shapes are without the batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf
from counting import BATCH
from keras import layers, ops


@dataclass(frozen=True)
class Case:
    name: str
    model: Callable[[], Any]
    shapes: Sequence[tuple[int, ...]]
    macs: int | None
    mults: int | None
    more: dict[str, int | float | None] = field(default_factory=dict)


CASES: list[Case] = []


def case(name, build, *shapes, macs=0, mults=None, dtype="float32", **more):
    """``build`` is a layer, or a function from input tensors to outputs."""

    def model():
        inputs = [keras.Input(shape, dtype=dtype) for shape in shapes]
        outputs = build()(inputs[0] if len(inputs) == 1 else inputs)
        return keras.Model(inputs, outputs)

    mults = macs if mults is None else mults
    more = {"macs_executed": macs, "mults_executed": mults, **more}
    CASES.append(Case(name, model, shapes, macs, mults, more))


def on(function):
    """A function of tensors as something to build: ``case("x", on(lambda x: ...), shape)``."""
    return lambda: function


# --- dense ---------------------------------------------------------------------------------
# (16) x (16, 8): 16 * 8 macs; flops twice that and 8 biases; bytes 16 + 128 + 8 + 8 floats,
# the 136 weights once per batch.
case(
    "dense",
    lambda: layers.Dense(8),
    (16,),
    macs=16 * 8,
    flops=2 * 16 * 8 + 8,
    bytes=4 * (16 + 8) + 4 * (128 + 8) / BATCH,
)
case("dense no bias", lambda: layers.Dense(8, use_bias=False), (16,), macs=128, flops=256)
case("dense relu", lambda: layers.Dense(8, "relu"), (16,), macs=128, flops=256 + 8 + 8)
case("dense rank 3", lambda: layers.Dense(8), (5, 16), macs=5 * 16 * 8)
case("dense rank 4", lambda: layers.Dense(8), (3, 5, 16), macs=3 * 5 * 16 * 8)
case("einsum dense", lambda: layers.EinsumDense("abc,cd->abd", (5, 8)), (5, 16), macs=5 * 16 * 8)
case(
    "einsum dense to heads",
    lambda: layers.EinsumDense("abc,cde->abde", (5, 2, 4), bias_axes="de"),
    (5, 16),
    macs=5 * 16 * 2 * 4,
    flops=2 * 640 + 5 * 2 * 4,
)
case("einsum dense ...", lambda: layers.EinsumDense("...x,xy->...y", 8), (5, 16), macs=640)
# Keras wraps negative indices: a comparison, an addition, a choice for each of 7. Rows of 4
# floats are read and written, not the table of 50: 7 indices, 28 floats in, 28 out.
case(
    "embedding",
    lambda: layers.Embedding(50, 4),
    (7,),
    dtype="int32",
    flops=3 * 7,
    bytes=4 * (7 + 28 + 28),
)
case(
    "reversible embedding both ways",
    # 7 rows looked up, then 7 * 4 against the table of 50.
    lambda: (lambda table: lambda x: table(table(x), reverse=True))(
        layers.ReversibleEmbedding(50, 4)
    ),
    (7,),
    dtype="int32",
    macs=7 * 4 * 50,
)

# --- convolution: output positions * filters * window * channels per group -------------------
conv = layers.Conv2D
case("conv valid", lambda: conv(4, 3), (32, 32, 3), macs=30 * 30 * 4 * 9 * 3)
case(
    "conv same bias",
    lambda: conv(32, 3, padding="same"),
    (32, 32, 3),
    macs=884_736,
    flops=2 * 884_736 + 32_768,
)
case("conv stride 2", lambda: conv(4, 3, 2, "same"), (32, 32, 3), macs=16 * 16 * 4 * 27)
case("conv dilated", lambda: conv(4, 3, dilation_rate=2), (32, 32, 3), macs=28 * 28 * 4 * 27)
case("conv groups", lambda: conv(8, 3, padding="same", groups=2), (8, 8, 4), macs=64 * 8 * 9 * 2)
case("conv 1x1", lambda: conv(6, 1), (8, 8, 4), macs=64 * 6 * 4)
case("conv 1x7", lambda: conv(6, (1, 7), padding="same"), (8, 8, 4), macs=64 * 6 * 7 * 4)
case(
    "conv channels first",
    lambda: conv(4, 3, data_format="channels_first"),
    (3, 32, 32),
    macs=30 * 30 * 4 * 27,
)
case("conv 1d", lambda: layers.Conv1D(4, 5), (20, 3), macs=16 * 4 * 5 * 3)
case("conv 1d causal", lambda: layers.Conv1D(4, 5, padding="causal"), (20, 3), macs=20 * 4 * 15)
case("conv 1d stride 2", lambda: layers.Conv1D(4, 5, 2), (20, 3), macs=8 * 4 * 15)
case("conv 1d groups", lambda: layers.Conv1D(4, 5, groups=2), (20, 6), macs=16 * 4 * 5 * 3)
case(
    "conv 1d dilated 2",
    # Window 9, 20 + 8 padded = 2 blocks of 14: 2 * 10 positions computed, all kept.
    lambda: layers.Conv1D(4, 5, padding="same", dilation_rate=2),
    (20, 3),
    macs=20 * 4 * 15,
)
case(
    "conv 1d dilated 3",
    # Window 13, 20 + 12 padded to 33 = 3 blocks of 11: 3 * 7 positions computed, 20 kept.
    lambda: layers.Conv1D(4, 5, padding="same", dilation_rate=3),
    (20, 3),
    macs=20 * 4 * 15,
    macs_executed=21 * 4 * 15,
    mults_executed=21 * 4 * 15,
)
case(
    "conv 1d causal dilated 3",
    lambda: layers.Conv1D(4, 5, padding="causal", dilation_rate=3),
    (20, 3),
    macs=20 * 4 * 15,
    macs_executed=21 * 4 * 15,
    mults_executed=21 * 4 * 15,
)
case("conv 3d", lambda: layers.Conv3D(3, 3), (6, 6, 6, 2), macs=4**3 * 3 * 27 * 2)
case("depthwise", lambda: layers.DepthwiseConv2D(3, padding="same"), (8, 8, 4), macs=64 * 4 * 9)
case(
    "depthwise multiplier 2",
    lambda: layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
    (8, 8, 4),
    macs=64 * 8 * 9,
)
case("depthwise stride 2", lambda: layers.DepthwiseConv2D(3, 2), (9, 9, 4), macs=16 * 4 * 9)
case(
    "depthwise dilated",
    # 9 -> 5 positions a side. Padded to 10 = 2 blocks of 5: 2 * 3 positions computed.
    lambda: layers.DepthwiseConv2D(3, dilation_rate=2),
    (9, 9, 4),
    macs=5 * 5 * 4 * 9,
    macs_executed=6 * 6 * 4 * 9,
    mults_executed=6 * 6 * 4 * 9,
)
case(
    "depthwise dilated stride 2",
    # 12 -> 8 positions dilated, of which Keras picks every other one: 4.
    lambda: layers.DepthwiseConv2D(3, 2, dilation_rate=2),
    (12, 12, 4),
    macs=4 * 4 * 4 * 9,
    macs_executed=8 * 8 * 4 * 9,
    mults_executed=8 * 8 * 4 * 9,
)
case("depthwise 1d", lambda: layers.DepthwiseConv1D(3, padding="same"), (20, 4), macs=20 * 4 * 3)
case(
    "separable",
    lambda: layers.SeparableConv2D(6, 3, padding="same"),
    (8, 8, 4),
    macs=64 * 4 * 9 + 64 * 6 * 4,
)
case(
    "separable multiplier 2",
    lambda: layers.SeparableConv2D(6, 3, padding="same", depth_multiplier=2),
    (8, 8, 4),
    macs=64 * 8 * 9 + 64 * 6 * 8,
)
case(
    "separable 1d",
    lambda: layers.SeparableConv1D(6, 3, padding="same"),
    (20, 4),
    macs=20 * 4 * 3 + 20 * 6 * 4,
)
# Transposed: INPUT elements * window * filters, whatever the padding crops.
case(
    "transposed same",
    lambda: layers.Conv2DTranspose(3, 3, 2, "same"),
    (4, 4, 6),
    macs=16 * 6 * 9 * 3,
)
case("transposed valid", lambda: layers.Conv2DTranspose(3, 3, 2), (4, 4, 6), macs=16 * 6 * 9 * 3)
case("transposed stride 1", lambda: layers.Conv2DTranspose(3, 3), (4, 4, 6), macs=16 * 6 * 9 * 3)
case("transposed 1d", lambda: layers.Conv1DTranspose(3, 4, 2), (5, 6), macs=5 * 6 * 4 * 3)
case("transposed 3d", lambda: layers.Conv3DTranspose(3, 3, 2), (2, 2, 2, 4), macs=8 * 4 * 27 * 3)

# --- pooling: a division per output of an average; k - 1 or k operations per window ------------
case("max pool", lambda: layers.MaxPooling2D(), (8, 8, 4), flops=16 * 4 * 3)
case("max pool 1d", lambda: layers.MaxPooling1D(2), (8, 4), flops=4 * 4 * 1)
case("max pool 3d", lambda: layers.MaxPooling3D(2), (4, 4, 4, 2), flops=8 * 2 * 7)
case("average pool", lambda: layers.AveragePooling2D(2), (8, 8, 4), mults=64, flops=64 * 4)
case(
    "average pool same",
    lambda: layers.AveragePooling2D(3, 2, "same"),
    (8, 8, 4),
    mults=64,
    flops=64 * 9,
)
case("average pool 1d", lambda: layers.AveragePooling1D(2), (8, 4), mults=16, flops=32)
case("average pool 3d", lambda: layers.AveragePooling3D(2), (4, 4, 4, 2), mults=16, flops=128)
case(
    "adaptive average",
    # 8 to 3: windows of 3, 4, 3. Keras averages at every place with both sizes, 6 + 5 places,
    # and picks three: first along 8 columns, then along the 3 rows that are left.
    lambda: layers.AdaptiveAveragePooling2D(3),
    (8, 8, 4),
    mults=(6 + 5) * 8 * 4 + 3 * (6 + 5) * 4,
)
case("adaptive max", lambda: layers.AdaptiveMaxPooling2D(4), (8, 8, 4))
case("global average", lambda: layers.GlobalAveragePooling2D(), (8, 8, 4), mults=4, flops=256)
case("global average 1d", lambda: layers.GlobalAveragePooling1D(), (8, 4), mults=4, flops=32)
case("global average 3d", lambda: layers.GlobalAveragePooling3D(), (4, 4, 4, 2), mults=2)
case("global max", lambda: layers.GlobalMaxPooling2D(), (8, 8, 4), flops=63 * 4)

# --- normalisation ------------------------------------------------------------------------
# n = 8 * 8 * 4 elements, 4 channels: one mult and one addition per element; on every BATCH
# `gamma * rsqrt(...)` and `mean * scale`, 2 * 4 mults.
case(
    "batch norm",
    lambda: layers.BatchNormalization(),
    (8, 8, 4),
    mults=256,
    flops=512,
    mults_executed=256 + 8 / BATCH,
)
case(
    "batch norm no scale",
    lambda: layers.BatchNormalization(scale=False),
    (8, 8, 4),
    mults=256,
    mults_executed=256 + 4 / BATCH,
)
case(
    "batch norm no center",
    lambda: layers.BatchNormalization(center=False),
    (8, 8, 4),
    mults=256,
    mults_executed=256 + 8 / BATCH,
)
case(
    "batch norm axis 1",
    lambda: layers.BatchNormalization(axis=1),
    (4, 8, 8),
    mults=256,
    mults_executed=256 + 8 / BATCH,
)
# Keras: x * (rsqrt * gamma) + (beta - mean * (rsqrt * gamma)); n = 80 in 5 rows. Squares, two
# products to build the factors (gamma spans the row), one to apply; two means of 5 divisions.
case(
    "layer norm",
    lambda: layers.LayerNormalization(),
    (5, 16),
    mults=4 * 80 + 2 * 5,
    flops=9 * 80 + 2 * 5,
    transcendentals=5,
)
# n = 256, 2 groups, 4 channels: squares, applying; per channel the two factors; two means.
case(
    "group norm",
    lambda: layers.GroupNormalization(2),
    (8, 8, 4),
    mults=2 * 256 + 2 * 4 + 2 * 2,
)
case("rms norm", lambda: layers.RMSNormalization(), (5, 16), mults=3 * 80 + 5)
case("unit norm", lambda: layers.UnitNormalization(), (5, 16), mults=2 * 80)
case(
    "spectral norm",  # at inference the wrapped layer alone
    lambda: layers.SpectralNormalization(layers.Conv2D(4, 3)),
    (8, 8, 3),
    macs=36 * 4 * 27,
)

# --- recurrent: steps * gates * units * (inputs + units) -------------------------------------
case("simple rnn", lambda: layers.SimpleRNN(5), (7, 3), macs=7 * 5 * 8)
# f * c, i * g, o * tanh(c): three products per unit and step.
lstm = {"macs": 7 * 4 * 5 * 8, "mults": 7 * (4 * 5 * 8 + 3 * 5)}
case("lstm", lambda: layers.LSTM(5), (7, 3), **lstm)
case("lstm sequences", lambda: layers.LSTM(5, return_sequences=True), (7, 3), **lstm)
case("lstm backwards", lambda: layers.LSTM(5, go_backwards=True), (7, 3), **lstm)
case(
    "lstm unrolled",
    # The first state is a constant zero, so its product with the recurrent kernel (4 * 5 * 5)
    # needs no data: executed, not needed.
    lambda: layers.LSTM(5, unroll=True),
    (7, 3),
    macs=lstm["macs"] - 100,
    mults=lstm["mults"] - 100,
    macs_executed=lstm["macs"],
    mults_executed=lstm["mults"],
)
case("lstm state", lambda: layers.LSTM(5, return_state=True), (7, 3), **lstm)
case(
    "lstm masked",  # masking compares and chooses
    lambda: keras.Sequential([layers.Masking(), layers.LSTM(5)]),
    (7, 3),
    **lstm,
)
gru = {"macs": 7 * 3 * 5 * 8, "mults": 7 * (3 * 5 * 8 + 3 * 5)}
case("gru", lambda: layers.GRU(5), (7, 3), **gru)
case("gru reset before", lambda: layers.GRU(5, reset_after=False), (7, 3), **gru)
case(
    "bidirectional",
    lambda: layers.Bidirectional(layers.LSTM(5)),
    (7, 3),
    macs=2 * lstm["macs"],
    mults=2 * lstm["mults"],
)
case(
    "bidirectional average",  # (a + b) / 2 of 5 units
    lambda: layers.Bidirectional(layers.GRU(5), merge_mode="ave"),
    (7, 3),
    macs=2 * gru["macs"],
    mults=2 * gru["mults"] + 5,
)
case(
    "stacked cells",
    lambda: layers.RNN([layers.LSTMCell(5), layers.LSTMCell(4)]),
    (7, 3),
    macs=7 * (4 * 5 * (3 + 5) + 4 * 4 * (5 + 4)),
    mults=7 * (4 * 5 * (3 + 5) + 4 * 4 * (5 + 4) + 3 * (5 + 4)),
)
case("rnn of a cell", lambda: layers.RNN(layers.SimpleRNNCell(5)), (7, 3), macs=7 * 5 * 8)
# 3 steps, 6 x 6 positions, 4 gates of 4 filters, windows of 9 over 2 inputs and 4 states.
case(
    "conv lstm",
    lambda: layers.ConvLSTM2D(4, 3, padding="same"),
    (3, 6, 6, 2),
    macs=3 * 36 * 4 * 4 * 9 * (2 + 4),
    mults=3 * 36 * (4 * 4 * 9 * (2 + 4) + 3 * 4),
)
case(
    "conv lstm 1d",
    lambda: layers.ConvLSTM1D(4, 3, padding="same"),
    (3, 6, 2),
    macs=3 * 6 * 4 * 4 * 3 * (2 + 4),
    mults=3 * 6 * (4 * 4 * 3 * (2 + 4) + 3 * 4),
)
case(
    "conv lstm 3d",
    lambda: layers.ConvLSTM3D(4, 3, padding="same"),
    (3, 4, 4, 4, 2),
    macs=3 * 64 * 4 * 4 * 27 * (2 + 4),
    mults=3 * 64 * (4 * 4 * 27 * (2 + 4) + 3 * 4),
)
case(
    "time distributed dense",
    lambda: layers.TimeDistributed(layers.Dense(8)),
    (5, 16),
    macs=5 * 16 * 8,
)
case(
    "time distributed conv",
    lambda: layers.TimeDistributed(layers.Conv2D(4, 3)),
    (5, 8, 8, 3),
    macs=5 * 36 * 4 * 27,
)

# --- attention: 5 queries of 16, 2 heads of 4 -------------------------------------------------
# Projections 4 * 5 * 16 * 8; scores and weighted values 2 * 5 * 5 * 4 each; per score one
# scaling and one division of the softmax.
mha = 4 * 5 * 16 * 8 + 2 * 2 * 5 * 5 * 4
case(
    "self attention",
    lambda: lambda x: layers.MultiHeadAttention(2, 4)(x, x),
    (5, 16),
    macs=mha,
    mults=mha + 2 * 50,
)
case(
    "causal attention",
    lambda: lambda x: layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True),
    (5, 16),
    macs=mha,
    mults=mha + 2 * 50,
)
# 7 keys and values of 12.
cross = 2 * 5 * 16 * 8 + 2 * 7 * 12 * 8 + 2 * 2 * 5 * 7 * 4
case(
    "cross attention",
    lambda: lambda x: layers.MultiHeadAttention(2, 4)(x[0], x[1]),
    (5, 16),
    (7, 12),
    macs=cross,
    mults=cross + 2 * 2 * 5 * 7,
)
# 4 query heads of 4, 2 key heads.
gqa = 2 * 5 * 16 * 16 + 2 * 5 * 16 * 8 + 2 * 4 * 5 * 5 * 4
case(
    "grouped query attention",
    lambda: lambda x: layers.GroupQueryAttention(4, 4, 2)(x, x),
    (5, 16),
    macs=gqa,
    mults=gqa + 2 * 100,
)
case(
    "dot attention",
    lambda: layers.Attention(),
    (5, 8),
    (6, 8),
    macs=2 * 5 * 6 * 8,
    mults=2 * 5 * 6 * 8 + 30,
)
case(
    "additive attention",  # scale * tanh(q + k) over 5 * 6 * 8, then values
    lambda: layers.AdditiveAttention(),
    (5, 8),
    (6, 8),
    macs=5 * 6 * 8,
    mults=2 * 5 * 6 * 8 + 30,
    transcendentals=5 * 6 * 8 + 30,
)

# --- merging -------------------------------------------------------------------------------
case("add", lambda: layers.Add(), (5, 8), (5, 8), flops=40)
case("subtract", lambda: layers.Subtract(), (5, 8), (5, 8), flops=40)
case("multiply", lambda: layers.Multiply(), (5, 8), (5, 8), mults=40)
case("average", lambda: layers.Average(), (5, 8), (5, 8), mults=40, flops=80)
case("maximum", lambda: layers.Maximum(), (5, 8), (5, 8), flops=40)
case("concatenate", lambda: layers.Concatenate(), (5, 8), (5, 8), flops=0)
case("dot", lambda: layers.Dot(-1), (5, 8), (6, 8), macs=5 * 6 * 8)
case(
    "dot normalised",
    lambda: layers.Dot(-1, normalize=True),
    (5, 8),
    (6, 8),
    macs=240,
    mults=240 + 2 * (5 + 6) * 8,
)

# --- activations, n = 40 ---------------------------------------------------------------------
ACTIVATIONS = {
    # name: mults per element, operations per element, transcendentals per element
    "relu": (0, 1, 0),
    "relu6": (0, 2, 0),
    "sigmoid": (0, 0, 1),
    "tanh": (0, 0, 1),
    "exponential": (0, 0, 1),
    "softplus": (0, 0, 1),
    "softsign": (1, 3, 0),  # x / (1 + |x|)
    "elu": (0, 0, 1),
    "selu": (1, 1, 1),
    "swish": (1, 1, 1),  # x * sigmoid(x); the beta of 1 is no multiplication
    "gelu": (3, 4, 1),  # 0.5 * x * erfc(-x * 0.707)
    "hard_sigmoid": (1, 4, 0),  # relu6(x + 3) / 6
    "hard_silu": (2, 5, 0),
    "mish": (1, 1, 2),  # x * tanh(softplus(x))
    "celu": (0, 3, 1),  # max(x, 0) + expm1(min(x, 0)), alpha 1
    "log_sigmoid": (0, 2, 1),  # -softplus(-x)
    "squareplus": (2, 4, 1),  # (x + sqrt(x * x + b)) / 2
    "leaky_relu": (1, 2, 0),
    "tanh_shrink": (0, 1, 1),
    "hard_tanh": (0, 2, 0),
    "linear": (0, 0, 0),
}
for activation, (mults, flops, transcendentals) in ACTIVATIONS.items():
    case(
        activation,
        lambda activation=activation: layers.Activation(activation),
        (5, 8),
        mults=40 * mults,
        flops=40 * flops,
        transcendentals=40 * transcendentals,
    )
case(
    "gelu by tanh",  # 0.5 * x * (1 + tanh(0.798 * (x + 0.0447 * x^3)))
    on(lambda x: keras.activations.gelu(x, approximate=True)),
    (5, 8),
    mults=4 * 40,
    flops=6 * 40,
    transcendentals=2 * 40,
)
case("softmax", lambda: layers.Softmax(), (5, 8), mults=40, flops=4 * 40 - 2 * 5)
case("log softmax", lambda: layers.Activation("log_softmax"), (5, 8), transcendentals=40 + 5)
case("glu", lambda: layers.Activation("glu"), (5, 8), mults=20, transcendentals=20)
case("prelu", lambda: layers.PReLU(), (5, 8), mults=40, mults_executed=40)
case("leaky relu layer", lambda: layers.LeakyReLU(), (5, 8), mults=40)

# --- shape and image ---------------------------------------------------------------------------
case("flatten", lambda: layers.Flatten(), (5, 8), flops=0, bytes=0)
case("reshape", lambda: layers.Reshape((8, 5)), (5, 8), flops=0, bytes=0)
case("permute", lambda: layers.Permute((2, 1)), (5, 8), flops=0, bytes=2 * 160)
case("repeat vector", lambda: layers.RepeatVector(3), (8,), flops=0)
case("zero padding", lambda: layers.ZeroPadding2D(1), (8, 8, 3), flops=0, bytes=4 * (192 + 300))
case("cropping", lambda: layers.Cropping2D(1), (8, 8, 3), flops=0, bytes=2 * 4 * 108)
case("up sampling", lambda: layers.UpSampling2D(), (4, 4, 3), flops=0)
case("up sampling 1d", lambda: layers.UpSampling1D(), (4, 3), flops=0)
case("up sampling 3d", lambda: layers.UpSampling3D(), (2, 2, 2, 3), flops=0)
# Three interpolations per output element.
case(
    "up sampling bilinear",
    lambda: layers.UpSampling2D(interpolation="bilinear"),
    (4, 4, 3),
    mults=3 * 8 * 8 * 3,
)
case("resizing", lambda: layers.Resizing(6, 6), (4, 4, 3), mults=3 * 6 * 6 * 3)
case("rescaling", lambda: layers.Rescaling(1 / 255), (8, 8, 3), mults=192)
case("rescaling offset", lambda: layers.Rescaling(2.0, -1.0), (8, 8, 3), mults=192, flops=384)
case(
    "normalization",  # (x - mean) / deviation; the deviation is a constant
    lambda: layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0]),
    (8, 8, 3),
    mults=192,
    flops=384,
)
case(
    "normalization of many",
    # 300 features: mean and variance are tensors that the trace captures, no longer constants in
    # the graph. The square root and its floor run on every batch.
    lambda: layers.Normalization(mean=[1.0] * 300, variance=[2.0] * 300),
    (300,),
    mults=300,
    flops=600,
    transcendentals=0,
)
case("center crop", lambda: layers.CenterCrop(4, 4), (8, 8, 3), flops=0)
case("discretization", lambda: layers.Discretization([0.0, 1.0]), (5,), flops=5)
case(
    "spectrogram",
    # 7 frames of 64 every 32, by convolution with 33 cosines and 33 sines; squares of both.
    lambda: layers.STFTSpectrogram(
        "psd", frame_length=64, frame_step=32, fft_length=64, window=None
    ),
    (256, 1),
    macs=2 * 7 * 33 * 64,
    mults=2 * 7 * 33 * 64 + 2 * 7 * 33,
)
case("dropout", lambda: layers.Dropout(0.5), (5, 8), flops=0)
case("gaussian noise", lambda: layers.GaussianNoise(0.5), (5, 8), flops=0)
case("spatial dropout", lambda: layers.SpatialDropout1D(0.5), (5, 8), flops=0)


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
