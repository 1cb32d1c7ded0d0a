"""Models of every kind a Keras user has; what is right about each follows from how it is built.

A builder gets the Keras module to build with (keras or tf_keras) and returns model and data. The
names of the layers that contract (convolve, multiply matrices) stand beside it, as do operation
types that only one layer makes: these are the ground truth.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np

SAMPLES = 20  # batches of 8, 8 and 4

Built = tuple[object, object]


@dataclass(frozen=True)
class Entry:
    """One model of the zoo.

    ``contracts`` are the layers that have products of tensors, each of them must; ``only`` says
    which layer makes all operations of a type (seen when XLA is off); ``heavy`` is the layer
    that does more than 50 times the work of all others together. ``keras`` are the versions it
    exists for; ``xla`` is False for what XLA refuses, ``compiled`` are layers that XLA makes
    products of; ``level`` 2 keeps large traces small.
    """

    name: str
    build: Callable[[ModuleType], Built]
    contracts: frozenset[str]
    only: Mapping[str, str] = field(default_factory=dict)
    heavy: str | None = None
    keras: tuple[int, ...] = (3, 2)
    xla: bool = True
    xla2: bool = True
    compiled: frozenset[str] = frozenset()
    quick: bool = False
    level: int = 3


ZOO: dict[str, Entry] = {}


def entry(contracts: str = "", **facts: object) -> Callable:
    """Register a builder under its function's name; ``contracts`` are names apart by spaces."""

    def register(build: Callable[[ModuleType], Built]) -> Callable[[ModuleType], Built]:
        name = build.__name__
        ZOO[name] = Entry(name, build, frozenset(contracts.split()), **facts)
        return build

    return register


def data(*shape: int, dtype: str = "float32", samples: int = SAMPLES) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(samples, *shape)).astype(dtype)


def tokens(length: int, vocabulary: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, vocabulary, (SAMPLES, length)).astype("int32")


def sequential(k: ModuleType, shape: tuple[int, ...], *layers: object, **more: object) -> object:
    return k.Sequential([k.Input(shape, **more), *layers], name="m")


# --- feed-forward -----------------------------------------------------------------------------


@entry("a b c", only={"Elu": "b", "Softmax": "c"}, quick=True)
def perceptron(k):
    L = k.layers
    return sequential(
        k,
        (32,),
        L.Dense(64, activation="relu", name="a"),
        L.Dense(16, activation="elu", name="b"),
        L.Dense(4, activation="softmax", name="c"),
    ), data(32)


@entry("conv head", only={"MaxPool": "pool"}, quick=True)
def convolution_norm_relu(k):
    L = k.layers
    return sequential(
        k,
        (16, 16, 3),
        L.Conv2D(8, 3, name="conv"),
        L.BatchNormalization(name="norm"),
        L.ReLU(name="act"),
        L.MaxPooling2D(name="pool"),
        L.Flatten(name="flat"),
        L.Dense(3, name="head"),
    ), data(16, 16, 3)


@entry("conv", heavy="conv")
def convolution_norm_without_bias(k):
    L = k.layers
    return sequential(
        k,
        (24, 24, 8),
        L.Conv2D(32, 5, use_bias=False, name="conv"),
        L.BatchNormalization(name="norm"),
        L.ReLU(6.0, name="act"),
        L.GlobalMaxPooling2D(name="pool"),
    ), data(24, 24, 8)


@entry("conv2d conv2d_1", heavy="conv2d_1", quick=True)
def namesakes(k):
    """The second trace of a Keras 3 model calls conv2d's operations `conv2d_1`."""
    L = k.layers
    return sequential(
        k,
        (32, 32, 4),
        L.Conv2D(4, 1, name="conv2d"),
        L.MaxPooling2D(1, name="between"),
        L.Conv2D(128, 5, name="conv2d_1"),
        L.ReLU(name="re_lu"),
    ), data(32, 32, 4)


@entry("separable depthwise point")
def depthwise_and_separable(k):
    L = k.layers
    return sequential(
        k,
        (16, 16, 4),
        L.SeparableConv2D(8, 3, name="separable"),
        L.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise"),
        L.Conv2D(4, 1, name="point"),
    ), data(16, 16, 4)


