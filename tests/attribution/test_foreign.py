"""Traces without a manifest: layers by name, and what is uncertain about it."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tftrace.api.load import load_foreign
from tftrace.attribution.by_name.model_file import LayerNode, read_layers
from tftrace.attribution.by_name.scopes import BY_NAME, match_operations
from tftrace.attribution.checks import checks
from tftrace.errors import TftraceError


def layers(*names: str | tuple, root: str = "net") -> LayerNode:
    """A model of layers; a tuple is a nested model: its name, then its layers."""
    children = tuple(
        layers(*n[1:], root=n[0]) if isinstance(n, tuple) else LayerNode(n, "Layer") for n in names
    )
    return LayerNode(root, "Functional", children)


def matched(model: LayerNode, *names: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    found = match_operations(model, names)
    return {name: (m.path, m.rivals) for name, m in found.items()}


def test_the_name_as_it_is_written_counts():
    model = layers("conv", "dense")
    assert matched(model, "net/conv/Conv2D", "net/dense/MatMul", "other/x/Add") == {
        "net/conv/Conv2D": ("net/conv", ()),
        "net/dense/MatMul": ("net/dense", ()),
    }


def test_a_number_that_no_layer_has_is_taken_off():
    assert matched(layers("conv", "dense"), "net_1/conv_3/Conv2D") == {
        "net_1/conv_3/Conv2D": ("net/conv", ())
    }


def test_renumbered_scopes_are_recognised_by_the_layers_they_would_leave_out():
    # Taken literally nothing would be `conv2d`, and two scopes `conv2d_1`.
    found = matched(
        layers("conv2d", "conv2d_1"), "net_1/conv2d_1/BiasAdd", "net_1/conv2d_1_2/convolution"
    )
    assert found["net_1/conv2d_1/BiasAdd"] == ("net/conv2d", ("net/conv2d_1",))
    assert found["net_1/conv2d_1_2/convolution"] == ("net/conv2d_1", ())


def test_what_could_be_either_says_so():
    model = layers("dense", "dense_1")
    found = match_operations(model, ["net/dense/MatMul", "net/dense_1/MatMul"])
    assert found["net/dense/MatMul"].note == BY_NAME
    assert found["net/dense_1/MatMul"].path == "net/dense_1"
    assert found["net/dense_1/MatMul"].note == f"{BY_NAME}; could be net/dense"


def test_nested_models_gradients_and_loops_are_looked_through():
    model = layers(("block", "conv", "dense"), "dense", "lstm")
    found = matched(
        model,
        "net/block_1/conv_1/Conv2D",
        "net/block_1/dense_1/MatMul",
        "gradient_tape/net/dense/MatMul/MatMul",
        "net/lstm/while/body/_1/net/lstm/while/cell/MatMul",
        "net/Add",
    )
    assert {name: path for name, (path, _) in found.items()} == {
        "net/block_1/conv_1/Conv2D": "net/block/conv",
        "net/block_1/dense_1/MatMul": "net/block/dense",
        "gradient_tape/net/dense/MatMul/MatMul": "net/dense",
        "net/lstm/while/body/_1/net/lstm/while/cell/MatMul": "net/lstm",
        "net/Add": "net",
    }


def test_a_keras_file_is_read_without_keras(tmp_path: Path):
    config = {
        "class_name": "Functional",
        "config": {
            "name": "net",
            "layers": [
                {"class_name": "InputLayer", "config": {"name": "input"}},
                {
                    "class_name": "Bidirectional",
                    "config": {
                        "name": "both",
                        "layer": {"class_name": "GRU", "config": {"name": "g"}},
                    },
                },
            ],
        },
    }
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    assert read_layers(path) == LayerNode(
        "net", "Functional", (LayerNode("both", "Bidirectional", (LayerNode("g", "GRU"),)),)
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.keras", None, "no model file"),
        ("noise.h5", b"not a model", "neither"),
    ],
)
def test_what_is_no_model_is_refused_in_words(
    name: str, content: bytes | None, message: str, tmp_path: Path
):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TftraceError, match=message):
        read_layers(path)


def test_a_folder_without_a_trace_is_refused(tmp_path: Path):
    with pytest.raises(TftraceError, match="no trace"):
        load_foreign(tmp_path)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, and a trace of its predict that TensorFlow's profiler took."""
    import keras
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("elsewhere")
    layer = keras.layers
    model = keras.Sequential(
        [
            keras.Input((48, 48, 4)),
            layer.Conv2D(4, 1, name="conv2d"),
            layer.MaxPooling2D(1, name="between"),
            layer.Conv2D(96, 5, padding="same", name="conv2d_1"),
            layer.Activation("tanh", name="squash"),
        ],
        name="net",
    )
    for name in ("model.keras", "model.h5"):
        model.save(folder / name)
    data = np.ones((48, 48, 48, 4), "float32")
    model.predict(data, verbose=0)
    tf.profiler.experimental.start(str(folder / "logs"))
    model.predict(data, verbose=0)
    tf.profiler.experimental.stop()
    return folder


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_trace_of_tensorflows_own_profiler_is_matched_to_the_right_layers(
    elsewhere: Path, name: str
):
    profile = load_foreign(elsewhere / "logs", elsewhere / name)
    rows = profile.layers.set_index("path")
    assert rows["wall_ms"].idxmax() == "net/conv2d_1"
    assert rows["wall_ms"]["net/conv2d_1"] > 5 * rows["wall_ms"]["net/conv2d"]
    assert rows["note"]["net/squash"] == BY_NAME
    assert "could be net/conv2d_1" in rows["note"]["net/conv2d"]
    noted = profile.ops[profile.ops["layer"].notna()]
    assert noted["note"].str.startswith(BY_NAME).all()
    assert rows["macs"].isna().all()
    assert rows["expected_calls"].isna().all()
    wall = profile.wall.set_index("component")["wall_ms"]
    assert wall.sum() == pytest.approx(profile._join.timeline.length / 1e9, rel=1e-3)
    assert wall["layers"] == pytest.approx(rows["wall_ms"].sum(), rel=1e-6)
    assert "taken elsewhere" in " ".join(str(profile).split())


def test_without_a_model_no_row_has_a_layer(elsewhere: Path):
    profile = load_foreign(elsewhere / "logs")
    assert not len(profile.layers)
    assert profile.ops["layer"].isna().all()
    assert "Conv2D" in str(profile)


def test_reading_a_foreign_trace_does_not_import_tensorflow(elsewhere: Path):
    code = (
        "import sys; from tftrace.api.load import load_foreign; "
        f"str(load_foreign({str(elsewhere / 'logs')!r}, {str(elsewhere / 'model.h5')!r})); "
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_self_checks_of_a_trace_without_a_graph(elsewhere: Path):
    profile = load_foreign(elsewhere / "logs")
    names = [*profile.checks]
    assert list(profile.checks.values()) == [None, None, None]
    join = profile._join
    join.totals.wall[0] += 3e9  # ps
    (wall,) = (check.fault for check in checks(join) if check.fault)
    assert wall == "the parts of the wall of /host:CPU differ from it by 3 ms"
    join.row_of = join.row_of.copy()
    join.row_of[:2] = -1
    assert [check.name for check in checks(join) if check.fault] == names[:2]
