"""Networks for the tests, each with data: what they prove is said where they are used."""

from collections.abc import Callable

import numpy as np

Built = tuple["keras.Model", object]  # noqa: F821

BUILDERS: dict[str, Callable[[], Built]] = {}


def network(build: Callable[[], Built]) -> Callable[[], Built]:
    """Register a builder under its function's name."""
    BUILDERS[build.__name__] = build
    return build


def normal(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


@network
def mission() -> Built:
    """The network of the question: convolution, batch norm, dense."""
    from tftrace.demo import build

    return build(batch_norm=True), normal(70, 32, 32, 3)


@network
def misleading_names() -> Built:
    """A cheap `conv2d`, an expensive `conv2d_1`, and a separate ReLU that it is fused with."""
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((48, 48, 4)),
            layers.Conv2D(4, 1, name="conv2d"),
            layers.MaxPooling2D(1, name="between"),
            layers.Conv2D(160, 5, padding="same", name="conv2d_1"),
            layers.ReLU(name="re_lu"),
        ],
        name="misleading",
    ), normal(40, 48, 48, 4)


@network
def shared_dense() -> Built:
    """One Dense called twice: on 8 and, after a reshape, on 16 times as many rows."""
    import keras

    layers = keras.layers
    one = keras.Input((8, 64), name="few")
    many = keras.Input((128, 64), name="many")
    dense = layers.Dense(256, name="shared")
    outputs = [layers.Softmax(name="a")(dense(one)), layers.Softmax(name="b")(dense(many))]
    model = keras.Model([one, many], outputs, name="sharing")
    return model, {"few": normal(40, 8, 64), "many": normal(40, 128, 64)}


@network
def branches() -> Built:
    """Four like branches that run at the same time."""
    import keras

    layers = keras.layers
    x = keras.Input((48, 48, 8))
    parts = [layers.Conv2D(24, 3, name=f"branch_{i}")(x) for i in range(4)]
    return keras.Model(x, layers.Add(name="joined")(parts), name="branching"), normal(64, 48, 48, 8)


@network
def small() -> Built:
    """Three layers, quick to run; the last batch is smaller."""
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8,), name="features"),
            layers.Dense(16, activation="relu", name="hidden"),
            layers.Dense(4, name="logits"),
        ],
        name="small",
    ), normal(70, 8)


@network
def recurrent() -> Built:
    """An LSTM, whose body runs 12 times per batch."""
    import keras

    layers = keras.layers
    return keras.Sequential(
        [keras.Input((12, 8)), layers.LSTM(16, name="lstm"), layers.Dense(2, name="head")],
        name="recurrent",
    ), normal(70, 12, 8)


def _application(name: str, size: int, samples: int) -> Built:
    import keras

    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3))
    return model, normal(samples, size, size, 3)


@network
def inception_v3() -> Built:
    return _application("InceptionV3", 75, 10)


@network
def mobilenet_v2() -> Built:
    return _application("MobileNetV2", 96, 10)


@network
def resnet50() -> Built:
    return _application("ResNet50", 75, 10)


@network
def half_known() -> Built:
    """A Dense of 8 x 16 multiplications, and a Fourier transform, whose number is not known."""
    import keras
    import tensorflow as tf

    class Spectrum(keras.layers.Layer):
        def call(self, x: tf.Tensor) -> tf.Tensor:
            return tf.math.abs(tf.signal.rfft(x))

    x = keras.Input((8,))
    y = Spectrum(name="spectrum")(keras.layers.Dense(16, name="known")(x))
    return keras.Model(x, y, name="half"), normal(40, 8)


@network
def one_kernel_twice() -> Built:
    """Two convolutions of one input with one constant kernel; the second dilated, with a ReLU."""
    import keras
    import tensorflow as tf

    kernel = tf.constant(normal(3, 3, 4, 8))

    class Convolution(keras.layers.Layer):
        def __init__(self, dilation: int, name: str) -> None:
            super().__init__(name=name)
            self.dilation = dilation

        def call(self, x: tf.Tensor) -> tf.Tensor:
            y = tf.nn.conv2d(x, kernel, 1, "SAME", dilations=self.dilation)
            return tf.nn.relu(tf.nn.bias_add(y, tf.ones(8))) if self.dilation > 1 else y

    x = keras.Input((16, 16, 4))
    parts = [Convolution(1, "plain")(x), Convolution(2, "dilated")(x)]
    return keras.Model(x, keras.layers.Concatenate(name="both")(parts)), normal(40, 16, 16, 4)
