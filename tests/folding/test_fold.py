"""Folding against the unfolded model as Keras runs it, in float64: there, exact is exact."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tftrace.folding.fold import FoldResult, fold

RNG = np.random.default_rng(20)


@pytest.fixture(autouse=True)
def _float64(request: pytest.FixtureRequest) -> Iterator[None]:
    if "float32" in request.fixturenames:
        yield
        return
    # Inputs follow floatx; layers a policy that Keras makes of floatx once and then keeps.
    before = keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy(before)


@pytest.fixture
def float32() -> None:
    """Ask for Keras's default precision."""


def norm(**options: Any) -> layers.BatchNormalization:
    def uniform(low: float, high: float) -> Any:
        return keras.initializers.RandomUniform(low, high, seed=int(RNG.integers(1 << 30)))

    return layers.BatchNormalization(
        beta_initializer=uniform(-1, 1),
        gamma_initializer=uniform(-2, 2),
        moving_mean_initializer=uniform(-1, 1),
        moving_variance_initializer=uniform(0.2, 3),
        **options,
    )


def positive_norm() -> layers.BatchNormalization:
    layer = norm()
    layer.gamma_initializer = keras.initializers.RandomUniform(0.5, 2, seed=3)
    return layer


def scale_only_norm() -> layers.BatchNormalization:
    """Offset zero: no beta, mean 0."""
    layer = norm(center=False)
    layer.moving_mean_initializer = keras.initializers.Zeros()
    return layer


def randomize(model: keras.Model, low: float = 0.5, high: float = 1.5) -> None:
    """Random statistics for every batch norm, and random biases everywhere."""
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            sign = RNG.choice([-1.0, 1.0], layer.moving_mean.shape)
            layer.moving_mean.assign(RNG.uniform(-0.5, 0.5, layer.moving_mean.shape))
            layer.moving_variance.assign(RNG.uniform(0.5, 1.5, layer.moving_mean.shape))
            if layer.scale:
                layer.gamma.assign(sign * RNG.uniform(low, high, layer.moving_mean.shape))
            if layer.center:
                layer.beta.assign(RNG.uniform(-0.5, 0.5, layer.moving_mean.shape))


def batch_norm_names(model: keras.Model) -> list[str]:
    return [
        layer.name
        for layer in model._flatten_layers()
        if isinstance(layer, layers.BatchNormalization)
    ]


def chain(shape: tuple[int | None, ...], *stack: Any) -> keras.Model:
    tensor = inputs = keras.Input(shape)
    for layer in stack:
        tensor = layer(tensor)
    return keras.Model(inputs, tensor)


def data_for(model: keras.Model, samples: int = 3, free: int = 9) -> Any:
    arrays = [
        RNG.normal(size=(samples, *(free if n is None else n for n in tensor.shape[1:])))
        for tensor in model.inputs
    ]
    return arrays[0] if len(arrays) == 1 else arrays


def assert_same_function(model: keras.Model, result: FoldResult, tolerance: float = 1e-11) -> None:
    data = data_for(model)
    expected = keras.tree.flatten(model.predict(data, verbose=0))
    actual = keras.tree.flatten(result.model.predict(data, verbose=0))
    assert len(expected) == len(actual)
    for e, a in zip(expected, actual, strict=True):
        assert np.std(e) > 0
        np.testing.assert_allclose(a, e, rtol=0, atol=tolerance * np.max(np.abs(e)))


IMAGE = (8, 9, 4)
relu = layers.ReLU

