"""Model files of real people: functions of their own, Keras 2, a batch that the file fixes."""

import json
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from typer.testing import CliRunner

import tftrace
from tftrace.cli import app
from tftrace.errors import TftraceError
from tftrace.tracer.loading.models import load_model

SWOOSH = "from keras import ops\ndef swoosh(x): return x * ops.tanh(ops.softplus(x))\n"


@pytest.fixture
def swoosh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with an activation function of a module beside it."""
    (tmp_path / "swooshes.py").write_text(SWOOSH)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import swooshes

    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(8, 3, activation=swooshes.swoosh),
            layers.Conv2D(8, 3, name="c2"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    model.save("own.h5")
    return Path("own.h5")


def test_without_the_function_the_cause_comes_first(swoosh):
    with pytest.raises(TftraceError) as error:
        load_model(swoosh)
    message = str(error.value)
    assert message.startswith("own.h5: Could not")
    assert "swoosh" in message[:80]
    assert "--custom MODULE" in message
    with pytest.raises(TftraceError, match="os does not define it"):
        load_model(swoosh, custom=["os"])


@pytest.mark.parametrize("custom", ["swooshes", "swooshes:swoosh"])
def test_a_module_gives_its_functions_too(swoosh, custom):
    # By hand: 14x14 positions x 8 filters x 27, 12x12 x 8 x 72, and 1,152 x 2.
    macs = 14 * 14 * 8 * 27 + 12 * 12 * 8 * 72 + 12 * 12 * 8 * 2
    assert tftrace.count(load_model(swoosh, custom=[custom])).totals["macs"] == macs


def _as_keras_2_writes_it(file: str) -> None:
    """A lambda by its name, where Keras 3 writes its bytecode."""
    with h5py.File(file, "r+") as opened:
        config = json.loads(opened.attrs["model_config"])
        config["config"]["layers"][1]["config"]["activation"] = "<lambda>"
        opened.attrs["model_config"] = json.dumps(config)


def test_a_lambda_is_found_under_any_name_of_the_module(tmp_path, monkeypatch):
    (tmp_path / "lambdas.py").write_text("def other(x): return x\ncapped = lambda x: x * 0.5\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import lambdas

    dense = layers.Dense(2, activation=lambdas.capped)
    model = keras.Sequential([keras.Input((4,)), dense])
    model.save("lambda.h5")
    with pytest.raises(TftraceError, match=r"bytecode and does not read; .* --model-module"):
        load_model(Path("lambda.h5"))
    _as_keras_2_writes_it("lambda.h5")
    with pytest.raises(TftraceError, match="with that one lambda, under any name"):
        load_model(Path("lambda.h5"))
    x = np.ones((3, 4))
    for custom in ("lambdas", "lambdas:capped"):
        loaded = load_model(Path("lambda.h5"), custom=[custom])
        np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_fold_copies_a_lambda_but_saves_no_file_that_keras_cannot_read(tmp_path, monkeypatch):
    from tftrace.folding.fold import fold

    stack = [layers.Dense(2, activation=lambda x: x * 0.5), layers.Dense(2, name="d")]
    model = keras.Sequential([keras.Input((4,)), *stack, layers.BatchNormalization()])
    result = fold(model, np.ones((3, 4)))
    assert len(result.folded) == 1
    assert result.max_rel_error < 1e-6
    monkeypatch.chdir(tmp_path)
    model.save("lambda.h5")
    _as_keras_2_writes_it("lambda.h5")
    (tmp_path / "lambdas.py").write_text("capped = lambda x: x * 0.5\n")
    arguments = ["fold", "lambda.h5", "-o", "f.keras", "--custom", "lambdas"]
    done = CliRunner().invoke(app, arguments)
    assert "has a lambda as an activation" in str(done.exception)
    assert not Path("f.keras").exists()


def test_fold_rebuilds_with_the_function(swoosh):
    done = CliRunner().invoke(app, ["fold", "own.h5", "-o", "f.keras", "--custom", "swooshes"])
    assert done.exit_code == 0, done.output
    folded = load_model(Path("f.keras"), custom=["swooshes"])
    assert not [layer for layer in folded.layers if "norm" in layer.name]


@pytest.fixture
def legacy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `.h5` of Keras 2 with an argument that Keras 3 dropped."""
    tf_keras = pytest.importorskip("tf_keras")
    monkeypatch.chdir(tmp_path)
    rnn, dense = tf_keras.layers.LSTM(5, input_shape=(10, 4)), tf_keras.layers.Dense(2)
    tf_keras.Sequential([rnn, dense]).save("rnn.h5")
    return Path("rnn.h5")


def test_the_message_names_keras_2(legacy):
    with pytest.raises(TftraceError, match=r"no time_major of LSTM.*--keras 2"):
        load_model(legacy)


def test_count_takes_it_by_keras_2(legacy):
    arguments = ["count", "rnn.h5", "--keras", "2", "--rule", "macs", "--json", "counts.json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    # By hand: 10 steps x 4 gates x 5 units x (4 inputs + 5 units), and 5 x 2.
    assert json.loads(Path("counts.json").read_text())["totals"]["macs"] == 10 * 4 * 5 * 9 + 10


@pytest.fixture(scope="module")
def stateful():
    """A stateful RNN, which fixes its batch."""
    return keras.Sequential(
        [keras.Input(batch_shape=(4, 10, 8)), layers.LSTM(32, stateful=True), layers.Dense(1)]
    )


def test_the_batch_of_the_file_is_taken(stateful):
    macs = 10 * 4 * 32 * (8 + 32) + 32
    assert tftrace.count(stateful).totals["macs"] == macs
    x = np.ones((40, 10, 8), "float32")
    profile = tftrace.profile(stateful, x, repeats=0, calibrate=False)
    assert profile.run["batch_size"] == 4
    assert profile.run["steps"] == 10
    assert profile.layers["macs"].sum() == macs


def test_data_that_it_does_not_divide_is_refused(stateful):
    with pytest.raises(TftraceError, match="batches of exactly 4 samples; the data has 42"):
        tftrace.profile(stateful, np.ones((42, 10, 8), "float32"), repeats=0, calibrate=False)


def test_an_index_out_of_range_is_one_line():
    model = keras.Sequential([keras.Input((3,), dtype="int32"), layers.Embedding(5, 4)])
    wrong = np.array([[0, 1, 2], [3, 4, 99]] * 4, "int32")
    with pytest.raises(TftraceError, match=r"fails on this data: .*99"):
        tftrace.profile(model, wrong, repeats=0, calibrate=False, batch_size=2)


def test_a_file_of_the_other_keras_says_which_wrote_it(tmp_path):
    tf_keras = pytest.importorskip("tf_keras")
    old, new = tmp_path / "old.keras", tmp_path / "new.keras"
    parts = [tf_keras.layers.InputLayer((4,)), tf_keras.layers.BatchNormalization()]
    tf_keras.Sequential(parts).save(old)
    keras.Sequential([keras.Input((4,)), layers.Dense(2)]).save(new)
    with pytest.raises(TftraceError, match=r"saved by Keras 2\.[\d.]+, and .* add --keras 2"):
        load_model(old)
    with pytest.raises(TftraceError, match=r"saved by Keras 3\.[\d.]+, and .* leave --keras 2"):
        load_model(new, keras=2)
