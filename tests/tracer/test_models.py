"""Everything that is not a loadable Keras model gets an answer of one line."""

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from tftrace.errors import TftraceError
from tftrace.tracer.loading.models import load_model

HERE = Path(__file__).parent


def model(*more):
    layers = keras.layers
    return keras.Sequential([keras.Input((4,)), layers.Dense(3, name="d"), *more], name="m")


def saved(path):
    model().save(path)
    return path


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_whole_file_loads_with_its_weights(tmp_path, suffix, random):
    original = model()
    original.save(tmp_path / f"m{suffix}")
    loaded = load_model(tmp_path / f"m{suffix}")
    data = random.normal(size=(3, 4))
    np.testing.assert_array_equal(
        loaded.predict(data, verbose=0), original.predict(data, verbose=0)
    )


def cut(path):
    saved(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def weights_only(path):
    model().save_weights(path.with_suffix(".weights.h5"))
    path.with_suffix(".weights.h5").rename(path)


def not_keras(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no model")


BROKEN = {
    "missing": ("m.keras", lambda path: None, "no model file"),
    "empty": ("m.keras", Path.touch, "is empty"),
    "empty h5": ("m.h5", Path.touch, "is empty"),
    "truncated": ("m.keras", cut, "not a whole .keras file"),
    "truncated h5": ("m.h5", cut, "truncated"),
    "not a zip": ("m.keras", lambda path: path.write_text("hello"), "not a whole .keras"),
    "another zip": ("m.keras", not_keras, "does not load|holds no Keras model"),
    "another format": ("m.pt", lambda path: path.write_text("x"), "unknown model format"),
    "weights only": ("m.h5", weights_only, "weights only"),
    "a folder": ("m", Path.mkdir, "is a folder"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_model_is_said_in_one_line(tmp_path, case):
    name, make, message = BROKEN[case]
    path = tmp_path / name
    make(path)
    with pytest.raises(TftraceError, match=message) as caught:
        load_model(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def with_custom_layer(tmp_path, monkeypatch):
    """A file that uses a class Keras does not know by itself."""
    monkeypatch.syspath_prepend(HERE)
    import custom_layers

    path = tmp_path / "custom.keras"
    model(custom_layers.Doubler(name="twice")).save(path)
    # Another program wrote it: this one cannot find the class by its module.
    _rewrite_config(path, "custom_layers", "their_private_module")
    return path


def _rewrite_config(path, old, new):
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["config.json"] = parts["config.json"].replace(old.encode(), new.encode())
    json.loads(parts["config.json"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def test_an_unknown_custom_layer_asks_for_its_module(with_custom_layer):
    with pytest.raises(TftraceError, match="--custom"):
        load_model(with_custom_layer)


@pytest.mark.parametrize("custom", ["custom_layers", "custom_layers:Doubler"])
def test_custom_brings_the_class(with_custom_layer, custom):
    loaded = load_model(with_custom_layer, custom=[custom])
    assert type(loaded.get_layer("twice")).__name__ == "Doubler"


@pytest.mark.parametrize("custom", ["no_such_module", "custom_layers:NoSuchClass"])
def test_a_mistyped_custom_is_named(with_custom_layer, custom):
    with pytest.raises(TftraceError, match=f"--custom {custom}"):
        load_model(with_custom_layer, custom=[custom])


def test_python_code_in_the_file_needs_unsafe(tmp_path):
    path = tmp_path / "lambda.keras"
    model(keras.layers.Lambda(lambda x: x + 1, output_shape=(3,), name="f")).save(path)
    with pytest.raises(TftraceError, match="--unsafe"):
        load_model(path)
    assert load_model(path, unsafe=True).get_layer("f") is not None