BACKWARD: dict[str, Callable[[], keras.Model]] = {
    "conv1d": lambda: chain((9, 4), layers.Conv1D(6, 3), norm()),
    "conv1d causal": lambda: chain((9, 4), layers.Conv1D(6, 3, padding="causal"), norm()),
    "conv2d same": lambda: chain(IMAGE, layers.Conv2D(6, 3, padding="same"), norm(), relu()),
    "conv2d no bias": lambda: chain(IMAGE, layers.Conv2D(6, 3, use_bias=False), norm()),
    "conv2d strided": lambda: chain(IMAGE, layers.Conv2D(6, 3, strides=2), norm()),
    "conv2d dilated": lambda: chain(IMAGE, layers.Conv2D(6, 2, dilation_rate=2), norm()),
    "conv2d grouped": lambda: chain(IMAGE, layers.Conv2D(6, 3, groups=2), norm()),
    "conv3d": lambda: chain((4, 5, 6, 2), layers.Conv3D(3, 2), norm()),
    "conv1d transposed": lambda: chain((9, 4), layers.Conv1DTranspose(6, 3, strides=2), norm()),
    "conv2d transposed": lambda: chain(IMAGE, layers.Conv2DTranspose(6, 3, strides=2), norm()),
    "conv3d transposed": lambda: chain((3, 4, 5, 2), layers.Conv3DTranspose(3, 2), norm()),
    "depthwise 1d": lambda: chain((9, 4), layers.DepthwiseConv1D(3, depth_multiplier=2), norm()),
    "depthwise 2d": lambda: chain(IMAGE, layers.DepthwiseConv2D(3, depth_multiplier=3), norm()),
    "separable 1d": lambda: chain((9, 4), layers.SeparableConv1D(6, 3), norm()),
    "separable 2d": lambda: chain(
        IMAGE, layers.SeparableConv2D(6, 3, depth_multiplier=2, use_bias=False), norm()
    ),
    "dense": lambda: chain((7,), layers.Dense(5), norm()),
    "dense on a sequence": lambda: chain((None, 7), layers.Dense(5), norm(), layers.ReLU()),
    "linear activation between": lambda: chain(
        (7,), layers.Dense(5), layers.Activation("linear"), norm()
    ),
    "dropout between": lambda: chain((7,), layers.Dense(5), layers.Dropout(0.5), norm()),
    "reshape between": lambda: chain((6,), layers.Dense(12), layers.Reshape((4, 3)), norm()),
    "average pooling between": lambda: chain(
        IMAGE, layers.Conv2D(6, 3), layers.AveragePooling2D(2, padding="same"), norm()
    ),
    "global average between": lambda: chain(
        IMAGE, layers.Conv2D(6, 3), layers.GlobalAveragePooling2D(), norm()
    ),
    "max pooling, positive scale": lambda: chain(
        IMAGE, layers.Conv2D(6, 3), layers.MaxPooling2D(2), positive_norm()
    ),
    "zero padding, no offset": lambda: chain(
        IMAGE, layers.Conv2D(6, 3), layers.ZeroPadding2D(1), scale_only_norm()
    ),
    "upsampling between": lambda: chain(IMAGE, layers.Conv2D(6, 3), layers.UpSampling2D(2), norm()),
    "two in a row": lambda: chain((7,), layers.Dense(5), norm(), norm()),
    "not trainable": lambda: chain((7,), layers.Dense(5), norm(trainable=False)),
    "no gamma": lambda: chain((7,), layers.Dense(5), norm(scale=False)),
    "unknown spatial size": lambda: chain((None, None, 4), layers.Conv2D(6, 3), norm()),
}

