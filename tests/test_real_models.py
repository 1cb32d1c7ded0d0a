"""Models that people ship in packages: each runs, or says in one line why it cannot.

Nothing of them is kept: each wheel is fetched into a temporary folder.
"""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import tftrace

pytestmark = pytest.mark.network

# What deeplc gives Keras for the activation that its files call "<lambda>".
LRELU = "import keras\nlrelu = lambda x: keras.activations.relu(x, 0.1, max_value=20.0)\n"


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``package(requirement)``: the folder that its wheel was unpacked into."""

    @cache
    def fetched(requirement: str) -> Path:
        folder = tmp_path_factory.mktemp("package")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", requirement]
        subprocess.run([*command, "-d", folder], check=True, timeout=300)
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        return folder

    return fetched


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    def run(*arguments: object) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "tftrace", *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=900,
        )

    return run


@pytest.fixture
def macs(command, tmp_path: Path) -> Callable[..., int | None]:
    """Total of ``tftrace count``."""

    def counted(*arguments: object) -> int | None:
        done = command("count", *arguments, "--json", "counts.json", "--quiet")
        assert done.returncode == 0, done.stderr
        return json.loads((tmp_path / "counts.json").read_text())["totals"]["macs"]

    return counted


@pytest.fixture
def ran(command, tmp_path: Path) -> Callable[..., tftrace.Profile]:
    """The profile of ``tftrace run`` on some data."""

    def run(model: Path, data: object, *options: object) -> tftrace.Profile:
        if isinstance(data, dict):
            np.savez(tmp_path / "x.npz", **data)
        else:
            np.save(tmp_path / "x.npy", data)
        file = "x.npz" if isinstance(data, dict) else "x.npy"
        fixed = ("--repeats", "1", "--no-calibrate", "--out", "runs")
        done = command("run", model, file, *fixed, *options)
        assert done.returncode == 0, done.stderr
        profile = tftrace.load(tmp_path / "runs")
        assert not [fault for fault in profile.checks.values() if fault]
        return profile

    return run


def test_fer(package, macs, command, ran, random):
    """Faces: saved by Keras 1 or 2, 14 batch norms, separable convolutions."""
    model = package("fer") / "fer" / "data" / "emotion_model.hdf5"
    assert macs(model) == macs(model, "--keras", "2") == 10_163_392
    done = command("fold", model, "-o", "folded.keras")
    assert "folded 14 of 14 batch norms" in done.stdout
    profile = ran(model, random.random((40, 64, 64, 1), "float32"))
    assert profile.layers["macs"].sum() == 10_163_392


def test_spliceai(package, macs):
    """Splicing of RNA: sequences of any length."""
    model = package("spliceai") / "spliceai" / "models" / "spliceai1.h5"
    assert macs(model, "--input-shape", "10100,4") == 7_003_107_200


DEEPLC = "full_hc_PXD005573_mcp_8c22d89667368f2f02ad996469ba157e.hdf5"


def test_deeplc(package, macs, command, ran, random, tmp_path):
    """Chromatography: four inputs, an activation that its file calls <lambda>, no batch norm."""
    folder = package("deeplc<3") / "deeplc" / "mods"
    model = folder / DEEPLC
    done = command("count", model)
    assert done.returncode == 2
    assert "with that one lambda, under any name" in done.stderr
    (tmp_path / "deeplc_activation.py").write_text(LRELU)
    custom = ("--custom", "deeplc_activation")
    sums = {path.name: macs(path, *custom) for path in sorted(folder.glob("*.hdf5"))}
    assert 47_253_104 in sums.values(), sums
    done = command("fold", model, "-o", "folded.keras", *custom)
    assert done.returncode == 2
    assert "nothing to fold" in done.stderr
    from tftrace.tracer.loading.models import load_model

    sys.path.insert(0, str(tmp_path))
    inputs = load_model(model, custom=["deeplc_activation"]).inputs
    sys.path.remove(str(tmp_path))
    assert len(inputs) == 4
    data = {t.name: random.random((64, *t.shape[1:]), "float32") for t in inputs}
    assert ran(model, data, *custom).layers["macs"].sum() == sums[DEEPLC]


def test_basic_pitch(package, macs, ran, random):
    """Music: a SavedModel without Keras layers, at its own input of 43,844 samples."""
    model = package("basic-pitch") / "basic_pitch" / "saved_models" / "icassp_2022" / "nmp"
    assert macs(model) == 524_079_648
    profile = ran(model, random.random((4, 43_844, 1), "float32"), "--batch-size", "2")
    assert profile.layers["macs"].sum() == 524_079_648
    scopes = profile.layers[profile.layers["type"] == "name scope"]
    assert scopes["wall_ms"].sum() > 0.99 * profile.layers["wall_ms"].sum()


def test_seeker(package, macs, command, ran, random):
    """DNA: an LSTM that Keras 3 does not load, and the message says what does."""
    model = package("seeker") / "seeker" / "models" / "MatModel0.h5"
    done = command("count", model)
    assert done.returncode == 2
    assert done.stderr.strip().endswith("with --keras 2")
    # 1,000 steps x 4 gates x 5 units x (4 + 5), and the two dense outputs' 10.
    assert macs(model, "--keras", "2") == 180_010
    profile = ran(model, random.random((64, 1000, 4), "float32"), "--keras", "2")
    assert profile.layers["macs"].sum() == 180_010


TEXT = ["def f(x):\n    return x + 1\n", "int main() { return 0; }"] * 20


@pytest.mark.parametrize("version", [1, 2, 3])
def test_quickspacer(package, ran, version):
    """Korean spacing: text in, text out, as long as it comes."""
    resources = package("quickspacer") / "quickspacer" / "resources"
    profile = ran(resources / "default_saved_model" / str(version), np.array(["가나다라마바"] * 40))
    convolutions = profile.ops[profile.ops["op_type"].str.contains("Conv2D")]
    assert len(convolutions)
    assert convolutions["layer"].notna().all()
    # Its shapes follow the length of the text.
    assert profile.layers["macs"].isna().any()


def test_guesslang(package, ran):
    """Source code: an Estimator of TensorFlow 1, whose graph is the signature's own."""
    profile = ran(package("guesslang") / "guesslang" / "data" / "model", np.array(TEXT))
    paths = profile.layers["path"]
    assert paths.str.contains("dnn/hiddenlayer_0").any()
    assert profile.layers["macs"].isna().any()