@entry("dilated causal separable", only={"AvgPool": "average"})
def one_dimension(k):
    L = k.layers
    return sequential(
        k,
        (40, 4),
        L.Conv1D(8, 3, dilation_rate=2, name="dilated"),
        L.AveragePooling1D(2, name="average"),
        L.Conv1D(8, 3, padding="causal", name="causal"),
        L.SeparableConv1D(4, 3, name="separable"),
    ), data(40, 4)


@entry("conv", only={"MaxPool3D": "pool", "AvgPool3D": "average"})
def three_dimensions(k):
    L = k.layers
    return sequential(
        k,
        (8, 8, 8, 2),
        L.Conv3D(4, 3, name="conv"),
        L.MaxPooling3D(name="pool"),
        L.AveragePooling3D(2, name="average"),
    ), data(8, 8, 8, 2)


@entry("down up", only={"Conv2DBackpropInput": "up"})
def transposed(k):
    L = k.layers
    return sequential(
        k,
        (16, 16, 3),
        L.Conv2D(8, 3, strides=2, name="down"),
        L.Conv2DTranspose(4, 3, strides=2, name="up"),
    ), data(16, 16, 3)


@entry("grouped plain", heavy="grouped", quick=True)
def grouped(k):
    """A grouped convolution runs in a function of its own."""
    L = k.layers
    return sequential(
        k,
        (24, 24, 16),
        L.Conv2D(128, 5, groups=2, name="grouped"),
        L.GlobalAveragePooling2D(name="pool"),
        L.Dense(4, name="plain"),
    ), data(24, 24, 16)


@entry("a b")
def residual(k):
    """Batch norm, then an addition: one rewritten sum for two layers."""
    L = k.layers
    x = k.Input((12, 12, 8))
    y = L.BatchNormalization(name="norm_a")(L.Conv2D(8, 1, name="a", use_bias=False)(x))
    y = L.Add(name="join_a")([x, y])
    z = L.BatchNormalization(name="norm_b")(L.Conv2D(8, 1, name="b", use_bias=False)(y))
    z = L.Add(name="join_b")([y, z])
    return k.Model(x, L.ReLU(name="act")(z), name="m"), data(12, 12, 8)


@entry("conv squeeze excite", only={"Sigmoid": "excite"})
def squeeze_and_excite(k):
    L = k.layers
    x = k.Input((12, 12, 3))
    y = L.Conv2D(8, 3, name="conv")(x)
    s = L.GlobalAveragePooling2D(name="pool")(y)
    s = L.Dense(2, activation="relu", name="squeeze")(s)
    s = L.Dense(8, activation="sigmoid", name="excite")(s)
    s = L.Reshape((1, 1, 8), name="shape")(s)
    return k.Model(x, L.Multiply(name="scale")([y, s]), name="m"), data(12, 12, 3)


@entry(
    "conv",
    only={"ResizeNearestNeighbor": "up", "ResizeBilinear": "resize", "Pad": "pad"},
    compiled=frozenset({"resize"}),
)
def shapes_and_sizes(k):
    L = k.layers
    return sequential(
        k,
        (8, 8, 3),
        L.ZeroPadding2D(1, name="pad"),
        L.Cropping2D(1, name="crop"),
        L.UpSampling2D(2, name="up"),
        L.Conv2D(4, 3, name="conv"),
        L.Resizing(6, 6, name="resize"),
        L.Permute((3, 1, 2), name="permute"),
        L.Reshape((-1,), name="reshape"),
    ), data(8, 8, 3)


@entry("a b", only={"LeakyRelu": "leaky", "Selu": "selu", "Softsign": "sign"}, quick=True)
def activations(k):
    L = k.layers
    return sequential(
        k,
        (64,),
        L.Dense(64, name="a"),
        L.LeakyReLU(name="leaky"),
        L.Activation("selu", name="selu"),
        L.PReLU(name="prelu"),
        L.Activation("softsign", name="sign"),
        L.Dense(64, activation="gelu", name="b"),
    ), data(64)


@entry("a")
def nothing_at_inference(k):
    """Dropout and noise do nothing in predict."""
    L = k.layers
    return sequential(
        k,
        (16,),
        L.Dropout(0.5, name="drop"),
        L.Dense(4, name="a"),
        L.GaussianNoise(0.1, name="noise"),
        L.ActivityRegularization(name="regular"),
    ), data(16)