FORWARD: dict[str, Callable[[], keras.Model]] = {
    "mission": lambda: keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(32, 3, activation="relu", padding="same"),
            norm(),
            layers.Flatten(),
            layers.Dense(43, activation="softmax"),
        ]
    ),
    "conv1d valid": lambda: chain((9, 4), norm(), layers.Conv1D(6, 3)),
    "conv2d valid": lambda: chain(IMAGE, norm(), layers.Conv2D(6, 3, activation="relu")),
    "conv2d grouped": lambda: chain(IMAGE, norm(), layers.Conv2D(6, 3, groups=2)),
    "conv2d no bias": lambda: chain(IMAGE, norm(), layers.Conv2D(6, 3, use_bias=False)),
    "conv2d same, 1x1": lambda: chain(IMAGE, norm(), layers.Conv2D(6, 1, padding="same")),
    "conv2d same, pads nothing": lambda: chain(
        (8, 6, 4), norm(), layers.Conv2D(6, 2, strides=2, padding="same")
    ),
    "conv2d same, no offset": lambda: chain(
        IMAGE, scale_only_norm(), layers.Conv2D(6, 3, padding="same")
    ),
    "conv3d valid": lambda: chain((4, 5, 6, 2), norm(), layers.Conv3D(3, 2)),
    "transposed, no offset": lambda: chain(
        IMAGE, scale_only_norm(), layers.Conv2DTranspose(6, 3, strides=2)
    ),
    "transposed 1x1": lambda: chain(IMAGE, norm(), layers.Conv2DTranspose(6, 1)),
    "depthwise": lambda: chain(IMAGE, norm(), layers.DepthwiseConv2D(3, depth_multiplier=2)),
    "separable": lambda: chain(IMAGE, norm(), layers.SeparableConv2D(6, 3, depth_multiplier=2)),
    "dense": lambda: chain((7,), norm(), layers.Dense(5, activation="tanh")),
    "dense on a sequence": lambda: chain((None, 7), norm(), layers.Dense(5)),
    "flatten": lambda: chain(IMAGE, relu(), norm(), layers.Flatten(), layers.Dense(5)),
    "flatten, another axis": lambda: chain(
        IMAGE, relu(), norm(axis=1), layers.Flatten(), layers.Dense(5)
    ),
    "reshape keeps channels": lambda: chain(
        IMAGE, relu(), norm(), layers.Reshape((-1, 4)), layers.Conv1D(3, 2)
    ),
    "pooling and dropout": lambda: chain(
        IMAGE,
        relu(),
        norm(),
        layers.AveragePooling2D(2),
        layers.SpatialDropout2D(0.5),
        layers.Conv2D(3, 2),
    ),
    "global average": lambda: chain(
        IMAGE, relu(), norm(), layers.GlobalAveragePooling2D(), layers.Dense(5)
    ),
    "global average keeps axes": lambda: chain(
        IMAGE, relu(), norm(), layers.GlobalAveragePooling2D(keepdims=True), layers.Conv2D(5, 1)
    ),
    "global maximum, positive scale": lambda: chain(
        IMAGE, relu(), positive_norm(), layers.GlobalMaxPooling2D(), layers.Dense(5)
    ),
    "cropping": lambda: chain(IMAGE, relu(), norm(), layers.Cropping2D(1), layers.Conv2D(3, 2)),
    "two in a row": lambda: chain((7,), norm(), norm(), layers.Dense(5)),
}


@pytest.mark.parametrize("build", BACKWARD.values(), ids=BACKWARD.keys())
def test_folds_into_the_layer_before(build: Callable[[], keras.Model]) -> None:
    model = build()
    result = fold(model)
    assert {entry.direction for entry in result.folded} == {"backward"}
    assert result.kept == []
    assert batch_norm_names(result.model) == []
    assert_same_function(model, result)


def test_bilinear_upsampling_within_its_own_float32_rounding() -> None:
    upsampling = layers.UpSampling2D(2, interpolation="bilinear")
    model = chain(IMAGE, layers.Conv2D(6, 3), upsampling, norm())
    result = fold(model)
    assert len(result.folded) == 1
    assert_same_function(model, result, tolerance=1e-6)


@pytest.mark.parametrize("build", FORWARD.values(), ids=FORWARD.keys())
def test_folds_into_the_layer_after(build: Callable[[], keras.Model]) -> None:
    model = build()
    result = fold(model)
    assert {entry.direction for entry in result.folded} == {"forward"}
    assert result.kept == []
    assert batch_norm_names(result.model) == []
    assert_same_function(model, result)


def _also_output() -> keras.Model:
    inputs = keras.Input((7,))
    middle = layers.Dense(5)(inputs)
    return keras.Model(inputs, [middle, norm()(middle)])


def _second_reader() -> keras.Model:
    inputs = keras.Input((7,))
    middle = layers.Dense(5, name="middle")(inputs)
    return keras.Model(inputs, layers.Add(name="sum")([middle, norm()(middle)]))


def _shared_without() -> keras.Model:
    inputs = keras.Input((5,))
    shared = layers.Dense(5, name="shared")
    return keras.Model(inputs, norm()(shared(relu()(shared(inputs)))))


def _one_reader_too_many() -> keras.Model:
    inputs = keras.Input(IMAGE)
    tensor = norm()(relu()(inputs))
    return keras.Model(
        inputs, [layers.Conv2D(3, 2)(tensor), layers.Conv2D(3, 3, padding="same")(tensor)]
    )


def _called_in_training_mode() -> keras.Model:
    inputs = keras.Input((7,))
    return keras.Model(inputs, norm()(layers.Dense(5)(inputs), training=True))


def _subclassed_norm() -> keras.Model:
    class Odd(layers.BatchNormalization):
        def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
            return super().call(inputs, training=training, mask=mask) ** 2

    return chain((7,), layers.Dense(5), Odd())


