"""SavedModels: graphs without Keras layers, run by a signature and told by name scopes."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from typer.testing import CliRunner

import tftrace
from tftrace.cli import app
from tftrace.errors import TftraceError
from tftrace.graph import Node
from tftrace.tracer.graphs.scopes import scope_of
from tftrace.tracer.loading.models import load_model

X = np.linspace(0, 1, 70 * 8 * 8 * 3, dtype="float32").reshape(70, 8, 8, 3)


def network():
    stack = [
        layers.Conv2D(4, 3, name="conv"),
        layers.BatchNormalization(name="norm"),
        layers.Flatten(name="flat"),
        layers.Dense(5, name="out"),
    ]
    return keras.Sequential([keras.Input((8, 8, 3)), *stack], name="net")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, Path]:
    """A model, and the folder that it was exported to."""
    model, folder = network(), tmp_path_factory.mktemp("exported") / "saved"
    model.export(folder, verbose=False)
    return model, folder


def test_the_signature_predicts_as_the_model_did(exported):
    model, folder = exported
    outputs = load_model(folder).predict(X, verbose=0)
    np.testing.assert_array_equal(*outputs.values(), model.predict(X, verbose=0))


def test_its_operations_stand_on_their_name_scopes(exported):
    model, folder = exported
    profile = tftrace.profile(load_model(folder), X, repeats=0, calibrate=False)
    layers = profile.layers.set_index("path")
    assert set(layers["type"][2:]) == {"name scope"}
    assert layers["note"][2:].str.startswith("told by name scope").all()
    macs = {path.rpartition("/")[2].removesuffix("_1"): n for path, n in layers["macs"].items()}
    # By hand: 6 x 6 positions x 4 filters x 27, and 144 x 5.
    assert (macs["conv"], macs["out"]) == (6 * 6 * 4 * 27, 144 * 5)
    assert layers["params"].sum() == model.count_params()
    # All time of the model's kernels is on a scope, in the order of execution.
    assert profile.wall.set_index("component")["wall_ms"]["model ops outside layers"] == (
        pytest.approx(0, abs=0.05)
    )
    order = [path.rpartition("/")[2] for path in layers.index]
    assert order.index("conv_1") < order.index("norm_1") < order.index("out_1")
    assert not any(profile.checks.values())
    assert "name scopes of its" in " ".join(str(profile).split())


def test_counts_are_those_of_the_model(exported):
    model, folder = exported
    for name in ("macs", "mults", "params"):
        assert tftrace.count(load_model(folder)).totals[name] == tftrace.count(model).totals[name]


def test_a_layer_of_the_users_model_that_runs_one_stays_one_layer(exported):
    x = keras.Input((8, 8, 3))
    layer = layers.TFSMLayer(exported[1], call_endpoint="serve", name="inside")
    counts = tftrace.count(keras.Model(x, layer(x))).layers.set_index("name")
    assert counts["macs"]["inside"] == 6 * 6 * 4 * 27 + 144 * 5


class Two(tf.Module):
    """Two inputs of a signature, a loop, and a function called twice."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable(tf.ones((4, 4)))

    @tf.function(input_signature=[tf.TensorSpec((None, 4), name=n) for n in "ab"])
    def run(self, a, b):
        with tf.name_scope("first"):
            a = self.times(a)
        with tf.name_scope("loop"):
            for _ in tf.range(3):
                b = b @ self.w
        with tf.name_scope("last"):
            return {"sum": self.times(a) + b}

    @tf.function
    def times(self, x):
        with tf.name_scope("product"):
            return x @ self.w


def test_what_tensorflow_saved_without_keras(tmp_path, random):
    module = Two()
    tf.saved_model.save(module, str(tmp_path / "two"), signatures=module.run)
    model = load_model(tmp_path / "two")
    a, b = (random.normal(size=(40, 4)).astype("float32") for _ in range(2))
    # Each input by its name, whatever the order.
    (found,) = model.predict({"b": b, "a": a}, verbose=0).values()
    (expected,) = module.run(a, b).values()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    profile = tftrace.profile(model, {"a": a, "b": b}, repeats=0, calibrate=False)
    macs = profile.layers.set_index("path")["macs"]
    by_scope = {p.removeprefix("two/serving_default/"): n for p, n in macs.items() if n}
    # 4 x 4 for each product: one in `first`, three in the loop, one in `last`.
    assert sum(by_scope.values()) == 16 * 5
    assert by_scope["loop"] == 16 * 3
    assert not any(profile.checks.values())


def test_an_operation_is_no_scope_of_its_own_inputs():
    nodes = {n: Node(n, "Any") for n in ("a/dense/MatMul", "a/dense/MatMul/ReadVariableOp", "top")}
    assert scope_of(nodes["a/dense/MatMul/ReadVariableOp"], nodes) == ("a", "dense")
    assert scope_of(nodes["top"], nodes) == ()


class Scalar(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((), name="x")])
    def run(self, x):
        return x + 1


def test_what_no_batch_fits_is_refused(tmp_path):
    module = Scalar()
    tf.saved_model.save(module, str(tmp_path / "scalar"), signatures=module.run)
    with pytest.raises(TftraceError, match="its input x is a single value"):
        load_model(tmp_path / "scalar")
    tf.saved_model.save(tf.Module(), str(tmp_path / "none"))
    with pytest.raises(TftraceError, match="SavedModel without a signature"):
        load_model(tmp_path / "none")
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "saved_model.pb").write_bytes(b"\x08")
    with pytest.raises(TftraceError, match="does not load"):
        load_model(tmp_path / "cut")


def test_fold_says_that_there_are_no_layers(exported):
    done = CliRunner().invoke(app, ["fold", str(exported[1]), "-o", "f.keras"])
    assert "has no Keras layers to fold" in str(done.exception)


def test_keras_2_says_whose_layers_are_not_there(exported):
    pytest.importorskip("tf_keras")
    with pytest.raises(TftraceError, match="without layers of Keras 2"):
        load_model(exported[1], keras=2)


def test_a_file_with_a_savedmodel_layer_is_not_said_to_hold_a_lambda(exported, tmp_path):
    x = keras.Input((8, 8, 3))
    layer = layers.TFSMLayer(str(exported[1]), call_endpoint="serve", name="inside")
    keras.Model(x, layer(x)).save(tmp_path / "m.keras")
    with pytest.raises(TftraceError, match="TFSMLayer") as caught:
        load_model(tmp_path / "m.keras")
    assert "Lambda" not in str(caught.value)
    assert "--unsafe" in str(caught.value)
    assert load_model(tmp_path / "m.keras", unsafe=True).get_layer("inside") is not None
