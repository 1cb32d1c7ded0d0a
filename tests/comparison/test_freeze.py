"""Frozen weights: the same outputs, no variable read, no reorder after the first batch."""

import os
import platform
import subprocess
import sys

import keras
import numpy as np
import pytest

from tftrace.api.measure import profile
from tftrace.comparison.compare import Side, compare_models, parse_settings, sides
from tftrace.comparison.outputs import differences
from tftrace.errors import TftraceError
from tftrace.tracer.graphs.frozen import freeze

layers = keras.layers


def network() -> keras.Model:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(name="net")
    model.add(keras.Input((8, 8, 3)))
    model.add(layers.Conv2D(16, 3, padding="same", name="conv"))
    model.add(layers.Flatten(name="flat"))
    model.add(layers.Dense(6, name="dense"))
    return model


@pytest.fixture
def x(random) -> np.ndarray:
    return random.random((10, 8, 8, 3), dtype=np.float32)


def test_a_frozen_model_computes_the_same_and_reads_no_variable(x) -> None:
    expected = network().predict(x, verbose=0)
    frozen = freeze(network())
    found = profile(frozen, x, batch_size=4, repeats=0, calibrate=False)
    assert "ReadVariableOp" not in set(found.ops["op_type"])
    # 8 x 8 positions x 27 x 16, and 8 x 8 x 16 x 6.
    macs = found.layers.set_index("name")["macs"]
    assert (macs["conv"], macs["dense"]) == (27648, 6144)
    assert np.allclose(frozen.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)


def test_the_comparison_checks_the_outputs(x, tmp_path) -> None:
    path = tmp_path / "m.keras"
    network().save(path)
    pair = sides(keras.models.load_model, path, path, 4, "auto", {"freeze": "on"})
    found = compare_models(*pair, x, pairs=6)
    assert found.names[1] == "m.keras with freeze=on"
    assert found.output_difference == pytest.approx(0, abs=1e-5)
    assert found.to_dict()["output_difference"] == found.output_difference
    assert found.interleaved
    # The layers are known on both sides.
    assert list(found.layers["side"]) == ["both"] * len(found.layers)


def test_without_freezing_outputs_are_not_compared(x) -> None:
    found = compare_models(Side("a", network(), 4), Side("b", network(), 5), x, pairs=6)
    assert found.output_difference is None


@keras.saving.register_keras_serializable("test_freeze")
class Counts(keras.layers.Layer):
    """Adds how often it was called."""

    def build(self, input_shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        self.calls.assign_add(1.0)
        return x + self.calls


def test_a_model_that_changes_its_weights_is_refused(x) -> None:
    """Frozen, every batch adds 1; as it is, 1, 2, 3, …"""

    def counting() -> keras.Model:
        return keras.Sequential([keras.Input((8, 8, 3)), Counts()])

    pair = Side("a", counting(), 4), Side("b", freeze(counting()), 4, frozen=True)
    with pytest.raises(TftraceError, match="changes what is frozen"):
        compare_models(*pair, x, pairs=6)


def test_what_cannot_be_frozen_says_why() -> None:
    import tf_keras

    old = tf_keras.Sequential([tf_keras.layers.Input((2,)), tf_keras.layers.Dense(1)])
    with pytest.raises(TftraceError, match="Keras 3"):
        freeze(old)
    with pytest.raises(TftraceError, match="no weights"):
        freeze(keras.Sequential([keras.Input((2,)), layers.ReLU()]))

    class Own(keras.Sequential):
        def predict(self, x, **_):
            return x

    with pytest.raises(TftraceError, match="Keras's own predict"):
        freeze(Own([keras.Input((2,)), layers.Dense(1)]))


def test_weights_that_no_graph_holds_are_refused(monkeypatch) -> None:
    monkeypatch.setattr("tftrace.tracer.graphs.frozen._MOST_BYTES", 100)
    with pytest.raises(TftraceError, match="more than the graph"):
        freeze(network())


def test_freeze_is_a_setting_with_one_value() -> None:
    assert parse_settings(["freeze=on"]) == {"freeze": "on"}
    with pytest.raises(TftraceError, match="freeze is on"):
        parse_settings(["freeze=off"])


@pytest.mark.parametrize(
    ("expected", "actual", "absolute", "relative"),
    [
        ([1.0, -4.0], [1.0, -4.0], 0.0, 0.0),
        ([1.0, -4.0], [1.0, -3.0], 1.0, 0.25),
        ([0.0], [0.5], 0.5, np.inf),
        ([np.nan, np.inf], [np.nan, np.inf], 0.0, 0.0),
        ([1.0], [np.nan], np.inf, np.inf),
        ([], [], 0.0, 0.0),
    ],
)
def test_differences_of_outputs(expected, actual, absolute, relative) -> None:
    assert differences([np.array(expected)], [np.array(actual)]) == (absolute, relative)


REORDERS = """
import sys
import keras, numpy as np
from tftrace.tracer.graphs.frozen import freeze
model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(16, 3)])
model = freeze(model) if sys.argv[1] == "frozen" else model
x = np.zeros((4, 8, 8, 3), np.float32)
model.predict(x, verbose=0)
print("SECOND", flush=True)
model.predict(x, verbose=0)
"""


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="oneDNN's switch is x86's"
)
@pytest.mark.parametrize(("how", "some"), [("plain", True), ("frozen", False)])
def test_onednn_keeps_the_reordered_weights_of_a_frozen_model(how: str, some: bool) -> None:
    wanted = {"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_VERBOSE": "profile_exec"}
    done = subprocess.run(
        [sys.executable, "-c", REORDERS, how],
        capture_output=True,
        text=True,
        env=os.environ | wanted,
        check=True,
    )
    second = done.stdout.partition("SECOND")[2]
    assert ",exec,cpu,convolution," in second
    if some and ",exec,cpu,reorder," not in second:
        pytest.skip("on this processor oneDNN takes the weights of this layer as they are")
    assert (",exec,cpu,reorder," in second) == some
