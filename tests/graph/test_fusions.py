"""What the optimizer takes into a product, asked of TensorFlow in this process's setting."""

import keras
import pytest
import tensorflow as tf

from tftrace.graph.fusions import activation_name, activations_taken, takes_activation, takes_bias
from tftrace.graph.kernel_types import plain_type
from tftrace.tracer.tf_private import collect_graphs, onednn_is_on

IMAGE, VOLUME, MATRIX = (2, 8, 8, 4), (2, 4, 4, 4, 4), (8, 4)
PRODUCTS = {
    "Conv2D": (IMAGE, (3, 3, 4, 4), lambda x, w: tf.nn.conv2d(x, w, 1, "SAME")),
    "Conv3D": (VOLUME, (3, 3, 3, 4, 4), lambda x, w: tf.nn.conv3d(x, w, [1] * 5, "SAME")),
    "DepthwiseConv2dNative": (
        IMAGE,
        (3, 3, 4, 1),
        lambda x, w: tf.nn.depthwise_conv2d(x, w, [1] * 4, "SAME"),
    ),
    "MatMul": (MATRIX, (4, 4), tf.matmul),
    "BatchMatMul": ((2, 8, 4), (4, 4), lambda x, w: tf.raw_ops.BatchMatMulV2(x=x, y=w)),
    "Conv2DBackpropInput": (
        IMAGE,
        (3, 3, 4, 4),
        lambda x, w: tf.nn.conv2d_transpose(x, w, IMAGE, 1),
    ),
    "Einsum": ((2, 8, 4), (4, 4), lambda x, w: tf.einsum("abc,cd->abd", x, w)),
}
NAMES = {
    "ReLU": "relu",
    "ReLU6": "relu6",
    "ELU": "elu",
    "leaky ReLU": "leaky_relu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "swish": "silu",
    "mish": "mish",
    "hard swish": "hard_swish",
    "GELU": "gelu",
    None: "softplus",
}


def optimized(product, activation):
    """Plain types of the kernels of a product with a bias and an activation behind it."""
    shape, weights, multiply = PRODUCTS[product]
    kernel, bias = tf.Variable(tf.random.normal(weights)), tf.Variable(tf.ones(4))

    @tf.function(autograph=False)
    def run(x):
        value = tf.nn.bias_add(multiply(x, kernel), bias)
        # The graph's own result would not be fused.
        return tf.reduce_sum(activation(value))

    with collect_graphs() as collection:
        run(tf.random.normal(shape))
    ((_, after),) = [f for f in collection.functions if any(n.op == "Sum" for n in f[0].node)]
    return [plain_type(node.op) for node in after.node]


@pytest.mark.kernels
@pytest.mark.parametrize("product", PRODUCTS)
def test_a_bias_is_taken_in_as_told(product):
    types = optimized(product, lambda x: x)
    assert product in types
    assert ("BiasAdd" not in types) == takes_bias(product, onednn_is_on())


@pytest.mark.kernels
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("product", ["Conv2D", "Conv3D", "DepthwiseConv2dNative", "MatMul"])
def test_an_activation_is_taken_in_as_told(product, name):
    activation = getattr(keras.activations, NAMES[name])
    bare = optimized(product, lambda x: x)
    taken = len(optimized(product, activation)) <= len(bare)
    assert taken == (name in activations_taken(product, onednn_is_on()))


@pytest.mark.parametrize(
    ("types", "name"),
    [
        ({"Relu"}, "ReLU"),
        ({"Sigmoid"}, "sigmoid"),
        ({"Sigmoid", "Mul"}, "swish"),
        ({"Softplus", "Tanh", "Mul"}, "mish"),
        ({"Add", "Relu6", "RealDiv", "Mul"}, "hard swish"),
        ({"Neg", "Erfc", "Mul"}, "GELU"),
        ({"Relu", "Mul"}, None),
        ({"Softplus"}, None),
        (set(), None),
    ],
)
def test_activations_are_told_by_their_curve(types, name):
    assert activation_name(types) == name


def test_what_has_no_name_is_not_taken_in():
    assert not takes_activation("Conv2D", {"Softplus"}, onednn=True)
    assert takes_activation("MatMul", {"Erfc", "Mul"}, onednn=True)
    assert not takes_activation("MatMul", {"Erfc", "Mul"}, onednn=False)
    assert not takes_activation("Einsum", {"Relu"}, onednn=True)