@entry("a")
def normalizations(k):
    L = k.layers
    return sequential(
        k,
        (8, 8, 8),
        L.Conv2D(8, 3, name="a"),
        L.GroupNormalization(4, name="group"),
        L.LayerNormalization(name="layer"),
        L.UnitNormalization(name="unit"),
    ), data(8, 8, 8)


# --- sequences --------------------------------------------------------------------------------


@entry("rnn head", quick=True)
def simple_recurrent(k):
    L = k.layers
    return sequential(k, (10, 4), L.SimpleRNN(8, name="rnn"), L.Dense(2, name="head")), data(10, 4)


@entry("lstm head", quick=True)
def lstm(k):
    L = k.layers
    return sequential(k, (10, 4), L.LSTM(8, name="lstm"), L.Dense(2, name="head")), data(10, 4)


@entry("gru head")
def gru(k):
    L = k.layers
    return sequential(k, (10, 4), L.GRU(8, name="gru"), L.Dense(2, name="head")), data(10, 4)


@entry("first second third")
def several_recurrent(k):
    """Their bodies have the same names in Keras 2."""
    L = k.layers
    return sequential(
        k,
        (10, 4),
        L.LSTM(8, return_sequences=True, name="first"),
        L.GRU(6, return_sequences=True, name="second"),
        L.LSTM(4, name="third"),
    ), data(10, 4)


@entry("both head", quick=True)
def bidirectional(k):
    L = k.layers
    return sequential(
        k,
        (10, 4),
        L.Bidirectional(L.LSTM(8, return_sequences=True), name="both"),
        L.Dense(2, name="head"),
    ), data(10, 4)


@entry("stack head")
def stacked_cells(k):
    L = k.layers
    cells = [L.LSTMCell(8, name="lower"), L.GRUCell(6, name="middle"), L.SimpleRNNCell(4)]
    return sequential(k, (10, 4), L.RNN(cells, name="stack"), L.Dense(2, name="head")), data(10, 4)


@entry("convolved")
def convolutional_recurrent(k):
    L = k.layers
    return sequential(k, (5, 8, 8, 2), L.ConvLSTM2D(4, 3, name="convolved")), data(5, 8, 8, 2)


@entry("frames lstm", quick=True)
def time_distributed(k):
    L = k.layers
    return sequential(
        k,
        (5, 8, 8, 2),
        L.TimeDistributed(L.Conv2D(3, 3), name="frames"),
        L.TimeDistributed(L.Flatten(), name="flat"),
        L.LSTM(4, name="lstm"),
    ), data(5, 8, 8, 2)


@entry("lstm")
def masked(k):
    L = k.layers
    return sequential(k, (10, 4), L.Masking(0.0, name="mask"), L.LSTM(8, name="lstm")), data(10, 4)


@entry("lstm")
def backwards_with_state(k):
    L = k.layers
    x = k.Input((10, 4))
    outputs = L.LSTM(8, go_backwards=True, return_state=True, name="lstm")(x)
    return k.Model(x, outputs, name="m"), data(10, 4)


@entry("dense", only={"GatherV2": "words", "ResourceGather": "words"})
def embedded(k):
    L = k.layers
    return sequential(
        k,
        (12,),
        L.Embedding(50, 8, name="words"),
        L.GlobalAveragePooling1D(name="mean"),
        L.Dense(3, name="dense"),
        dtype="int32",
    ), tokens(12, 50)


@entry("attention up down", quick=True)
def attention(k):
    L = k.layers
    x = k.Input((12, 16))
    y = L.MultiHeadAttention(2, 8, name="attention")(x, x)
    y = L.LayerNormalization(name="norm_a")(L.Add(name="add_a")([x, y]))
    z = L.Dense(16, name="down")(L.Dense(32, activation="relu", name="up")(y))
    z = L.LayerNormalization(name="norm_b")(L.Add(name="add_b")([y, z]))
    return k.Model(x, z, name="m"), data(12, 16)


@entry("einsum dot")
def products(k):
    L = k.layers
    x = k.Input((6, 8))
    y = L.EinsumDense("abc,cd->abd", (6, 4), name="einsum")(x)
    return k.Model(x, L.Dot(axes=1, name="dot")([x, y]), name="m"), data(6, 8)


