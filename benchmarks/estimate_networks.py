"""Networks that estimates are tried on: none of them was looked at when kernels were priced."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import layers

_APPLICATIONS = (
    *("MobileNet", "MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "EfficientNetV2B0"),
    *("ResNet50", "ResNet50V2", "DenseNet121", "InceptionV3", "Xception", "NASNetMobile"),
    *("VGG16", "ConvNeXtTiny"),
)
_LARGER = ("MobileNet", "MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "NASNetMobile")
"""Of these, those that are tried at 224 pixels, too."""


def mlp() -> Any:
    """Of 0.5 million weights."""
    return keras.Sequential(
        [
            keras.Input((784,)),
            layers.Dense(512, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(256, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def wide_mlp() -> Any:
    """Of 29 million weights, which no cache holds."""
    return keras.Sequential(
        [
            keras.Input((2048,)),
            layers.Dense(4096, activation="gelu"),
            layers.Dense(4096, activation="swish"),
            layers.BatchNormalization(),
            layers.Dense(1000),
        ]
    )


def lstm() -> Any:
    """Two layers over 100 steps."""
    return keras.Sequential(
        [
            keras.Input((100, 64)),
            layers.LSTM(128, return_sequences=True),
            layers.LSTM(64),
            layers.Dense(10),
        ]
    )


def text() -> Any:
    """Words, both ways."""
    return keras.Sequential(
        [
            keras.Input((80,), dtype="int32"),
            layers.Embedding(20_000, 128),
            layers.Bidirectional(layers.LSTM(64)),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def gru() -> Any:
    """Two layers over 50 steps."""
    return keras.Sequential(
        [
            keras.Input((50, 32)),
            layers.GRU(256, return_sequences=True),
            layers.GRU(128),
            layers.Dense(5),
        ]
    )


def transformer(length: int = 128, width: int = 128, heads: int = 4, blocks: int = 4) -> Any:
    """An encoder of words."""
    given = keras.Input((length,), dtype="int32")
    x = layers.Embedding(8000, width)(given)
    for _ in range(blocks):
        x = layers.LayerNormalization()(x + layers.MultiHeadAttention(heads, width // heads)(x, x))
        inner = layers.Dense(width)(layers.Dense(4 * width, activation="gelu")(x))
        x = layers.LayerNormalization()(x + inner)
    return keras.Model(given, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))


def unet() -> Any:
    """Three skips."""
    x = given = keras.Input((128, 128, 3))
    skips = []
    for filters in (32, 64, 128):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        skips.append((filters, x))
        x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(256, 3, padding="same", activation="relu")(x)
    for filters, skip in reversed(skips):
        x = layers.Concatenate()([layers.Conv2DTranspose(filters, 2, strides=2)(x), skip])
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    return keras.Model(given, layers.Conv2D(1, 1, activation="sigmoid")(x))


def dilated() -> Any:
    """Conv1D, dilations of 1 to 16."""
    x = given = keras.Input((512, 16))
    x = layers.Conv1D(64, 1)(x)
    for rate in (1, 2, 4, 8, 16):
        y = x
        for activation in ("relu", None):
            y = layers.Conv1D(64, 3, dilation_rate=rate, padding="causal", activation=activation)(y)
        x = layers.Activation("relu")(x + y)
    return keras.Model(given, layers.Dense(4)(layers.GlobalMaxPooling1D()(x)))


def mission(norm: bool) -> Any:
    """One of the question's two."""
    x = given = keras.Input((28, 28, 1))
    for filters in (32, 64):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=not norm)(x)
        if norm:
            x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D()(layers.Activation("relu")(x))
    x = layers.Dense(128, activation="relu")(layers.Flatten()(x))
    return keras.Model(given, layers.Dense(10, activation="softmax")(x))