KEPT: dict[str, tuple[Callable[[], keras.Model], list[str]]] = {
    "fused activation": (
        lambda: chain(IMAGE, layers.Conv2D(6, 3, activation="relu", name="c"), norm(), relu()),
        ["c applies its activation relu before it", "(ReLU)"],
    ),
    "activation before, output after": (
        lambda: chain((7,), layers.Dense(5), relu(), norm()),
        ["(ReLU)", "its result is an output of the model"],
    ),
    "same padding with offset": (
        lambda: chain(IMAGE, relu(), norm(), layers.Conv2D(6, 3, padding="same", name="c")),
        ["its offset is not zero and c pads (same) with zeros"],
    ),
    "causal padding with offset": (
        lambda: chain((9, 4), relu(), norm(), layers.Conv1D(6, 3, padding="causal", name="c")),
        ["c pads (causal) with zeros"],
    ),
    "zero padding with offset": (
        lambda: chain(IMAGE, relu(), norm(), layers.ZeroPadding2D(1), layers.Conv2D(6, 3)),
        ["pads with zeros"],
    ),
    "transposed with offset": (
        lambda: chain(IMAGE, relu(), norm(), layers.Conv2DTranspose(6, 3)),
        ["overlaps unevenly at the border"],
    ),
    "transposed 1x1 with gaps": (
        lambda: chain(IMAGE, relu(), norm(), layers.Conv2DTranspose(6, 1, strides=2)),
        ["overlaps unevenly at the border"],
    ),
    "maximum, negative scale": (
        lambda: chain(IMAGE, layers.Conv2D(6, 3), layers.MaxPooling2D(2), norm()),
        ["negative scale does not commute"],
    ),
    "flatten of unknown size": (
        lambda: chain((None, 4), relu(), norm(), layers.Reshape((-1,)), layers.Lambda(abs)),
        ["the shape at"],
    ),
    "other axis than the channels": (
        lambda: chain(IMAGE, layers.Conv2D(6, 3, name="c"), norm(axis=1)),
        ["it differs along another axis than the channels of c"],
    ),
    "input and output": (lambda: chain((7,), norm()), ["is an input of the model"]),
    "also an output": (_also_output, ["is also an output of the model"]),
    "second reader": (_second_reader, ["also goes to sum"]),
    "shared and called without": (_shared_without, ["shared is shared and also called without it"]),
    "one of two readers cannot": (_one_reader_too_many, ["pads (same) with zeros"]),
    "training mode": (_called_in_training_mode, ["training=True"]),
    "own class": (_subclassed_norm, ["Odd is a class of its own"]),
    "batch axis": (lambda: chain((7,), layers.Dense(5), norm(axis=0)), ["batch axis"]),
    "inside a wrapper": (
        lambda: chain((3, 7), layers.TimeDistributed(norm(), name="wrapper")),
        ["inside wrapper (TimeDistributed)"],
    ),
    "recurrent": (lambda: chain((3, 7), layers.LSTM(4), norm()), ["(LSTM)"]),
}


@pytest.mark.parametrize(("build", "reasons"), KEPT.values(), ids=KEPT.keys())
def test_keeps_what_would_change_the_result(
    build: Callable[[], keras.Model], reasons: list[str]
) -> None:
    if build is KEPT["batch axis"][0]:
        model = keras.Sequential([keras.Input(batch_shape=(3, 7)), layers.Dense(5), norm(axis=0)])
    else:
        model = build()
    result = fold(model)
    assert result.folded == []
    assert [entry.layer for entry in result.kept] == batch_norm_names(model)
    for reason in reasons:
        assert reason in result.kept[0].reason
    assert_same_function(model, result, tolerance=0)


def test_several_readers_all_take_it() -> None:
    inputs = keras.Input(IMAGE)
    tensor = norm(name="bn")(relu()(inputs))
    left, right = layers.Conv2D(3, 2, name="left"), layers.Dense(4, name="right")
    model = keras.Model(inputs, {"l": left(tensor), "r": right(tensor)})
    result = fold(model)
    assert [(f.layer, set(f.into), f.direction) for f in result.folded] == [
        ("bn", {"left", "right"}, "forward")
    ]
    assert_same_function(model, result)