# --- how models are put together ---------------------------------------------------------------


def _block(k, name, units, inside=None):
    L = k.layers
    x = k.Input((16,))
    y = L.Dense(16, name="own")(x)
    if inside is not None:
        y = inside(y)
    return k.Model(x, L.Dense(16, activation="tanh", name="last")(y), name=name)


@entry(
    "outer/own outer/last middle/own middle/last inner/own inner/last",
    quick=True,
)
def nested_three_deep(k):
    L = k.layers
    inner = _block(k, "inner", 16)
    middle = _block(k, "middle", 16, inner)
    outer = _block(k, "outer", 16, middle)
    x = k.Input((16,))
    return k.Model(x, L.Softmax(name="soft")(outer(x)), name="m"), data(16)


@entry("dense", only={"Tanh": "tanh"})
def shared_layer(k):
    L = k.layers
    a, b = k.Input((16,), name="a"), k.Input((16,), name="b")
    dense = L.Dense(8, name="dense")
    y = L.Concatenate(name="both")([dense(a), dense(b)])
    return k.Model([a, b], L.Activation("tanh", name="tanh")(y), name="m"), [data(16), data(16)]


@entry("tower/own tower/last head", quick=True)
def shared_submodel(k):
    L = k.layers
    a, b = k.Input((16,), name="a"), k.Input((16,), name="b")
    tower = _block(k, "tower", 16)
    y = L.Subtract(name="difference")([tower(a), tower(b)])
    return k.Model([a, b], L.Dense(1, name="head")(y), name="m"), [data(16), data(16)]


@entry("left/own left/last right/own right/last")
def equal_names_in_different_submodels(k):
    L = k.layers
    x = k.Input((16,))
    y = L.Maximum(name="best")([_block(k, "left", 16)(x), _block(k, "right", 16)(x)])
    return k.Model(x, y, name="m"), data(16)


@entry("A.b-c>d_e other", quick=True)
def odd_names(k):
    L = k.layers
    return sequential(
        k,
        (16,),
        L.Dense(8, name="A.b-c>d_e"),
        L.Activation("tanh", name="x-y.z"),
        L.Dense(4, name="other"),
    ), data(16)


LONG = "n" * 300


@entry(f"{LONG} other")
def long_names(k):
    L = k.layers
    return sequential(k, (16,), L.Dense(8, name=LONG), L.Dense(4, name="other")), data(16)


@entry("text_dense image_conv first second", only={"Sigmoid": "first"})
def dicts_in_and_out(k):
    L = k.layers
    text, image = k.Input((8,), name="text"), k.Input((8, 8, 1), name="image")
    t = L.Dense(4, name="text_dense")(text)
    i = L.GlobalAveragePooling2D(name="pool")(L.Conv2D(4, 3, name="image_conv")(image))
    y = L.Concatenate(name="both")([t, i])
    outputs = {
        "one": L.Dense(1, activation="sigmoid", name="first")(y),
        "two": L.Dense(2, name="second")(y),
    }
    model = k.Model({"text": text, "image": image}, outputs, name="m")
    return model, {"image": data(8, 8, 1), "text": data(8)}


@entry("inner other m", only={"Erf": "m", "Cumsum": "m"}, quick=True)
def subclassed(k):
    import tensorflow as tf

    class Own(k.Model):
        def __init__(self):
            super().__init__(name="m")
            self.inner = k.layers.Dense(8, name="inner")
            self.other = k.layers.Dense(8, name="other")

        def call(self, x):
            y = self.inner(tf.math.erf(x))
            y = tf.matmul(y, y, transpose_b=True)
            return self.other(tf.math.cumsum(y[:, :4]))

    return Own(), data(8, samples=24)


@entry("inner", only={"Gather": "words", "Erf": "m"})
def subclassed_with_a_mapping(k):
    import tensorflow as tf

    class Mapped(k.Model):
        def __init__(self):
            super().__init__(name="m")
            self.words = k.layers.Embedding(10, 8, name="words")
            self.inner = k.layers.Dense(8, name="inner")

        def call(self, x):
            return self.inner(tf.math.erf(self.words(x["ids"]) + x["more"][:, None]))

    return Mapped(), {"ids": tokens(6, 10), "more": data(8)}


