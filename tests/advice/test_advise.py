"""Remedies tried on real models: what is measured, what is compared, what is left as it was."""

import json
import os

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from tftrace.advice.advise import advise
from tftrace.advice.recipe import Recipe
from tftrace.advice.script import script
from tftrace.cli import app
from tftrace.errors import TftraceError

X = np.random.default_rng(0).random((40, 8, 8, 2), dtype=np.float32)


def small():
    """Trained statistics, so that the outputs vary and folding changes the weights."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(name="bn"),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    norm = model.get_layer("bn")
    random = np.random.default_rng(2)
    norm.set_weights([random.uniform(0.5, 1.5, w.shape) for w in norm.get_weights()])
    return model


LOADED = []


def load_small():
    """Found by a process of its own, too."""
    LOADED.append(small())
    return LOADED[-1]


@pytest.fixture(scope="module")
def tried():
    return advise(load_small, X, batch_size=8, passes=6), LOADED


def test_every_way_is_measured_beside_the_model_as_it_is(tried) -> None:
    found, _ = tried
    by_name = {trial.name: trial for trial in found.trials}
    assert {"batch size 32", "XLA on", "fold batch norm", "tf.function"} <= by_name.keys()
    if os.cpu_count() > 1:
        assert {"1 intra-op thread", "1 inter-op thread"} <= by_name.keys()
    for trial in by_name.values():
        assert trial.reason is None
        assert trial.ms > 0
        assert trial.ratio.passes == (6, 6)
    assert found.base.ratio is None
    assert found.outputs_vary is True


def test_outputs_are_compared(tried) -> None:
    found, _ = tried
    by_name = {trial.name: trial for trial in found.trials}
    assert by_name["batch size 32"].output_difference < 1e-6
    assert 0 < by_name["fold batch norm"].output_difference < 1e-4
    if "bfloat16" in by_name:
        assert by_name["bfloat16"].output_difference > 1e-4
        assert not by_name["bfloat16"].wins


def test_the_models_are_given_back_as_they_were(tried) -> None:
    _, models = tried
    fresh = small().get_weights()
    for model in models:
        assert "predict_function" not in vars(model) or model.predict_function is None
        for before, after in zip(fresh, model.get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)


def test_a_dry_run_has_promises_only() -> None:
    found = advise(small, X, batch_size=8, dry=True)
    assert found.passes == 0
    assert all(trial.ms is None and trial.ratio is None for trial in found.trials)
    by_name = {trial.name: trial for trial in (found.base, *found.trials)}
    for name in ("as it is", "batch size 2", "batch size 32", "fold batch norm", "XLA on"):
        told = by_name[name]
        assert told.reason is None
        assert 0 < told.estimate.low_ms < told.estimate.ms < told.estimate.high_ms
    for name in ("tf.function", "frozen weights"):
        assert by_name[name].estimate is None
        assert by_name[name].reason.startswith("not estimated: ")
    # 20 batches of 2 in place of 5 of 8
    assert by_name["batch size 2"].estimate.ms > by_name["as it is"].estimate.ms
    assert json.dumps(found.to_dict())


def test_what_draws_random_numbers_does_not_count() -> None:
    class Noisy(keras.layers.Layer):
        def call(self, x):
            return x + keras.random.normal(keras.ops.shape(x))

    def load():
        return keras.Sequential([keras.Input((8, 8, 2)), Noisy(), keras.layers.Flatten()])

    found = advise(load, X[:16], batch_size=8, passes=6)
    assert all(t.reason and "random numbers" in t.reason for t in found.trials if t.ms)
    assert found.best is None


def test_outputs_that_do_not_vary_tell_nothing() -> None:
    def load():
        layers = [keras.layers.Flatten(), keras.layers.Dense(3, kernel_initializer="zeros")]
        return keras.Sequential([keras.Input((8, 8, 2)), *layers])

    assert advise(load, X[:16], batch_size=8, passes=6).outputs_vary is False


def test_what_cannot_be_tried_says_why() -> None:
    """Two batches of 16 are one shape; a model that reshapes to 8 samples takes no other."""

    def load():
        keras.utils.set_random_seed(0)
        x = keras.Input((8, 8, 2))
        y = keras.layers.Lambda(lambda t: keras.ops.reshape(t, (8, 128)))(x)
        return keras.Model(x, keras.layers.Dense(2)(y))

    found = advise(load, X, batch_size=8, passes=6)
    by_name = {trial.name: trial for trial in found.trials}
    assert by_name["batch size 32"].ms is None
    assert by_name["batch size 32"].reason
    assert by_name["tf.function"].reason is None


def test_too_few_passes_are_refused() -> None:
    with pytest.raises(TftraceError, match="at least 6"):
        advise(small, X, passes=5)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(16, jit=True),
        Recipe(16, fold=True, freeze=True),
        Recipe(16, function=True, bfloat16=True),
        Recipe(16, float16=True),
    ],
)
def test_the_program_predicts_what_the_model_does(recipe, tmp_path) -> None:
    model = small()
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "x.npz", X)
    text = script(recipe, str(tmp_path / "model.keras"), str(tmp_path / "x.npz"))
    program: dict[str, object] = {}
    exec(compile(text, "best.py", "exec"), program)
    tolerance = 0.1 if recipe.rounds else 1e-4
    expected = model.predict(X, verbose=0)
    np.testing.assert_allclose(program["y"], expected, atol=tolerance)


def test_the_command_writes_table_json_and_program(tmp_path) -> None:
    small().save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", X)
    files = [str(tmp_path / name) for name in ("m.keras", "x.npy")]
    outputs = ["--json", str(tmp_path / "a.json"), "--script", str(tmp_path / "best.py")]
    options = ["--passes", "6", "-b", "8", *outputs]
    done = CliRunner().invoke(app, ["advise", *files, *options])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "a.json").read_text())
    assert "fold batch norm" in done.output
    assert {"batch size 2", "batch size 32", "XLA on"} <= {t["name"] for t in found["trials"]}
    assert (tmp_path / "best.py").exists() == (found["best"] is not None)
