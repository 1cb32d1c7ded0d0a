"""``fit`` and ``evaluate`` on data that brings batches and labels of its own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import normal
from typer.testing import CliRunner

import tftrace
from tftrace.cli import app

X, Y = normal(70, 8), normal(70, 1)
UNEVEN = [slice(0, 32), slice(32, 40), slice(40, 70)]


def built():
    keras.utils.set_random_seed(5)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, name="wide"),
            layers.Dropout(0.5, name="drop"),
            layers.Dense(1, name="out"),
        ],
        name="net",
    )
    model.compile("adam", "mse", metrics=["mae"])
    return model


def variables(model):
    return [v.numpy() for v in [*model.variables, *model.optimizer.variables]]


def same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


class Batches(keras.utils.PyDataset):
    """Of different sizes, in an order that `fit` would shuffle."""

    def __len__(self):
        return len(UNEVEN)

    def __getitem__(self, index):
        return X[UNEVEN[index]], Y[UNEVEN[index]]


def pipeline(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays).batch(32)


DATA = {
    "tf.data": (lambda: pipeline(X, Y), [32, 32, 6]),
    "weighted": (lambda: pipeline(X, Y, np.linspace(0, 1, 70, dtype="float32")), [32, 32, 6]),
    "PyDataset": (Batches, [32, 8, 30]),
    "generator": (lambda: ((X[part], Y[part]) for part in UNEVEN), [32, 8, 30]),
}


@pytest.mark.parametrize("phase", ["fit", "evaluate"])
@pytest.mark.parametrize("kind", DATA)
def test_each_batch_is_a_step_of_its_size(kind, phase):
    data, sizes = DATA[kind]
    model = built()
    model.optimizer.build(model.trainable_variables)
    before = variables(model)
    found = tftrace.profile(model, data(), phase=phase, repeats=1, all_ops=True, calibrate=False)
    same(variables(model), before)
    run = found.run
    assert (run["samples"], run["steps"], run["own_batches"]) == (70, 3, True)
    assert run["trace"]["batches"] == found.steps["samples"].tolist() == sizes
    assert not any(found.checks.values())
    # 8 x 16 and 16 x 1; the first layer's gradient is of its weights alone.
    layers = found.layers.set_index("path")
    assert layers["macs"][["net/wide", "net/out"]].tolist() == [128, 16]
    if phase == "fit":
        assert layers["macs_backward"][["net/wide", "net/out"]].tolist() == [128, 32]
        assert layers["backward_ms"]["net/out"] > 0


def test_steps_of_predict_have_the_sizes_of_the_batches_too():
    found = tftrace.profile(built(), Batches(), repeats=0, calibrate=False)
    assert found.steps["samples"].tolist() == [32, 8, 30]


def test_a_part_is_traced_and_a_whole_epoch_is_kept():
    twin, model = built(), built()
    twin.fit(pipeline(X, Y), verbose=0)
    found = tftrace.profile(
        model,
        pipeline(X, Y),
        phase="fit",
        keep=True,
        repeats=0,
        warmup=0,
        trace_batches=1,
        calibrate=False,
    )
    assert found.steps["samples"].tolist() == [32]
    same(variables(model), variables(twin))


@pytest.mark.parametrize("endless", [False, True], ids=["as it is", "by steps"])
def test_a_fit_in_a_trace_is_what_it_would_have_been(tmp_path, endless):
    data = pipeline(X, Y).repeat() if endless else pipeline(X, Y)
    more = {"epochs": 2, "verbose": 0, "steps_per_epoch": 3 if endless else None}
    twin, model = built(), built()
    wanted = twin.fit(data, **more).history
    with tftrace.trace(tmp_path) as tracing:
        found = model.fit(data, **more).history
    assert found == wanted
    same(variables(model), variables(twin))
    assert tracing.untraced == []
    (profile,) = tracing.profiles
    assert (profile.way, profile.run["samples"], profile.run["steps"]) == ("fit", 70, 3)
    assert profile.layers["backward_ms"].sum() > 0
    assert sorted(set(profile.epochs["epoch"].dropna())) == [0, 1]


def test_an_evaluate_in_a_trace_is_what_it_would_have_been(tmp_path):
    model = built()
    wanted = model.evaluate(pipeline(X, Y), steps=2, verbose=0)
    with tftrace.trace(tmp_path) as tracing:
        assert model.evaluate(pipeline(X, Y), steps=2, verbose=0) == wanted
    assert (tracing.profile.way, tracing.profile.run["samples"]) == ("evaluate", 64)


def test_a_generator_that_fit_has_consumed_is_not_traced(tmp_path):
    data, _ = DATA["generator"]
    with (
        tftrace.trace(tmp_path) as tracing,
        pytest.warns(tftrace.TftraceWarning, match="fit has consumed the generator"),
    ):
        built().fit(data(), verbose=0)
    assert tracing.profiles == []


@pytest.mark.parametrize(
    ("data", "labels", "reason"),
    [
        (pipeline(X), None, r"no labels: give them as \(inputs, labels\)"),
        (pipeline(X, Y), Y, "brings its labels: give no others"),
        (pipeline(X, Y).repeat(), None, "never ends; say how much of it with samples"),
    ],
    ids=["none", "twice", "endless"],
)
def test_what_does_not_fit_is_refused(data, labels, reason):
    with pytest.raises(tftrace.TftraceError, match=reason):
        tftrace.profile(built(), data, labels, phase="fit", calibrate=False)


def test_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    built().save("m.keras")
    (tmp_path / "labeled_data.py").write_text(
        "import numpy as np, tensorflow as tf\n"
        "def labeled():\n"
        "    parts = np.ones((40, 8), 'float32'), np.ones((40, 1), 'float32')\n"
        "    return tf.data.Dataset.from_tensor_slices(parts).batch(16)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    words = "run m.keras --data-module labeled_data:labeled --phase fit --quick --out runs"
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 0, done.output
    found = tftrace.load("runs")
    assert found.steps["samples"].tolist() == [16, 16, 8]
    assert found.run["origin"]["options"] == ["--phase", "fit"]


class WithNone(Batches):
    """What Keras itself does not take: a weight that is None."""

    def __getitem__(self, index):
        return (*super().__getitem__(index), None)


def test_what_keras_does_not_take_is_said_in_its_words():
    with pytest.raises(tftrace.TftraceError, match="yielded an element that did not match"):
        tftrace.profile(built(), WithNone(), phase="fit", repeats=0, calibrate=False)


def test_a_call_of_several_steps_has_the_samples_of_all_of_them():
    model = built()
    model.compile(steps_per_execution=2)
    found = tftrace.profile(model, Batches(), repeats=0, calibrate=False)
    assert found.steps["samples"].tolist() == [32 + 8, 30]
