"""A run of ``evaluate``: what is loss and what metrics, and that nothing is left behind."""

import keras
import networks
import numpy as np
import pytest
from raw_trace import trace_of, window_ps

import tftrace
from tftrace import TftraceError

BATCH = 32


def classifier():
    """Convolution, batch norm, dropout, dense: variables of every kind that a pass may move."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Conv2D(8, 3, activation="relu", name="conv"),
            layers.BatchNormalization(name="bn"),
            layers.Dropout(0.5, name="drop"),
            layers.Flatten(name="flat"),
            layers.Dense(10, activation="softmax", name="dense"),
        ],
        name="classifier",
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def data():
    return networks.normal(70, 12, 12, 3), np.arange(70) % 10


@pytest.fixture(scope="module", params=["off", "on"])
def run(request, data):
    """The profile, and the model with all its variables from before."""
    model = classifier()
    model.evaluate(*data, verbose=0)
    before = [v.numpy() for v in [*model.variables, *model.optimizer.variables]]
    profile = tftrace.profile(
        model, *data, phase="evaluate", repeats=0, calibrate=False, jit=request.param
    )
    return profile, model, before


def test_every_row_is_of_the_loss_the_metrics_or_a_layer(run):
    profile, _, _ = run
    ops = profile.ops
    inside = ops[ops["component"] != "input pipeline"]
    # Under XLA what is left of the call itself, is of the executor.
    inside = inside[inside["component"] != "executor and unrecorded ops"]
    assert set(inside["phase"]) == {"forward", "loss", "metrics"}
    assert (ops.loc[ops["layer"].notna(), "phase"] == "forward").all()
    of_labels = ops[ops["phase"].isin(["loss", "metrics"])]
    assert set(of_labels["component"]) == {"loss and metrics"}
    assert of_labels["layer"].isna().all()


def test_layers_count_as_in_predict(run, data):
    layers = run[0].layers.set_index("name")
    assert layers.loc["conv", "macs"] == 10 * 10 * 8 * 3 * 3 * 3
    assert layers.loc["dense", "macs"] == 10 * 10 * 8 * 10
    assert layers.loc["bn", "mults"] == 10 * 10 * 8
    counted = tftrace.count(run[1], [(BATCH, 12, 12, 3)]).layers.set_index("name")
    for column in ("macs", "flops", "params"):
        assert layers[column].to_dict() == counted[column].to_dict()


def test_the_wall_has_a_row_for_the_loss_and_closes(run):
    profile, _, _ = run
    wall = profile.wall.set_index("component")["wall_ms"]
    assert wall["loss and metrics"] > 0
    assert wall.sum() == pytest.approx(window_ps(trace_of(profile)) / 1e9, rel=1e-3)
    assert profile.layers["wall_ms"].sum() == pytest.approx(wall["layers"])
    assert wall["compilation"] == 0
    assert not any(profile.checks.values())
    assert len(profile.steps) == 3
    assert profile.steps["samples"].tolist() == [32, 32, 6]


def test_nothing_is_left_behind(run):
    _, model, before = run
    after = [v.numpy() for v in [*model.variables, *model.optimizer.variables]]
    assert len(after) == len(before)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new, old)


def test_the_report_speaks_of_evaluate(run):
    text = str(run[0])
    assert "of traced evaluate" in text
    assert "of predict" not in text
    assert run[0].findings == []
    assert run[0].no_findings == "they are about predict, and this is evaluate"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": None}, "needs labels"),
        ({"phase": "assess"}, "a phase is one of predict, evaluate"),
        ({"y": np.arange(69)}, "differ in their number of samples"),
        ({"phase": "predict"}, "predict takes no labels"),
        ({"x": keras.utils.PyDataset()}, "brings its labels: give no others"),
    ],
    ids=["no labels", "no phase", "samples", "predict", "dataset"],
)
def test_what_cannot_be_evaluated_is_refused(data, change, message):
    asked = {"x": data[0], "y": data[1], "phase": "evaluate"} | change
    with pytest.raises(TftraceError, match=message):
        tftrace.profile(classifier(), **asked, calibrate=False)


def test_models_that_cannot_be_evaluated_are_refused(data):
    model = classifier()
    model.compile("adam", "sparse_categorical_crossentropy", steps_per_execution=2)
    with pytest.raises(TftraceError, match="steps_per_execution=1"):
        tftrace.profile(model, *data, phase="evaluate", calibrate=False)
    fresh, x = networks.BUILDERS["small"]()
    with pytest.raises(TftraceError, match="needs a compiled model"):
        tftrace.profile(fresh, x, np.zeros(70), phase="evaluate", calibrate=False)
