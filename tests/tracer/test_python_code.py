"""No code of a model file runs unless asked for, not under Keras 2 either."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tftrace.errors import TftraceError
from tftrace.tracer.loading.models import load_model
from tftrace.tracer.loading.python_code import python_inside

tf_keras = pytest.importorskip("tf_keras")

FILES = ["evil.h5", "evil.keras", "evil"]


@pytest.fixture(scope="module")
def evil(tmp_path_factory) -> Path:
    """Models whose Lambda leaves a file behind when it runs; `ran` is that file."""
    folder = tmp_path_factory.mktemp("evil")
    ran = folder / "ran"
    layers = tf_keras.layers
    # The name is a constant of the bytecode, so that it is there wherever the code runs.
    act = eval(f"lambda x: (open({str(ran)!r}, 'w').close(), x)[1]")
    model = tf_keras.Sequential([layers.Input((4,)), layers.Lambda(act), layers.Dense(2)])
    for name in FILES:
        model.save(folder / name)
    plain = tf_keras.Sequential(
        [layers.Input((4,)), layers.Dense(2, activation="relu"), layers.BatchNormalization()]
    )
    plain.compile("adam", "mse")
    for name in ("plain.h5", "plain.keras", "plain"):
        plain.save(folder / name)
    ran.unlink(missing_ok=True)
    return folder


@pytest.mark.parametrize("keras", [2, 3])
@pytest.mark.parametrize("name", FILES)
def test_a_lambda_is_refused_and_does_not_run(evil, name, keras):
    if keras == 3 and name == "evil":  # a SavedModel is its graph there; no Python is read
        model = load_model(evil / name, keras=keras)
        (found,) = model.predict(np.ones((1, 4), "float32"), verbose=0).values()
        assert found.shape == (1, 2)
        assert not (evil / "ran").exists()
        return
    with pytest.raises(TftraceError) as error:
        load_model(evil / name, keras=keras)
    assert not (evil / "ran").exists()
    if keras == 2 or name == "evil.h5":  # Keras 3 does not load the others of Keras 2 at all
        assert "--unsafe" in str(error.value)


def test_it_runs_when_it_is_trusted(evil):
    model = load_model(evil / "evil.h5", unsafe=True, keras=2)
    model(np.ones((1, 4), "float32"))
    assert (evil / "ran").exists()
    (evil / "ran").unlink()


@pytest.mark.parametrize("name", ["plain.h5", "plain.keras", "plain"])
def test_a_model_without_code_loads(evil, name):
    assert load_model(evil / name, keras=2).count_params() == 4 * 2 + 2 + 4 * 2


def test_a_file_may_not_import_what_it_likes(evil, tmp_path):
    """Keras 2 imports the module that the configuration names."""
    path = tmp_path / "imports.keras"
    with zipfile.ZipFile(evil / "plain.keras") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                config = json.loads(data)
                config["config"]["layers"][1]["module"] = "antigravity"
                data = json.dumps(config).encode()
            new.writestr(name, data)
    with pytest.raises(TftraceError, match="the module antigravity"):
        load_model(path, keras=2)
    assert python_inside(path, ["antigravity:Layer"]) is None


@pytest.mark.parametrize(
    "config",
    [
        {"class_name": "__lambda__", "config": {"value": "…"}},
        {"class_name": "Lambda", "config": {"function": ["…", None, None]}},
        {"layers": [{"config": {"output_shape_type": "lambda", "output_shape": "…"}}]},
    ],
)
def test_wherever_it_stands(tmp_path, config):
    path = tmp_path / "m.keras"
    for _ in range(200):
        config = {"inner": [config]}
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", json.dumps(config))
    assert python_inside(path) == "the bytecode of a Lambda"


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000])
def test_what_cannot_be_read_is_refused(tmp_path, content):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", content)
    with pytest.raises(TftraceError, match="cannot be read"):
        python_inside(path)