def grouped() -> Any:
    """Convolutions in eight groups."""
    x = given = keras.Input((56, 56, 64))
    for _ in range(3):
        x = layers.Conv2D(64, 1, activation="relu")(x)
        x = layers.Conv2D(64, 3, groups=8, padding="same", activation="relu")(x)
    return keras.Model(given, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def volumes() -> Any:
    """Conv3D."""
    x = given = keras.Input((16, 48, 48, 3))
    for filters in (16, 32):
        x = layers.Conv3D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling3D()(x)
    return keras.Model(given, layers.Dense(10)(layers.GlobalAveragePooling3D()(x)))


def films() -> Any:
    """ConvLSTM2D."""
    return keras.Sequential(
        [
            keras.Input((8, 32, 32, 3)),
            layers.ConvLSTM2D(16, 3, padding="same"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )


def separable() -> Any:
    """SeparableConv2D, batch norm, overlapping pools."""
    x = given = keras.Input((96, 96, 3))
    for filters in (32, 64, 128):
        x = layers.SeparableConv2D(filters, 3, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D(3, 2, padding="same")(x)
    return keras.Model(given, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def autoencoder() -> Any:
    """Strided convolutions down and up."""
    x = given = keras.Input((64, 64, 3))
    for filters in (32, 64):
        x = layers.LeakyReLU()(layers.Conv2D(filters, 3, strides=2, padding="same")(x))
    for filters in (64, 32):
        x = layers.LeakyReLU()(layers.Conv2DTranspose(filters, 3, strides=2, padding="same")(x))
    return keras.Model(given, layers.Conv2D(3, 3, padding="same", activation="tanh")(x))


def mixer() -> Any:
    """Dense along either axis."""
    x = given = keras.Input((64, 128))
    for _ in range(4):
        y = layers.Permute((2, 1))(layers.LayerNormalization()(x))
        y = layers.Dense(64)(layers.Dense(128, activation="gelu")(y))
        x = x + layers.Permute((2, 1))(y)
        y = layers.Dense(256, activation="gelu")(layers.LayerNormalization()(x))
        x = x + layers.Dense(128)(y)
    return keras.Model(given, layers.Dense(10)(layers.GlobalAveragePooling1D()(x)))


def vision_transformer() -> Any:
    """Patches of 8 x 8, two blocks."""
    given = keras.Input((64, 64, 3))
    x = layers.Reshape((64, 96))(layers.Conv2D(96, 8, strides=8)(given))
    for _ in range(2):
        y = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(3, 32)(y, y)
        y = layers.Dense(384, activation="gelu")(layers.LayerNormalization()(x))
        x = x + layers.Dense(96)(y)
    return keras.Model(given, layers.Dense(10)(layers.GlobalAveragePooling1D()(x)))


def residual() -> Any:
    """20 layers on 32 x 32 (He and others 2016, section 4.2)."""
    x = given = keras.Input((32, 32, 3))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same")(x)))
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        for block in range(3):
            stride = strides if block == 0 else 1
            y = layers.Conv2D(filters, 3, stride, padding="same", use_bias=False)(x)
            y = layers.ReLU()(layers.BatchNormalization()(y))
            y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
            y = layers.BatchNormalization()(y)
            x = layers.Conv2D(filters, 1, stride)(x) if stride > 1 else x
            x = layers.ReLU()(x + y)
    return keras.Model(given, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def sentences() -> Any:
    """Convolutions of three widths beside one another over words."""
    given = keras.Input((100,), dtype="int32")
    x = layers.Embedding(10_000, 100)(given)
    found = [layers.Conv1D(100, width, activation="relu")(x) for width in (3, 4, 5)]
    pooled = [layers.GlobalMaxPooling1D()(each) for each in found]
    return keras.Model(given, layers.Dense(2)(layers.Concatenate()(pooled)))


def towers() -> Any:
    """Two branches of unlike depth."""
    given = keras.Input((64, 64, 3))
    ends = []
    for depth in (2, 4):
        x = given
        for _ in range(depth):
            x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
        ends.append(layers.GlobalAveragePooling2D()(layers.AveragePooling2D(2)(x)))
    return keras.Model(given, layers.Dense(10)(layers.Concatenate()(ends)))


def upscaler() -> Any:
    """To twice the size."""
    x = given = keras.Input((48, 48, 1))
    for filters, size in ((64, 5), (32, 3)):
        x = layers.Conv2D(filters, size, padding="same", activation="tanh")(x)
    x = layers.UpSampling2D(interpolation="bilinear")(x)
    return keras.Model(given, layers.Conv2D(1, 3, padding="same")(x))


def gated() -> Any:
    """Dense layers with gates, each normalized."""
    x = given = keras.Input((256,))
    for _ in range(4):
        y = layers.LayerNormalization()(x)
        y = layers.Dense(1024)(y) * layers.Dense(1024, activation="sigmoid")(y)
        x = x + layers.Dense(256)(y)
    return keras.Model(given, layers.Dense(1)(x))


def _application(name: str, size: int) -> Any:
    return getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3))


NETWORKS: dict[str, Callable[[], Any]] = {
    "mission, norm": partial(mission, True),
    "mission, plain": partial(mission, False),
    **{
        build.__name__: build
        for build in (
            *(mlp, wide_mlp, lstm, text, gru, transformer, unet, dilated, grouped, volumes),
            *(films, separable, autoencoder, mixer, vision_transformer, residual, sentences),
            *(towers, upscaler, gated),
        )
    },
    **{f"{name} 128": partial(_application, name, 128) for name in _APPLICATIONS},
    **{f"{name} 224": partial(_application, name, 224) for name in _LARGER},
}
