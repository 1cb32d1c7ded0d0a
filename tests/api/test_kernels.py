"""``tftrace run --kernels`` as a user runs it, with oneDNN on and off, whatever the tests have."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from tftrace.api.load import load

layers = keras.layers

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="oneDNN's switch is for x86"
)


def tftrace(folder: Path, onednn: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tftrace", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
        env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": onednn},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Two branches, so that kernels would run at one time if they could."""
    folder = tmp_path_factory.mktemp("files")
    x = keras.Input((16, 16, 3), name="image")
    left = layers.Conv2D(32, 3, padding="same", name="left")(x)
    right = layers.Conv2D(32, 1, name="right")(x)
    y = layers.Add(name="sum")([left, right])
    y = layers.Dense(5, name="head")(layers.Flatten(name="flat")(y))
    keras.Model(x, y, name="net").save(folder / "m.keras")
    np.save(folder / "x.npy", np.random.default_rng(0).random((24, 16, 16, 3), np.float32))
    return folder


RUN = (
    *("run", "m.keras", "x.npy", "--kernels", "--batch-size", "4"),
    *("--repeats", "0", "--no-calibrate"),
)


@pytest.fixture(scope="module")
def on(files: Path):
    """What was printed, and the run opened again."""
    text = tftrace(files, "1", *RUN, "--out", "on", "--json", "on.json", "--csv", "tables")
    return text, load(files / "on")


def test_each_kernel_has_its_implementation_and_its_shape(on) -> None:
    _, profile = on
    table = profile.primitives
    computes = table[table["role"] == "compute"].set_index("layer")
    # mb4: the batch size; the rest is the layer's own.
    expected = {
        "net/left": "mb4_ic3oc32_ih16oh16kh3sh1dh0ph1_iw16ow16kw3sw1dw0pw1",
        "net/right": "mb4_ic3oc32_ih16oh16kh1sh1dh0ph0_iw16ow16kw1sw1dw0pw0",
        "net/head": "mb4ic8192oc5",
    }
    for layer, problem in expected.items():
        assert computes.loc[layer, "problem"] == problem
        assert computes.loc[layer, "implementation"]
        # Four batches were logged, and there is one kernel per batch.
        assert computes.loc[layer, "calls"] == computes.loc[layer, "kernel_calls"] == 4
    # 6 batches were traced, so the pass takes 6 / 4 of what was logged.
    assert (table["pass_ms"] == table["busy_ms"] / 4 * 6).all()


def test_every_primitive_is_joined(on) -> None:
    text, profile = on
    assert profile.onednn["unjoined"] == []
    joined = int(profile.primitives["calls"].sum())
    assert f"{joined} of {joined} primitives joined to a kernel" in " ".join(text.split())


def test_reorders_stand_on_the_layer_that_they_serve(on) -> None:
    """A convolution that reads blocked weights had them reordered, on every batch."""
    _, profile = on
    table = profile.primitives
    blocked = table[
        (table["primitive"] == "convolution") & table["layout"].str.contains("wei .*[A-Z]")
    ]
    reorders = table[table["role"] == "reorder of weights"].set_index("layer")
    assert sorted(reorders.index) == sorted(blocked["layer"])
    weights = {"net/left": "32x3x3x3", "net/right": "32x3x1x1"}
    for layer, row in reorders.iterrows():
        assert row["problem"] == weights[layer]
        assert row["variable"]
        assert row["calls"] == 4


def test_ops_have_two_more_columns_and_are_otherwise_the_same(on) -> None:
    _, profile = on
    ops = profile.ops.set_index(["op", "op_type"])
    own = profile.primitives[profile.primitives["role"] == "compute"]
    for row in own.itertuples():
        assert ops.loc[(row.op, row.op_type), "implementation"] == row.implementation
        assert ops.loc[(row.op, row.op_type), "layout"] == row.layout
    others = ops[~ops.index.isin(own.set_index(["op", "op_type"]).index)]
    assert others["implementation"].isna().all()


def test_files_have_the_table(on, files: Path) -> None:
    _, profile = on
    told = json.loads((files / "on.json").read_text())["onednn"]
    assert told["reason"] is None
    assert len(told["primitives"]) == len(profile.primitives)
    table = pd.read_csv(files / "tables" / "primitives.csv")
    assert list(table.columns) == list(profile.primitives.columns)


def test_the_report_shows_it_later(on, files: Path) -> None:
    text = " ".join(tftrace(files, "1", "report", "on").split())
    assert "primitives joined to a kernel" in text


def test_where_onednn_is_off_one_line_says_so(files: Path) -> None:
    text = " ".join(tftrace(files, "0", *RUN, "--out", "off").split())
    assert "oneDNN is off" in text
    profile = load(files / "off")
    assert len(profile.primitives) == 0
    assert "implementation" not in profile.ops.columns
    assert "primitives" not in profile.table_names


def test_a_plain_run_knows_nothing_of_it(run_of) -> None:
    profile = run_of("small")
    assert profile.onednn is None
    assert "onednn" not in profile.to_dict()
    assert list(profile.primitives.columns)[:3] == ["op", "op_type", "layer"]


def test_a_second_run_that_fails_does_not_lose_the_first(run_of, tmp_path, monkeypatch) -> None:
    from tftrace.api import kernels

    monkeypatch.setattr(kernels, "is_onednn", lambda _: True)
    profile = load(run_of("small").save(tmp_path))
    found = kernels.with_kernels(profile, tmp_path / "gone.keras", tmp_path / "gone.npy")
    assert "the second run failed" in found.onednn["reason"]
    assert "gone.keras" in found.onednn["reason"]
    assert "second run failed" in str(found)
