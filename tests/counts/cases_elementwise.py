"""Layers whose work goes with the number of elements."""

import keras
from cases import case, on
from counting import BATCH
from keras import layers

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

# --- normalization ------------------------------------------------------------------------
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

# --- merging -------------------------------------------------------------------------------
case("add", lambda: layers.Add(), (5, 8), (5, 8), flops=40)
case("subtract", lambda: layers.Subtract(), (5, 8), (5, 8), flops=40)
case("multiply", lambda: layers.Multiply(), (5, 8), (5, 8), mults=40)
case("average", lambda: layers.Average(), (5, 8), (5, 8), mults=40, flops=80)
case("maximum", lambda: layers.Maximum(), (5, 8), (5, 8), flops=40)
case("concatenate", lambda: layers.Concatenate(), (5, 8), (5, 8), flops=0)
case("dot", lambda: layers.Dot(-1), (5, 8), (6, 8), macs=5 * 6 * 8)
case(
    "dot normalized",
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
