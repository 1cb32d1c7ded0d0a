"""Biases of Keras 2 in front of a batch norm: which there are, and a model without them."""

import numpy as np
import pytest

from tftrace.errors import TftraceError
from tftrace.folding.bias import biased_norms, without_biases
from tftrace.tracer import keras_private

tf_keras = pytest.importorskip("tf_keras")
layers = tf_keras.layers
X = np.random.default_rng(0).random((4, 6, 6, 3), dtype=np.float32)


def network():
    """Of five convolutions only ``a`` and ``b`` add a bias that a norm alone reads."""
    x = given = tf_keras.Input((6, 6, 3))
    x = layers.BatchNormalization(name="norm_a")(layers.Conv2D(4, 3, name="a")(x))
    x = layers.Conv2D(4, 1, name="b")(layers.ReLU()(x))
    x = layers.BatchNormalization(name="norm_b", scale=False)(x)
    x = layers.Conv2D(4, 1, name="no_bias", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(4, 1, name="activation", activation="relu")(x)
    x = layers.BatchNormalization()(x)
    both = layers.Conv2D(4, 1, name="read_twice")(x)
    return tf_keras.Model(given, layers.BatchNormalization()(both) + both)


def trained(model):
    random = np.random.default_rng(1)
    model.set_weights([random.uniform(0.2, 1.5, w.shape) for w in model.get_weights()])
    return model


def test_a_bias_that_only_a_norm_reads() -> None:
    found = [(conv.name, norm.name) for conv, norm in biased_norms(network())]
    assert sorted(found) == [("a", "norm_a"), ("b", "norm_b")]


def test_the_same_function_without_them() -> None:
    model = trained(network())
    copy = without_biases(model)
    assert [copy.get_layer(name).use_bias for name in ("a", "b", "read_twice")] == [
        *(False, False, True)
    ]
    expected = model.predict(X, verbose=0)
    np.testing.assert_allclose(copy.predict(X, verbose=0), expected, rtol=1e-4)
    assert model.get_layer("a").use_bias


def test_the_mean_by_hand() -> None:
    model = trained(
        tf_keras.Sequential(
            [tf_keras.Input((6, 6, 3)), layers.Conv2D(2, 1), layers.BatchNormalization()]
        )
    )
    conv, norm = model.layers
    conv.bias.assign([1.0, -2.0])
    norm.moving_mean.assign([0.25, 3.0])
    copy = without_biases(model)
    np.testing.assert_allclose(copy.layers[1].moving_mean, [-0.75, 5.0])
    np.testing.assert_allclose(copy.layers[0].kernel, conv.kernel)


def test_layers_that_are_shared_and_what_is_a_result_stay() -> None:
    given = tf_keras.Input((6, 6, 3))
    conv = layers.Conv2D(3, 1)
    twice = layers.BatchNormalization()(conv(layers.ReLU()(conv(given))))
    assert biased_norms(tf_keras.Model(given, twice)) == []
    seen = layers.Conv2D(3, 1)(given)
    assert biased_norms(tf_keras.Model(given, [seen, layers.BatchNormalization()(seen)])) == []
    norm = layers.BatchNormalization()
    shared = norm(layers.Conv2D(3, 1)(norm(given)))
    assert biased_norms(tf_keras.Model(given, shared)) == []


def test_without_a_graph_there_are_none(monkeypatch) -> None:
    monkeypatch.setattr("tftrace.folding.bias.nodes_by_depth", lambda model: None)
    assert biased_norms(network()) == []
    with pytest.raises(TftraceError, match="no convolution adds a bias"):
        without_biases(network())


def test_what_cannot_be_made_anew_says_so() -> None:
    class Own(tf_keras.layers.Layer):
        def get_config(self):
            raise NotImplementedError

    given = tf_keras.Input((6, 6, 3))
    x = layers.BatchNormalization()(layers.Conv2D(3, 1)(given))
    with pytest.raises(TftraceError, match="cannot be made anew"):
        without_biases(tf_keras.Model(given, Own()(x)))


def test_the_nodes_of_keras_2_are_found() -> None:
    """The canary: without them no remedy is offered."""
    (level, *_) = keras_private.nodes_by_depth(network()).values()
    assert {"layer", "parent_nodes", "outputs"} <= {n for n in dir(level[0]) if n[0] != "_"}