def test_shared_pair_folds_once() -> None:
    shared, bn = layers.Dense(5, name="shared"), norm(name="bn")
    first, second = keras.Input((7,)), keras.Input((7,))
    model = keras.Model([first, second], [bn(shared(first)), relu()(bn(shared(second)))])
    result = fold(model)
    assert [(f.layer, f.into) for f in result.folded] == [("bn", ("shared",))]
    assert_same_function(model, result)


def test_shared_layer_before_two_different_norms_stays() -> None:
    shared = layers.Dense(5, name="shared")
    first, second = keras.Input((7,)), keras.Input((7,))
    model = keras.Model([first, second], [norm()(shared(first)), norm()(shared(second))])
    result = fold(model)
    assert len(result.kept) == 2
    assert_same_function(model, result, tolerance=0)


def test_layer_shared_with_a_wrapper_stays() -> None:
    shared = layers.Dense(5, name="shared")
    wrapper = layers.TimeDistributed(shared, name="wrapper")
    single, sequence = keras.Input((7,)), keras.Input((3, 7))
    model = keras.Model([single, sequence], [norm()(shared(single)), wrapper(sequence)])
    result = fold(model)
    assert "shared is also used inside wrapper" in result.kept[0].reason
    assert_same_function(model, result, tolerance=0)


def test_nested_models_fold_inside_and_across_their_borders() -> None:
    block = keras.Sequential([layers.Conv2D(6, 3, name="conv"), norm(name="inside")], name="block")
    head_input = keras.Input((6, 7, 6))
    head = keras.Model(
        head_input, norm(name="lonely")(relu(name="r")(norm(name="first")(head_input))), name="head"
    )
    model = keras.Sequential(
        [keras.Input(IMAGE), block, head, layers.Flatten(), layers.Dense(4, name="d")], name="top"
    )
    result = fold(model)
    assert {(f.path, f.into, f.direction) for f in result.folded} == {
        ("top/block/inside", ("conv",), "backward"),
        ("top/head/first", ("conv",), "backward"),
        ("top/head/lonely", ("d",), "forward"),
    }
    assert [layer.name for layer in result.model.layers] == [layer.name for layer in model.layers]
    assert_same_function(model, result)


def test_nested_model_called_twice() -> None:
    block = keras.Sequential([layers.Dense(7), norm(), relu()], name="block")
    inputs = keras.Input((7,))
    model = keras.Model(inputs, block(block(inputs)))
    result = fold(model)
    assert len(result.folded) == 1
    assert_same_function(model, result)


def test_nested_model_of_nothing_but_a_norm() -> None:
    only = keras.Sequential([norm(name="only")], name="block")
    model = chain((7,), layers.Dense(5), only, relu())
    result = fold(model)
    assert len(result.folded) == 1
    assert result.model.get_layer("block") is not None
    assert_same_function(model, result)


def test_operations_that_are_not_layers_are_kept() -> None:
    inputs = keras.Input((7,))
    tensor = keras.ops.add(norm()(layers.Dense(5)(inputs)), 1.0)
    model = keras.Model(inputs, keras.ops.concatenate([tensor, inputs], axis=-1))
    result = fold(model)
    assert len(result.folded) == 1
    assert_same_function(model, result)


def test_lambda_and_adapted_layers_are_copied_with_their_state() -> None:
    scaling = layers.Normalization()
    scaling.adapt(RNG.normal(3, 2, size=(50, 7)))
    model = chain(
        (7,),
        scaling,
        layers.Dense(5),
        norm(),
        layers.Lambda(lambda x, k: x * k, arguments={"k": 3}),
    )
    result = fold(model)
    assert len(result.folded) == 1
    assert_same_function(model, result)


def test_vocabulary_is_copied() -> None:
    lookup = layers.StringLookup(output_mode="one_hot")
    lookup.adapt(np.array([["a"], ["b"], ["c"]]))
    inputs = keras.Input((1,), dtype="string")
    model = keras.Model(inputs, norm()(layers.Dense(5)(lookup(inputs))))
    result = fold(model)
    words = np.array([["a"], ["c"], ["z"]])
    np.testing.assert_allclose(
        np.array(result.model(words)), np.array(model(words)), rtol=0, atol=1e-6
    )
    assert len(result.folded) == 1


