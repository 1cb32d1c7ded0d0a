"""Times over batch sizes, of estimates made by hand, and on the command line."""

import json
from math import inf

import keras
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tftrace.api.estimate import estimate_batches
from tftrace.cli import app
from tftrace.errors import TftraceError
from tftrace.estimation.curve import curve_of
from tftrace.estimation.kernels import Estimate
from tftrace.estimation.network import NetworkEstimate
from tftrace.machine.calibrate import read_calibration
from tftrace.machine.model import MachineModel


def at(batch: int, total: float, **layers: float) -> NetworkEstimate:
    table = pd.DataFrame(
        {"path": list(layers), "type": "Some", "macs": 0, "ms": list(layers.values())}
    )
    return NetworkEstimate(Estimate(total, total, total, 0.0), table, batch, 1, ())


# 3 ms + 2 ms x batch; 1 ms x batch; nothing; not known at 8.
CURVE = curve_of(
    {
        batch: at(batch, 10 + 2 * batch, a=3 + 2 * batch, b=batch, c=0.0, d=d)
        for batch, d in ((8, np.nan), (1, 1.0), (64, 2.0))
    }
)


def test_what_is_fixed_and_what_a_sample_costs() -> None:
    table = CURVE.layers.set_index("path")
    assert table.loc["a", ["fixed_ms", "sample_ms"]].tolist() == pytest.approx([3, 2])
    assert table.loc["b", ["fixed_ms", "sample_ms"]].tolist() == pytest.approx([0, 1], abs=1e-9)
    assert table.loc["c", ["fixed_ms", "sample_ms"]].tolist() == [0, 0]
    assert table.loc["d", ["fixed_ms", "sample_ms", "bend"]].isna().all()


def test_where_a_larger_batch_gains_no_more() -> None:
    """Per sample, a takes 5, 2.375 and 2.047 ms; 1.1 x 2.047 is 2.25: at 64. b takes 1 always."""
    table = CURVE.layers.set_index("path")
    assert table.loc[["a", "b"], "bend"].tolist() == [64, 1]
    assert CURVE.table["batch"].tolist() == [1, 8, 64]
    # (10 + 2 x 64) / 64
    assert CURVE.table["sample_ms"].iloc[-1] == 2.15625
    assert CURVE.bend == 64
    assert CURVE.table.attrs["units"] == {
        **{"batch": "1", "ms": "ms", "low_ms": "ms", "high_ms": "ms", "sample_ms": "ms/sample"}
    }


def test_growth_slower_than_the_batch_has_no_negative_cost() -> None:
    """A cache that no longer holds: 1, 20 and 400 ms are below any line with a fixed part."""
    (row,) = (
        curve_of({b: at(b, ms, a=ms) for b, ms in ((1, 1.0), (8, 20.0), (64, 400.0))})
        .layers[["fixed_ms", "sample_ms"]]
        .to_numpy()
    )
    assert row[0] == 0
    assert 1 < row[1] < 400 / 64


def test_one_size_is_no_curve() -> None:
    with pytest.raises(ValueError, match="two batch sizes"):
        curve_of({1: at(1, 1.0)})
    fixed = keras.Sequential([keras.Input(batch_shape=(4, 3)), keras.layers.Dense(2)])
    with pytest.raises(TftraceError, match="batches of exactly 4 samples"):
        estimate_batches(fixed, lambda batch: [(batch, 3)], [1, 2])


@pytest.fixture
def files(tmp_path, monkeypatch, priced):
    monkeypatch.chdir(tmp_path)
    keras.Sequential([keras.Input((1000,)), keras.layers.Dense(1000)]).save("m.keras")
    (tmp_path / "other.json").write_text(json.dumps(priced.to_dict()))
    return tmp_path


@pytest.fixture
def priced() -> MachineModel:
    from test_estimate import priced

    return priced()


def test_another_machines_calibration_on_the_command_line(files, priced) -> None:
    assert read_calibration(files / "other.json") == priced
    words = ["estimate", "m.keras", "--calibration", "other.json"]
    done = CliRunner().invoke(app, [*words, "--batch", "10,100", "--json", "c.json"])
    assert done.exit_code == 0, done.output
    assert "m.keras on made by hand" in done.output
    curve = json.loads((files / "c.json").read_text())
    (dense,) = (row for row in curve["layers"] if row["type"] == "Dense")
    # 1e6 MACs per sample at 4e-11 s; its 10 us, and dispatch twice (MatMul, BiasAdd or fused).
    assert dense["sample_ms"] == pytest.approx(0.04, rel=0.05)
    assert 0 < dense["fixed_ms"] < inf
    done = CliRunner().invoke(app, [*words, "--batch-size", "10"])
    assert "for 1 x 10 samples" in done.output


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 1}', "nothing"])
def test_what_is_no_calibration_is_refused(files, content) -> None:
    (files / "bad.json").write_text(content)
    with pytest.raises(TftraceError, match=r"bad\.json is no calibration"):
        read_calibration(files / "bad.json")


def test_a_calibration_without_single_kernels_is_refused(files, priced) -> None:
    (files / "short.json").write_text(json.dumps(priced.to_dict() | {"kernels": {}}))
    with pytest.raises(TftraceError, match="calibrate --full --export"):
        read_calibration(files / "short.json")
