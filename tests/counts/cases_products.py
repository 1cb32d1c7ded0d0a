"""Dense and convolutional layers."""

from cases import case
from counting import BATCH
from keras import layers

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
