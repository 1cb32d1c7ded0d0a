"""Data and models that functions of the user's own make, named on the command line."""

import json
import re
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers
from typer.testing import CliRunner

from tftrace.cli import app
from tftrace.errors import TftraceError
from tftrace.tracer.data.sources import data_from
from tftrace.tracer.loading.models import load_model

OWN = """
import keras, numpy as np, tensorflow as tf
X = np.linspace(0, 1, 70 * 8, dtype="float32").reshape(70, 8)
built = []
def array(): return X
def shuffled(): return tf.data.Dataset.from_tensor_slices(X).shuffle(70).batch(16)
def endless(): return shuffled().repeat()
def nothing(): pass
def broken(): raise ValueError("no such bucket")
number = 3
def build():
    layers = [keras.layers.Dense(4, name="d"), keras.layers.BatchNormalization()]
    return keras.Sequential([keras.Input((8,)), *layers])
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of functions, a model, and its weights alone."""
    (tmp_path / "own_functions.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    stack = [layers.Dense(4, name="d"), layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((8,)), *stack])
    model.get_layer("d").bias.assign([1.0, 2.0, 3.0, 4.0])
    model.save("m.keras")
    model.save("m.h5")
    model.save_weights("m.weights.h5")
    return tmp_path


def tftrace(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def run(*arguments: str) -> dict:
    tftrace("run", *arguments, "--repeats", "0", "--no-calibrate", "--json", "r.json", "--quiet")
    return json.loads(Path("r.json").read_text())


@pytest.mark.parametrize(
    ("function", "options", "samples", "batch"),
    [
        ("array", [], 70, 32),
        ("shuffled", [], 70, 16),
        # 16 + 16 + 16 hold 40.
        ("endless", ["--samples", "40"], 48, 16),
    ],
)
def test_run_takes_what_the_function_returns(here, function, options, samples, batch):
    found = run("m.keras", "--data-module", f"own_functions:{function}", *options)
    assert (found["run"]["samples"], found["run"]["batch_size"]) == (samples, batch)
    assert found["run"]["origin"]["data_module"] is True


def test_the_findings_commands_name_the_function():
    from tftrace.findings.basis.commands import TRY_XLA, complete

    origin = {"model": "m.keras", "data": "a:b", "options": [], "data_module": True}
    made = complete(TRY_XLA, {"origin": origin, "batch_size": 32, "jit": False})
    assert made == "tftrace run m.keras --data-module a:b --try jit"


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "m.keras", "m.h5", "--samples", "40"),
        ("compare", "m.keras", "--set", "freeze=on"),
        ("fold", "m.keras", "-o", "folded.keras"),
    ],
    ids=" ".join,
)
def test_both_models_get_the_same_batches_of_a_shuffle(here, arguments):
    tftrace(*arguments, "--data-module", "own_functions:shuffled", "--pairs", "6", "--quiet")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("own_functions", "write it as module:function"),
        ("no_such_module:f", "--data-module no_such_module:f: ModuleNotFoundError"),
        ("own_functions:f", "has no function f"),
        ("own_functions:number", "has no function number"),
        ("own_functions:nothing", "returned nothing"),
        ("own_functions:broken", "ValueError: no such bucket"),
    ],
)
def test_a_function_that_gives_nothing_is_said_in_one_line(here, text, message):
    with pytest.raises(TftraceError, match=re.escape(message)) as caught:
        data_from(None, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "m.keras"), "no data: give"),
        (("run", "m.keras", "x.npy", "--data-module", "a:b"), "not both"),
        (("compare", "m.keras"), "nothing to compare m.keras with"),
        (("fold", "m.h5", "-o", "f.keras", "--keras", "2"), "without --keras 2"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_is_missing_or_too_much_is_said(here, arguments, message):
    done = CliRunner().invoke(app, list(arguments))
    assert isinstance(done.exception, TftraceError)
    assert message in str(done.exception)


# --- a model from a function


@pytest.mark.parametrize("file", ["m.weights.h5", "m.h5", "m.keras"])
def test_the_weights_of_the_file_are_in_the_model_of_the_function(here, file):
    model = load_model(Path(file), built_by="own_functions:build")
    np.testing.assert_array_equal(model.get_layer("d").bias, [1, 2, 3, 4])


def test_every_command_builds_it(here):
    own = ("--model-module", "own_functions:build")
    data = ("--data-module", "own_functions:array")
    found = run("m.weights.h5", *own, *data)
    # By hand: 8 x 4 of the dense layer, one multiplication per element of the norm.
    assert sum(layer["mults"] for layer in found["layers"]) == 8 * 4 + 4
    assert "--model-module" in found["run"]["origin"]["options"]
    assert "36" in tftrace("count", "m.weights.h5", *own)
    tftrace("fold", "m.weights.h5", "-o", "f.keras", *own)
    assert len(load_model(Path("f.keras")).layers) == 1


def test_weights_of_another_model_are_refused(here):
    keras.Sequential([keras.Input((8,)), layers.Dense(5, name="d")]).save_weights("o.weights.h5")
    with pytest.raises(TftraceError, match="does not hold the weights of the model of own_f"):
        load_model(Path("o.weights.h5"), built_by="own_functions:build")
    with pytest.raises(TftraceError, match=r"returned a numpy\.ndarray, no model of keras"):
        load_model(Path("m.weights.h5"), built_by="own_functions:array")


def test_a_model_of_keras_2_asks_for_it(here):
    pytest.importorskip("tf_keras")
    text = "import tf_keras\ndef build(): return tf_keras.Sequential([tf_keras.layers.Dense(1)])\n"
    Path("own_keras_2.py").write_text(text)
    with pytest.raises(TftraceError, match="no model of keras; with --keras 2 it is one"):
        load_model(Path("m.weights.h5"), built_by="own_keras_2:build")


def test_weights_alone_ask_for_the_function(here):
    with pytest.raises(TftraceError, match="weights only; name what builds the model with --model"):
        load_model(Path("m.weights.h5"))


# --- the functions of the documentation

PAGE = Path(__file__).parents[2] / "docs" / "data.md"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page's functions read."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "images").mkdir()
    for number in range(5):
        picture = tf.io.encode_png(np.full((40, 40, 3), number, "uint8"))
        (folder / "images" / f"{number}.png").write_bytes(picture.numpy())
    frame = pd.DataFrame({"age": np.arange(5), "height": np.arange(5) / 2, "name": list("abcde")})
    frame.to_csv(folder / "table.csv")
    frame.to_parquet(folder / "table.parquet")
    with tf.io.TFRecordWriter(str(folder / "table.tfrecord")) as writer:
        for age, height, _ in frame.to_numpy():
            values = tf.train.Feature(float_list=tf.train.FloatList(value=[age, height]))
            features = tf.train.Features(feature={"features": values})
            writer.write(tf.train.Example(features=features).SerializeToString())
    return folder


def two_inputs():
    a, b = keras.Input((1,), name="age"), keras.Input((1,), name="height")
    return keras.Model({"age": a, "height": b}, layers.Concatenate()([a, b]))


MODELS = {
    "images": lambda: keras.Sequential([keras.Input((32, 32, 3)), layers.GlobalAveragePooling2D()]),
    "table": lambda: keras.Sequential([keras.Input((2,)), layers.Dense(3)]),
    "columns": two_inputs,
    "records": lambda: keras.Sequential([keras.Input((2,)), layers.Dense(3)]),
}


@pytest.mark.parametrize("function", MODELS)
def test_the_functions_of_the_page_are_measured(files, function, monkeypatch, tmp_path):
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), flags=re.M | re.S)
    (tmp_path / f"loaders_{function}.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(files)
    MODELS[function]().save(tmp_path / "m.keras")
    found = run(str(tmp_path / "m.keras"), "--data-module", f"loaders_{function}:{function}")
    assert found["run"]["samples"] == 5
