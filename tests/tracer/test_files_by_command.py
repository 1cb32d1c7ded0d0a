"""Kind of file by command: each cell runs, with the work by hand, or is refused with its line."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from tftrace.cli import app
from tftrace.errors import TftraceError
from tftrace.machine.bench.timing import Measured
from tftrace.machine.fits import KernelFit
from tftrace.machine.model import MachineModel

tf_keras = pytest.importorskip("tf_keras")

# 6 x 6 positions x 4 filters x 27 of the convolution, and 144 x 5 of the dense.
MACS = 6 * 6 * 4 * 27 + 144 * 5
MODULE = """
import keras, tf_keras
def net(lib, norm=True):
    layers = lib.layers
    first = lib.Input((8, 8, 3)) if lib is keras else layers.InputLayer((8, 8, 3))
    norms = [layers.BatchNormalization(name="norm")] if norm else []
    conv, dense = layers.Conv2D(4, 3, name="conv"), layers.Dense(5, name="out")
    return lib.Sequential([first, conv, *norms, layers.Flatten(name="flat"), dense], name="net")
def of_3(): return net(keras)
def of_2(): return net(tf_keras)
def of_1(): return net(keras, norm=False)
def rnn(): return keras.Sequential([keras.Input((10, 4)), keras.layers.LSTM(5)])
"""
BY_3, BY_2 = ("--model-module", "nets:of_3"), ("--model-module", "nets:of_2", "--keras", "2")
KERAS_2 = ("--keras", "2")
TO_2, WEIGHTS = "does not load it; add --keras 2", "with --model-module, and its weights are taken"
NO_LAYERS, ONLY_3 = "has no Keras layers to fold", "fold rebuilds a model by Keras 3"
MACHINE = MachineModel(
    machine="made by hand",
    tensorflow="0",
    threads=(0, 0),
    matmul_gmacs={"float32": Measured(40.0, 40.0, 0.0, 5)},
    conv_gmacs=Measured(50.0, 50.0, 0.0, 5),
    bandwidth_gb=((1_000, Measured(10.0, 10.0, 0.0, 5)),),
    dispatch_us=Measured(2.0, 2.0, 0.0, 5),
    predict_batch_ms=Measured(1.0, 1.0, 0.0, 5),
    predict_call_ms=Measured(30.0, 30.0, 0.0, 5),
    kernels={"MatMul": KernelFit({"macs": 4e-11}, 0.0, 0.0, 20)},
)
# File and options: what every command but fold says, and what fold says; None: it runs.
FILES: dict[tuple[str, ...], tuple[str | None, str | None]] = {
    ("3.keras",): (None, None),
    ("3.h5",): (None, None),
    ("2.keras",): (TO_2, WEIGHTS),
    ("2.keras", *KERAS_2): (None, ONLY_3),
    ("2.keras", *BY_3): (None, None),
    ("2.h5",): (None, None),
    ("2.h5", *KERAS_2): (None, ONLY_3),
    ("1.h5",): (WEIGHTS, WEIGHTS),
    ("1.h5", *KERAS_2): (WEIGHTS, ONLY_3),
    ("1.h5", "--model-module", "nets:of_1"): (None, "no batch norm"),
    ("exported",): (None, NO_LAYERS),
    ("exported", *KERAS_2): ("without layers of Keras 2", ONLY_3),
    ("saved_by_2",): (None, NO_LAYERS),
    ("saved_by_2", *KERAS_2): (None, ONLY_3),
    ("3.weights.h5",): ("holds weights only", "holds weights only"),
    ("3.weights.h5", *BY_3): (None, None),
    ("2.weights.h5", *BY_2): (None, ONLY_3),
    ("3.keras", *BY_3): (None, None),
}


def _as_keras_1_wrote_it(file: Path) -> None:
    """Layers by their names and arguments of that time."""
    common = {"trainable": True, "init": "glorot_uniform", "activation": "linear", "bias": True}
    sizes = {"nb_filter": 4, "nb_row": 3, "nb_col": 3, "border_mode": "valid"}
    conv = {"batch_input_shape": [None, 8, 8, 3], "dim_ordering": "tf", **sizes, **common}
    parts = [
        ("Convolution2D", {"name": "conv", **conv}),
        ("Flatten", {"name": "flat", "trainable": True}),
        ("Dense", {"name": "out", "output_dim": 5, "input_dim": 144, **common}),
    ]
    config = [{"class_name": name, "config": given} for name, given in parts]
    weights = {"conv": [(3, 3, 3, 4), (4,)], "flat": [], "out": [(144, 5), (5,)]}
    with h5py.File(file, "w") as written:
        told = {"class_name": "Sequential", "config": config}
        written.attrs.update(keras_version=b"1.2.2", model_config=json.dumps(told).encode())
        group = written.create_group("model_weights")
        group.attrs.update(keras_version=b"1.2.2", layer_names=[n.encode() for n in weights])
        for name, shapes in weights.items():
            layer = group.create_group(name)
            names = [f"{name}_{part}:0" for part, _ in zip("Wb", shapes, strict=False)]
            layer.attrs["weight_names"] = [n.encode() for n in names]
            for each, shape in zip(names, shapes, strict=True):
                layer[each] = np.zeros(shape, "float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("files")
    (made / "nets.py").write_text(MODULE)
    space: dict[str, Any] = {}
    exec(MODULE, space)
    of_3, of_2 = space["of_3"](), space["of_2"]()
    for name in ("3.keras", "3.h5"):
        of_3.save(made / name)
    of_3.export(made / "exported", verbose=False)
    of_3.save_weights(made / "3.weights.h5")
    for name in ("2.keras", "2.h5"):
        of_2.save(made / name)
    of_2.save(made / "saved_by_2", save_format="tf")
    of_2.save_weights(made / "2.weights.h5")
    _as_keras_1_wrote_it(made / "1.h5")
    lstm = tf_keras.layers.LSTM(5, input_shape=(10, 4))
    tf_keras.Sequential([lstm]).save(made / "rnn.h5")
    np.save(made / "x.npy", np.ones((40, 8, 8, 3), "float32"))
    (made / "machine.json").write_text(json.dumps(MACHINE.to_dict()))
    return made


COMMANDS: dict[str, list[str]] = {
    "run": ["x.npy", "--repeats", "0", "--warmup", "0", "--no-calibrate", "--out", "runs"],
    "count": [],
    "estimate": ["--calibration", "machine.json"],
    "fold": ["-o", "folded.keras"],
}
CELLS = [(file, command) for file in FILES for command in COMMANDS]


@pytest.mark.parametrize(("file", "command"), CELLS, ids=lambda v: v if v in COMMANDS else "")
def test_a_cell(folder, monkeypatch, file, command) -> None:
    said, answer = asked(folder, monkeypatch, command, *file, *COMMANDS[command])
    expected = FILES[file][command == "fold"]
    if expected is not None:
        assert expected in said
    elif command == "fold":
        assert [folded["layer"] for folded in answer["folded"]] == ["norm"]
    elif command == "count":
        assert answer["totals"]["macs"] == MACS
    else:
        # An estimate is of a batch of 32.
        batch = 32 if command == "estimate" else 1
        assert sum(row["macs"] or 0 for row in answer["layers"]) == batch * MACS


def asked(folder: Path, monkeypatch: Any, *arguments: str) -> tuple[str, Any]:
    """The line of a refusal, or the answer as JSON."""
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, [*arguments, "--quiet", "--json", "answer.json"])
    if isinstance(done.exception, TftraceError):
        assert len(str(done.exception).splitlines()) == 1
        return str(done.exception), None
    assert done.exit_code == 0, done.exception
    return "", json.loads((folder / "answer.json").read_text())


def test_fold_names_no_keras_2_where_only_its_weights_can_help(folder, monkeypatch) -> None:
    said, _ = asked(folder, monkeypatch, "fold", "rnn.h5", "-o", "folded.keras")
    assert "no time_major of LSTM" in said
    assert said.endswith(WEIGHTS)
    built = ("--model-module", "nets:rnn")
    _, answer = asked(folder, monkeypatch, "count", "rnn.h5", *built)
    # 10 steps x 4 gates x 5 units x (4 inputs + 5 units).
    assert answer["totals"]["macs"] == 10 * 4 * 5 * 9
