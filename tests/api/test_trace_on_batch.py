"""``train_on_batch`` and ``test_on_batch`` inside ``trace``: as they would be, and profiled."""

import keras
import networks
import numpy as np
import pytest

import tftrace

layers = keras.layers


def built(**compiled):
    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, name="first"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.5, name="drop"),
            layers.Dense(1, name="head"),
        ],
        name="net",
    )
    model.compile("adam", "mse", metrics=["mae"], **compiled)
    return model, networks.normal(40, 8), networks.normal(40, 1)


def worked(model, x, y):
    """Three batches, of two sizes, and what each call returns."""
    weights = np.linspace(0.0, 1.0, 32).astype("float32")
    return [
        model.train_on_batch(x[:32], y[:32], sample_weight=weights),
        model.train_on_batch(x[:32], y[:32], sample_weight=weights),
        model.train_on_batch(x[32:], y[32:], return_dict=True),
        model.test_on_batch(x[:32], y[:32]),
    ]


def variables(model):
    return [v.numpy() for v in [*model.variables, *model.optimizer.variables]]


@pytest.mark.parametrize("jit", [False, True], ids=["off", "on"])
def test_calls_are_what_they_would_have_been(tmp_path, jit):
    twin = built(jit_compile=jit)
    wanted = worked(*twin)
    model, x, y = built(jit_compile=jit)
    with tftrace.trace(tmp_path) as tracing:
        found = worked(model, x, y)
    assert tracing.untraced == []
    np.testing.assert_equal(found, wanted)
    for new, old in zip(variables(model), variables(twin[0]), strict=True):
        np.testing.assert_array_equal(new, old)
    assert [p.run["call"] for p in tracing.profiles] == ["train_on_batch"] * 2 + ["test_on_batch"]
    assert [p.run["samples"] for p in tracing.profiles] == [32, 8, 32]


def test_a_batch_is_trained_as_in_fit(tmp_path):
    model, x, y = built()
    with tftrace.trace(tmp_path, all_ops=True) as tracing:
        model.train_on_batch(x, y)
    profile = tracing.profile
    rows = profile.layers.set_index("name")
    assert rows["macs_backward"].to_dict() == {
        "net": 0, "first": 8 * 16, "norm": 0, "drop": 0, "head": 2 * 16
    }  # fmt: skip
    assert rows.loc[["first", "norm", "head"], "optimizer_ms"].gt(0).all()
    assert set(profile.ops["phase"].dropna()) == {
        "forward", "backward", "optimizer", "loss", "metrics"
    }  # fmt: skip
    wall = profile.wall.set_index("component")["wall_ms"]
    assert wall["input pipeline"] == wall["compilation"] == 0
    assert wall.sum() == pytest.approx(profile.window_ms)
    assert not any(profile.checks.values())
    assert "of traced fit" in str(profile)


def test_a_batch_is_tested_as_in_evaluate(tmp_path):
    model, x, y = built()
    with tftrace.trace(tmp_path) as tracing:
        model.test_on_batch(x, y)
    assert tracing.profile.way == "evaluate"
    wall = tracing.profile.wall.set_index("component")["wall_ms"]
    assert wall["loss and metrics"] > 0
    assert "optimizer" not in wall
