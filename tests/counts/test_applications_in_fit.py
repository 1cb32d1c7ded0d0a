"""Whole networks in ``fit``: each layer's backward pass, counted a second time from its shapes.

The second count knows Keras's layers and nothing of graphs: a product's gradient by its weights is
as many multiply-accumulates as the product, and so is that by its data, which is there where
something that learns stands in front.
"""

from math import prod

import keras
import networks
import pytest

import tftrace

SIZES = {
    "ConvNeXtTiny": 64,
    "DenseNet121": 32,
    "EfficientNetB0": 32,
    "InceptionV3": 75,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "NASNetMobile": 32,
    "ResNet50": 32,
    "VGG16": 32,
    "Xception": 71,
}
"""Pixels a side: the fewest, or nearly, that the network takes."""

QUICK = {"MobileNet", "VGG16"}


def products(layer):
    """(multiply-accumulates per sample) of each product of a call, in order; [] of other layers."""
    kind, size = type(layer).__name__, prod(layer.output.shape[1:])
    if kind == "Dense":
        return [size * layer.input.shape[-1]]
    if "Conv" not in kind:
        return []
    channels, window = layer.input.shape[-1], prod(layer.kernel_size)
    if kind == "Conv2D":
        return [size * window * channels // layer.groups]
    if kind == "DepthwiseConv2D":
        return [size * window]
    if kind == "SeparableConv2D":
        middle = channels * layer.depth_multiplier
        return [size // layer.filters * middle * window, size * middle]
    raise NotImplementedError(kind)


def backward(model, learns_in_front=False):
    """Multiply-accumulates of each layer's gradients per sample, by name, nested models' too.

    ``learns_in_front``: something does before what the model is given.
    """
    learns, found = {}, {}
    nodes = getattr(model, "_functional", model)._nodes_by_depth
    for node in (each for depth in sorted(nodes, reverse=True) for each in nodes[depth]):
        layer = node.operation
        parents = [learns[id(each)] for each in node.parent_nodes]
        in_front = any(parents) or (node.is_input and learns_in_front)
        learning = bool(getattr(layer, "trainable_weights", ()))
        learns[id(node)] = in_front or learning
        if hasattr(layer, "layers"):
            found |= backward(layer, in_front)
            continue
        each = products(layer)
        # In front of the second product of a layer its first one learns.
        found[layer.name] = sum(each) * learning + sum(each if in_front else each[1:])
    return found


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in SIZES],
)
def test_each_layer_s_backward_pass_is_counted_twice_alike(name):
    keras.backend.clear_session()
    shape = (SIZES[name], SIZES[name], 3)
    model = getattr(keras.applications, name)(
        weights=None, include_top=True, input_shape=shape, classes=10, classifier_activation=None
    )
    model.compile("sgd", "mse")
    x, y = networks.normal(2, *shape), networks.normal(2, 10)
    options = {"batch_size": 2, "repeats": 0, "calibrate": False}
    rows = tftrace.profile(model, x, y, phase="fit", **options).layers
    wanted = backward(model)
    found = rows.groupby("name")["macs_backward"].sum(min_count=1)
    assert {n: found[n] for n in wanted if n in found and found[n] != wanted[n]} == {}
    assert rows["macs_backward"].notna().all()
    assert rows["macs_backward"].sum() == sum(wanted.values())
