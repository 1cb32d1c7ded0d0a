"""Comparison of models, settings and runs."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from rich.console import Console

from tftrace.api.load import load
from tftrace.comparison.compare import Side, compare_models, compare_runs, parse_settings
from tftrace.errors import TftraceError
from tftrace.report.terminal.compare import print_comparison

layers = keras.layers


def network(width: int, batch_norm: bool = False):
    model = keras.Sequential(name=f"net{width}")
    model.add(keras.Input((16, 16, 3)))
    model.add(layers.Conv2D(width, 3, padding="same", name="conv"))
    if batch_norm:
        model.add(layers.BatchNormalization(name="bn"))
    model.add(layers.Flatten(name="flatten"))
    model.add(layers.Dense(2, name="dense"))
    return model


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    x = np.random.default_rng(0).random((64, 16, 16, 3), dtype=np.float32)
    a, b = Side("small", network(2)), Side("large", network(256, batch_norm=True))
    return compare_models(a, b, x, pairs=6, out=tmp_path_factory.mktemp("out"))


def test_the_ratio_is_that_of_what_was_measured_in_turn(comparison):
    assert comparison.interleaved
    assert comparison.ratio.pairs == 6
    assert comparison.ratio.ratio == pytest.approx(comparison.medians[1] / comparison.medians[0])


def test_layers_are_matched_below_the_model(comparison):
    table = comparison.layers.set_index("path")
    assert list(table.index) == ["", "conv", "bn", "flatten", "dense"]
    assert table.loc["bn", "side"] == "B"
    assert table.loc["conv", "side"] == "both"
    # 16 x 16 positions, 3 x 3 window, 3 channels.
    assert table.loc["conv", "a_mults"] == 16 * 16 * 27 * 2
    assert table.loc["conv", "b_mults"] == 16 * 16 * 27 * 256
    assert table.loc["conv", "difference_ms"] > 0


def test_layers_that_keras_named_are_matched_and_one_named_like_the_model_is_a_layer(
    comparison, capsys
):
    def unnamed(width):
        model = keras.Sequential([keras.Input((16, 16, 3))], name="net")
        model.add(layers.Conv2D(width, 3))
        model.add(layers.Flatten())
        model.add(layers.Dense(2, name="net"))
        return model

    x = np.zeros((32, 16, 16, 3), np.float32)
    found = compare_models(Side("a", unnamed(2)), Side("b", unnamed(2)), x, pairs=1)
    table = found.layers
    assert table["side"].eq("both").all()
    assert table["type"].tolist() == ["Sequential", "Conv2D", "Flatten", "Dense"]
    assert table["path"].iloc[0] == ""
    assert table["path"].iloc[3] == table["a_path"].iloc[3] == "net"
    assert table["a_path"].iloc[1] != table["b_path"].iloc[1]
    assert table["a_mults"].tolist() == table["b_mults"].tolist() == [0, 14 * 14 * 27 * 2, 0, 784]
    print_comparison(found, Console(width=100))
    printed = capsys.readouterr().out
    # The model itself did nothing on either side; the layer that has its name did.
    assert "(the model)" not in printed
    assert sum(line.startswith("net ") for line in printed.splitlines()) == 1
    assert f"{table['path'].iloc[1]} (A: {table['a_path'].iloc[1]})" in printed


def test_added_kernels_are_listed(comparison):
    kernels = comparison.kernels.set_index("op_type")
    assert kernels.loc["Rsqrt"].tolist() == [0, 1]
    assert "Conv2D" not in kernels.index


def test_two_runs_say_that_they_were_measured_apart(comparison):
    a, b = (load(p.folder) for p in comparison.profiles)
    apart = compare_runs(a, b)
    assert not apart.interleaved
    assert apart.ratio is None
    assert "not measured often enough" in apart.verdict
    assert apart.to_dict()["layers"][1]["path"] == "conv"


def test_one_object_cannot_be_both_sides():
    model = network(2)
    with pytest.raises(TftraceError, match="load the model twice"):
        compare_models(Side("a", model), Side("b", model, jit="on"), np.zeros((4, 16, 16, 3)))


def test_settings():
    assert parse_settings(["jit=on", "batch-size=64"]) == {"jit": "on", "batch-size": "64"}
    for wrong in ("jit", "jit=maybe", "batch-size=0", "lunch=1"):
        with pytest.raises(TftraceError, match="--set"):
            parse_settings([wrong])


def test_runs_of_two_ways_are_not_compared():
    fit, predict = (SimpleNamespace(way=way, folder=way) for way in ("fit", "predict"))
    with pytest.raises(TftraceError, match="fit is a run of fit and predict one of predict"):
        compare_runs(fit, predict)