@entry("dense", only={"Atan": "twist"})
def lambdas(k):
    import tensorflow as tf

    L = k.layers
    return sequential(
        k,
        (16,),
        L.Lambda(lambda x: tf.math.atan(x), name="twist"),
        L.Dense(4, name="dense"),
    ), data(16)


@entry("scaled dense", only={"Lgamma": "scaled"})
def custom_layer(k):
    import tensorflow as tf

    class Scaled(k.layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight(
                shape=(int(shape[-1]), 4), name="kernel", initializer="ones"
            )

        def call(self, x):
            return tf.math.lgamma(tf.matmul(x, self.kernel) ** 2 + 1.0)

    L = k.layers
    return sequential(k, (16,), Scaled(name="scaled"), L.Dense(4, name="dense")), data(16)


@entry("deep dense", only={"Erfc": "deep"})
def layer_with_sublayers(k):
    import tensorflow as tf

    class Deep(k.layers.Layer):
        def __init__(self, **more):
            super().__init__(**more)
            self.parts = [k.layers.Dense(16, name=f"part_{i}") for i in range(2)]

        def call(self, x):
            for part in self.parts:
                x = tf.math.erfc(part(x))
            return x

    L = k.layers
    return sequential(k, (16,), Deep(name="deep"), L.Dense(4, name="dense")), data(16)


@entry("dense", only={"Atanh": "compiled"})
def function_in_a_layer(k):
    import tensorflow as tf

    class Compiled(k.layers.Layer):
        def call(self, x):
            return tf.function(lambda y: tf.math.atanh(y * 0.1))(x)

    L = k.layers
    return sequential(k, (16,), Compiled(name="compiled"), L.Dense(4, name="dense")), data(16)


@entry("loop dense", only={"Asinh": "loop"})
def loop_in_a_layer(k):
    import tensorflow as tf

    class Loop(k.layers.Layer):
        def call(self, x):
            weight = tf.eye(16)

            def body(i, y):
                return i + 1, tf.math.asinh(tf.matmul(y, weight))

            return tf.while_loop(lambda i, _: i < 5, body, (0, x))[1]

    L = k.layers
    return sequential(k, (16,), Loop(name="loop"), L.Dense(4, name="dense")), data(16)


@entry("loop dense", only={"Acosh": "loop"}, xla=False, xla2=False)
def loop_whose_length_depends_on_data(k):
    import tensorflow as tf

    class Until(k.layers.Layer):
        def call(self, x):
            def body(y):
                return 0.05 * tf.math.acosh(tf.matmul(y, 0.3 * tf.eye(16)) + 1.0)

            return tf.while_loop(
                lambda y: tf.reduce_sum(y) > 1.0, body, (tf.abs(x),), maximum_iterations=None
            )[0]

    L = k.layers
    return sequential(k, (16,), Until(name="loop"), L.Dense(4, name="dense")), data(16)


# --- precision, steps ---------------------------------------------------------------------------


def _policy(k, name):
    L = k.layers
    return sequential(
        k,
        (16, 16, 3),
        L.Conv2D(8, 3, dtype=name, name="conv"),
        L.BatchNormalization(dtype=name, name="norm"),
        L.ReLU(dtype=name, name="act"),
        L.Flatten(dtype=name, name="flat"),
        L.Dense(4, dtype=name, name="head"),
    ), data(16, 16, 3)


@entry("conv head", quick=True)
def mixed_float16(k):
    return _policy(k, "mixed_float16")


@entry("conv head")
def mixed_bfloat16(k):
    return _policy(k, "mixed_bfloat16")


@entry("quantised plain", keras=(3,))
def int8_dense(k):
    L = k.layers
    quantised = L.Dense(8, name="quantised")
    quantised.build((None, 16))
    quantised.quantize("int8")
    return sequential(k, (16,), quantised, L.Dense(4, name="plain")), data(16)


@entry("conv head", quick=True)
def several_steps_per_execution(k):
    model, x = _policy(k, "float32")
    model.compile(steps_per_execution=2)
    return model, x


# --- Keras operations ---------------------------------------------------------------------------


def _operation(k, name, call):
    """A layer whose call is ``call``, then a Dense."""

    class Operation(k.layers.Layer):
        def call(self, x):
            return call(x)

    return sequential(k, (6, 8), Operation(name=name), k.layers.Dense(4, name="dense")), data(6, 8)


@entry("scan dense", only={"Sinh": "scan"}, keras=(3,))
def operation_scan(k):
    ops = k.ops

    def step(carry, x):
        y = ops.sinh(ops.matmul(x, ops.transpose(x)) @ carry)
        return y, y

    def call(x):
        moved = ops.transpose(x, (1, 0, 2))
        return ops.transpose(ops.scan(step, moved[0], moved)[1], (1, 0, 2))

    return _operation(k, "scan", call)


@entry("loop dense", only={"Cosh": "loop"}, keras=(3,), quick=True)
def operation_while_loop(k):
    ops = k.ops

    def call(x):
        def body(i, y):
            return i + 1, ops.cosh(ops.matmul(y, 0.1 * ops.eye(8)))

        return ops.while_loop(lambda i, _: i < 3, body, (0, x))[1]

    return _operation(k, "loop", call)


@entry("loop dense", only={"Tan": "loop"}, keras=(3,))
def operation_fori_loop(k):
    ops = k.ops
    return _operation(
        k,
        "loop",
        lambda x: ops.fori_loop(0, 3, lambda _, y: ops.tan(ops.matmul(y, ops.eye(8))), x),
    )


@entry("cond dense", only={"Sin": "cond"}, keras=(3,), quick=True)
def operation_cond(k):
    ops = k.ops

    def call(x):
        return ops.cond(
            ops.sum(x) > 0,
            lambda: ops.sin(ops.matmul(x, ops.eye(8))),
            lambda: ops.sin(ops.matmul(x, 2 * ops.eye(8))),
        )

    return _operation(k, "cond", call)


@entry("map dense", only={"Cos": "map"}, keras=(3,))
def operation_map(k):
    ops = k.ops

    def call(x):
        return ops.transpose(
            ops.map(lambda y: ops.cos(ops.matmul(y, ops.eye(8))), ops.transpose(x, (1, 0, 2))),
            (1, 0, 2),
        )

    return _operation(k, "map", call)


@entry("matmul einsum dense", only={"Erf": "erf"}, keras=(3,), quick=True)
def functional_operations(k):
    """Operations are nodes of the model, with names of their own."""
    ops = k.ops
    x = k.Input((6, 8))
    y = ops.erf(ops.matmul(x, ops.transpose(x, (0, 2, 1))))
    y = ops.einsum("bij,bjk->bik", y, x)
    return k.Model(x, k.layers.Dense(4, name="dense")(y * 2.0 + x), name="m"), data(6, 8)


# --- whole networks -----------------------------------------------------------------------------


def _application(k, name, size, samples=5, **more):
    model = getattr(k.applications, name)(weights=None, input_shape=(size, size, 3), **more)
    return model, data(size, size, 3, samples=samples)


@entry(level=2)
def inception_v3(k):
    return _application(k, "InceptionV3", 75)


@entry(level=2, quick=True)
def mobilenet_v2(k):
    return _application(k, "MobileNetV2", 64)


@entry(level=2)
def mobilenet_v3(k):
    return _application(k, "MobileNetV3Small", 64)


@entry(level=2)
def efficientnet_v2(k):
    return _application(k, "EfficientNetV2B0", 64)


@entry(level=2)
def convnext(k):
    return _application(k, "ConvNeXtTiny", 64)


@entry(level=2)
def nasnet_mobile(k):
    return _application(k, "NASNetMobile", 64)


@entry(level=2)
def resnet50(k):
    return _application(k, "ResNet50", 64)


@entry(level=2)
def densenet121(k):
    return _application(k, "DenseNet121", 64)


@entry(keras=(3,), level=2)
def bert(k):
    """A transformer of keras-hub from its configuration, without weights."""
    import keras_hub

    model = keras_hub.models.BertBackbone(
        vocabulary_size=100,
        num_layers=2,
        num_heads=2,
        hidden_dim=32,
        intermediate_dim=64,
        max_sequence_length=16,
    )
    words = tokens(16, 100)
    return model, {
        "token_ids": words,
        "segment_ids": np.zeros_like(words),
        "padding_mask": np.ones_like(words),
    }