def test_the_users_model_is_untouched_and_nothing_is_shared() -> None:
    model = FORWARD["mission"]()
    weights, config = [w.copy() for w in model.get_weights()], model.get_config()
    result = fold(model)
    for variable in result.model.variables:
        variable.assign(keras.ops.zeros_like(variable))
    assert model.get_config() == config
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_names_and_save_survive(tmp_path: Path) -> None:
    model = chain(
        IMAGE,
        layers.Conv2D(6, 3, use_bias=False, name="c"),
        norm(name="b"),
        relu(name="r"),
        layers.Flatten(name="f"),
        layers.Dense(3, name="d"),
    )
    result = fold(model)
    assert [layer.name for layer in result.model.layers[1:]] == ["c", "r", "f", "d"]
    assert result.model.name == model.name
    path = tmp_path / "folded.keras"
    result.model.save(path)
    data = data_for(model)
    np.testing.assert_array_equal(
        keras.models.load_model(path).predict(data, verbose=0),
        result.model.predict(data, verbose=0),
    )


def test_errors_are_those_of_the_outputs() -> None:
    model = chain((7,), layers.Dense(5), norm())
    data = data_for(model)
    result = fold(model, data)
    expected, actual = model.predict(data, verbose=0), result.model.predict(data, verbose=0)
    assert result.max_abs_error == pytest.approx(np.abs(actual - expected).max(), abs=0)
    assert result.max_rel_error == pytest.approx(result.max_abs_error / np.abs(expected).max())
    assert fold(model).max_abs_error is None


def test_subclassed_model_is_answered_with_a_reason() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense, self.bn = layers.Dense(3), norm(name="bn")

        def call(self, inputs: Any) -> Any:
            return self.bn(self.dense(inputs))

    model = Own()
    model(np.zeros((1, 4)))
    result = fold(model)
    assert result.model is model
    assert [(k.layer, "graph of layers is not known" in k.reason) for k in result.kept] == [
        ("bn", True)
    ]


def test_something_else_than_a_model_is_refused() -> None:
    with pytest.raises(TypeError, match="Keras 3 model"):
        fold(layers.Dense(3))


NETWORKS: dict[str, tuple[Any, int, int]] = {
    # name: (constructor, batch norms, of which some convolution makes the input alone)
    "ResNet50": (keras.applications.ResNet50, 53, 53),
    "MobileNetV2": (keras.applications.MobileNetV2, 52, 52),
    # DenseNet121: conv1, 58 bottlenecks (conv -> bn); the rest reads a concatenation or a sum.
    "DenseNet121": (keras.applications.DenseNet121, 121, 59),
    "EfficientNetB0": (keras.applications.EfficientNetB0, 49, 49),
}


@pytest.mark.usefixtures("float32")
@pytest.mark.parametrize(("build", "norms", "foldable"), NETWORKS.values(), ids=NETWORKS.keys())
def test_applications_within_rounding(build: Any, norms: int, foldable: int) -> None:
    keras.utils.set_random_seed(1)
    model = build(weights=None, input_shape=(64, 64, 3), classifier_activation=None, classes=50)
    randomize(model)
    data = RNG.uniform(0, 1, size=(2, 64, 64, 3)).astype(np.float32)
    assert len(batch_norm_names(model)) == norms
    result = fold(model, data)
    assert (len(result.folded), len(result.kept)) == (foldable, norms - foldable)
    assert result.max_rel_error is not None
    assert result.max_rel_error < 1e-4
    expected = model.predict(data, verbose=0)
    assert np.std(expected[0] - expected[1]) > 0  # the input still matters


@pytest.mark.network
@pytest.mark.usefixtures("float32")
@pytest.mark.skipif(os.environ.get("TFTRACE_NETWORK") != "1", reason="needs a package registry")
def test_legacy_h5_of_spliceai(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "spliceai==1.3.1"]
    subprocess.run([*command, "-d", str(tmp_path)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(tmp_path)], check=True)
    model = keras.models.load_model(tmp_path / "spliceai/models/spliceai1.h5", compile=False)
    randomize(model, 0.2, 0.4)  # larger ones saturate the softmax and hide every difference
    bases = np.eye(4, dtype=np.float32)[RNG.integers(0, 4, (1, 10500))]
    result = fold(model, bases)
    assert (len(result.folded), len(result.kept)) == (16, 16)
    assert np.std(model.predict(bases, verbose=0)) > 0.01
    assert result.max_rel_error is not None
    assert result.max_rel_error < 1e-4
