"""``fit`` and ``evaluate`` inside ``trace``: the caller gets what Keras gives, and a profile."""

import keras
import networks
import numpy as np
import pytest

import tftrace


def built():
    keras.utils.set_random_seed(5)
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(16), layers.Dropout(0.5), layers.Dense(1)], name="net"
    )
    model.compile("adam", "mse")
    return model, networks.normal(70, 8), networks.normal(70, 1)


def fitted(model, x, y):
    more = {"validation_data": (x[:10], y[:10]), "shuffle": False}
    return model.fit(x, y, epochs=2, verbose=0, **more).history


def variables(model):
    return [v.numpy() for v in [*model.variables, *model.optimizer.variables]]


def test_a_fit_is_what_it_would_have_been(tmp_path):
    model, x, y = built()
    plain = fitted(model, x, y)
    wanted = variables(model)
    model, x, y = built()
    with tftrace.trace(tmp_path) as tracing:
        found = fitted(model, x, y)
    assert found == plain
    for new, old in zip(variables(model), wanted, strict=True):
        np.testing.assert_array_equal(new, old)
    (profile,) = tracing.profiles  # validation is a part of fit
    assert tracing.untraced == []
    assert profile.way == "fit"
    assert profile.layers["backward_ms"].sum() > 0
    assert profile.run["samples"] == 70


def test_an_evaluate_is_what_it_would_have_been(tmp_path):
    model, x, y = built()
    wanted = model.evaluate(x, y, verbose=0)
    with tftrace.trace(tmp_path) as tracing:
        assert model.evaluate(x, y, batch_size=16, verbose=0) == pytest.approx(wanted)
    assert tracing.profile.way == "evaluate"
    assert tracing.profile.run["batch_size"] == 16


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"sample_weight": np.ones(70)}, "sample_weight"),
        ({"class_weight": {0: 1.0}}, "class_weight"),
        ({"validation_split": 0.1}, "validation_split"),
        ({"steps_per_epoch": 1}, "steps_per_epoch"),
    ],
    ids=["sample weights", "class weights", "split", "steps"],
)
def test_what_is_not_followed_runs_untraced(tmp_path, more, reason):
    model, x, y = built()
    with (
        tftrace.trace(tmp_path) as tracing,
        pytest.warns(tftrace.TftraceWarning, match=f"this fit is not traced: .*{reason}"),
    ):
        model.fit(x, (y > 0).astype("float32"), verbose=0, **more)
    assert tracing.profiles == []
