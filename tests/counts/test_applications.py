"""Whole networks: three counts that know nothing of one another, and the literature."""

import re
from functools import cache, partial
from math import prod

import keras
import pytest
import tensorflow as tf
from counting import count_model
from published import EXPLAINED, OTHER_STRIDE, SAME_NETWORK, STRIDE_PLACEMENT
from second_count import batch_norm_parameter_mults, second_count

QUICK = [
    "ConvNeXtTiny",
    "EfficientNetB0",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "ResNet50",
    "ResNet50V2",
    "VGG16",
    "Xception",
]
ALL = sorted(
    name
    for name in dir(keras.applications)
    if name[0].isupper() and callable(getattr(keras.applications, name))
)


def slow_unless_quick(name, value):
    """A parameter that runs by default only for the quick networks."""
    return pytest.param(value, marks=[] if name in QUICK else pytest.mark.slow)


def build(name):
    keras.backend.clear_session()
    # MobileNetV3 leaves its input size open.
    size = {"input_shape": (224, 224, 3)} if name.startswith("MobileNetV3") else {}
    return getattr(keras.applications, name)(weights=None, **size)


@cache
def results(name):
    """Totals by graph and by configuration; the model itself is not kept."""
    model = build(name)
    counts = count_model(model)
    return {
        "totals": counts.totals,
        "coverage": counts.coverage,
        "second": second_count(model),
        "parameter mults": batch_norm_parameter_mults(model),
        "params": model.count_params(),
    }


def test_every_application_is_known():
    assert len(ALL) == 40
    figures = {figure.model for figure in SAME_NETWORK}
    assert set(ALL) <= figures | set(EXPLAINED)


@pytest.mark.parametrize("name", [slow_unless_quick(name, name) for name in ALL])
def test_graph_and_configuration_agree_as_integers(name):
    found = results(name)
    totals = found["totals"]
    assert all(isinstance(value, int) for value in totals.values())
    assert (totals["macs"], totals["mults"]) == found["second"]
    assert totals["macs_executed"] == totals["macs"]
    assert totals["mults_executed"] == totals["mults"] + found["parameter mults"]
    assert totals["params"] == found["params"]
    assert found["coverage"].counted == found["coverage"].total


@pytest.mark.parametrize(
    "figure",
    [slow_unless_quick(figure.model, figure) for figure in SAME_NETWORK],
    ids=lambda figure: f"{figure.model}, {figure.source.split(',')[0]}",
)
def test_within_a_percent_of_the_literature(figure):
    assert results(figure.model)["totals"]["macs"] / 1e9 == pytest.approx(figure.gmacs, rel=0.01)


@pytest.mark.parametrize(
    "figure",
    [slow_unless_quick(figure.model, figure) for figure in OTHER_STRIDE],
    ids=lambda figure: figure.model,
)
def test_the_stride_placement_is_all_that_differs(figure):
    moved = results(figure.model)["totals"]["macs"] + STRIDE_PLACEMENT
    assert round(moved / 1e9, 3) == figure.gmacs


# --- the third witness: XLA's program text -----------------------------------------------------
_RESULT = re.compile(r"= \w+\[([\d,]*)\]")
_CONVOLUTION = re.compile(
    r" convolution\(\w+\[[\d,]*\]\S* \S+ \w+\[([\d,]*)\].*dim_labels=\w+_(\w+)->"
)
_DOT = re.compile(r" dot\(\w+\[([\d,]*)\].*lhs_contracting_dims=\{([\d,]*)\}")


def _sizes(text):
    return [int(size) for size in text.split(",") if size]


def hlo_macs(text):
    """Multiply-accumulates of every convolution and dot of an HLO module."""
    total = 0
    for line in text.splitlines():
        result = _RESULT.search(line)
        if convolution := _CONVOLUTION.search(line):
            kernel, labels = _sizes(convolution[1]), convolution[2]
            window = prod(s for s, label in zip(kernel, labels, strict=True) if label != "o")
            total += prod(_sizes(result[1])) * window
        elif dot := _DOT.search(line):
            shape = _sizes(dot[1])
            total += prod(_sizes(result[1])) * prod(shape[axis] for axis in _sizes(dot[2]))
    return total


def attention_model():
    inputs = keras.Input((6, 16))
    attended = keras.layers.MultiHeadAttention(2, 4)(inputs, inputs)
    return keras.Model(inputs, keras.layers.EinsumDense("abc,cde->abde", (6, 2, 3))(attended))


def grouped_model():
    inputs = keras.Input((16, 16, 8))
    x = keras.layers.Conv2D(8, 3, groups=4)(inputs)
    x = keras.layers.DepthwiseConv2D(3, depth_multiplier=2)(x)
    return keras.Model(inputs, keras.layers.Conv1D(4, 3)(keras.layers.Reshape((144, 16))(x)))


WITNESSED = {
    "attention": attention_model,
    "grouped": grouped_model,
    "MobileNetV2": partial(build, "MobileNetV2"),
}
SLOWLY = ["VGG16", "ResNet50", "EfficientNetB0", "ConvNeXtTiny", "NASNetMobile"]


@pytest.mark.parametrize(
    "make",
    [
        *(pytest.param(make, id=name) for name, make in WITNESSED.items()),
        *(pytest.param(partial(build, n), id=n, marks=pytest.mark.slow) for n in SLOWLY),
    ],
)
def test_xla_counts_the_same(make):
    model = make()
    call = tf.function(lambda x: model(x, training=False), jit_compile=True)
    x = tf.zeros((1, *model.input_shape[1:]))
    text = call.experimental_get_compiler_ir(x)(stage="hlo")
    assert hlo_macs(text) == count_model(model).totals["macs_executed"]
