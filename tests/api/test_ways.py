"""Ways to run a model inside trace(): each returns what it would have, and becomes a run."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tftrace
from tftrace.tracer.ways import require_followed

layers = keras.layers
X = np.random.default_rng(0).random((8, 6, 6, 2), dtype=np.float32)
# 3 x 3 x 2 x 4 MACs at 4 x 4 positions; 64 x 3 in the Dense.
MACS = {"net/conv": 16 * 72, "net/dense": 192}


def net(lib=keras):
    return lib.Sequential(
        [
            lib.Input((6, 6, 2)) if lib is keras else lib.layers.InputLayer((6, 6, 2)),
            lib.layers.Conv2D(4, 3, name="conv"),
            lib.layers.BatchNormalization(name="norm"),
            lib.layers.Flatten(),
            lib.layers.Dense(3, name="dense"),
        ],
        name="net",
    )


def counted(profile):
    found = profile.layers.set_index("path")["macs"].to_dict()
    return {path: found[path] for path in MACS}


@pytest.fixture(scope="module")
def model():
    return net()


@pytest.mark.parametrize("jit", [None, True])
def test_a_function_around_a_model(model, tmp_path, jit) -> None:
    @tf.function(jit_compile=jit)
    def scores(x):
        return tf.nn.softmax(model(x * 2.0, training=False))

    expected = scores(X)
    with tftrace.trace(tmp_path, repeats=2) as tracing:
        found = scores(X)
        scores(X)
    np.testing.assert_array_equal(found, expected)
    (profile,) = tracing.profiles  # the second call has the same shapes
    assert tracing.untraced == []
    assert counted(profile) == MACS
    run = profile.run
    assert (run["call"], run["samples"], run["steps"]) == ("tf.function scores", 8, 1)
    assert run["jit"] is bool(jit)
    assert profile.latency["n"] == 2
    assert profile.recording["recorded"] > 0
    assert all(fault is None for fault in profile.checks.values())
    wall = profile.wall.set_index("component")["wall_ms"]
    assert wall["layers"] > 0
    # No pipeline and no loop of Keras's are around it.
    assert wall["input pipeline"] == wall["Keras loop and callbacks"] == 0
    assert "predict overhead" not in {finding["kind"] for finding in profile.findings}


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_predict_on_batch(library, tmp_path) -> None:
    model = net(pytest.importorskip(library))
    expected = model.predict_on_batch(X)
    with tftrace.trace(tmp_path) as tracing:
        found = model.predict_on_batch(X)
    np.testing.assert_array_equal(found, expected)
    assert counted(tracing.profile) == MACS
    assert (tracing.profile.run["call"], tracing.profile.run["samples"]) == ("predict_on_batch", 8)
    if library == "keras":  # Keras 2 makes a pipeline of one batch
        assert tracing.profile.wall.set_index("component")["wall_ms"]["input pipeline"] == 0


def test_a_signature_converts_what_it_is_given(model, tmp_path) -> None:
    run = tf.function(model, input_signature=[tf.TensorSpec((None, 6, 6, 2), tf.float32)])
    with tftrace.trace(tmp_path) as tracing:
        run(X.astype("float64"))
    assert counted(tracing.profile) == MACS


def test_what_cannot_be_followed_says_why(model, tmp_path) -> None:
    other = net()
    other.name = "other"

    @tf.function
    def both(x):
        return model(x) + other(x)

    @tf.function
    def bare(x):
        return model.layers[0](x)

    @tf.function
    def nothing(x):
        return x + 1

    with tftrace.trace(tmp_path) as tracing:
        with pytest.warns(
            tftrace.TftraceWarning, match=r"both calls several models \(net, other\)"
        ):
            both(X)
        with pytest.warns(tftrace.TftraceWarning, match="bare calls layers, and no model"):
            bare(X)
        nothing(X)
        model(X)
    assert len(tracing.untraced) == 2
    with pytest.raises(LookupError, match="no model"):
        _ = tracing.profile


def test_eager_calls_alone_are_told_what_to_do(model, tmp_path) -> None:
    with tftrace.trace(tmp_path) as tracing:
        model(X)
    with pytest.raises(LookupError, match=r"call it in a tf\.function"):
        _ = tracing.profile


def test_an_error_of_the_callers_stays_his(model, tmp_path) -> None:
    @tf.function
    def fails(x):
        tf.debugging.assert_less(x, 0.0)
        return model(x)

    with tftrace.trace(tmp_path) as tracing:
        with pytest.raises(tf.errors.InvalidArgumentError):
            fails(X)
        with pytest.raises(ValueError, match="incompatible with the layer"):
            model.predict_on_batch(X[:, :3, :3, :1])
    assert tracing.profiles == []


def test_what_was_patched_is_put_back(model, tmp_path) -> None:
    function = type(tf.function(lambda: None))
    before = [function.__call__, keras.Model.predict_on_batch, keras.Model.predict]
    with tftrace.trace(tmp_path):
        assert function.__call__ is not before[0]
    assert [function.__call__, keras.Model.predict_on_batch, keras.Model.predict] == before
    assert "predict_on_batch" not in vars(keras.Model)


class Counter(layers.Layer):
    """Counts its calls in a variable that Keras does not track, and adds noise."""

    def __init__(self):
        super().__init__()
        self._calls = [tf.Variable(0.0)]
        self.noise = keras.random.SeedGenerator(3)

    def call(self, x):
        self._calls[0].assign_add(1.0)
        return x + keras.random.normal(keras.ops.shape(x), seed=self.noise) + self._calls[0]


PARTS = {
    "lstm": lambda: layers.LSTM(3, stateful=True, return_sequences=True),
    "gru": lambda: layers.GRU(3, stateful=True, return_sequences=True),
    "dropout": lambda: layers.Dropout(0.5, seed=1),
    "norm": lambda: layers.BatchNormalization(),
    "counter": Counter,
}
WAYS = {
    "predict": lambda model, x: model.predict(x, batch_size=4, verbose=0),
    "predict_on_batch": lambda model, x: model.predict_on_batch(x),
    "tf.function": lambda model, x: tf.function(model)(x).numpy(),
    "in training mode": lambda model, x: tf.function(lambda t: model(t, training=True))(x).numpy(),
}


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=3), st.sampled_from([*WAYS]))
def test_outputs_and_variables_are_those_of_an_untraced_twin(tmp_path_factory, parts, way) -> None:
    def twin():
        keras.utils.set_random_seed(5)
        shape = keras.Input(batch_shape=(4, 5, 3))
        return keras.Sequential([shape, *(PARTS[part]() for part in parts)])

    x = np.random.default_rng(1).random((4, 5, 3), dtype=np.float32)
    plain, watched = twin(), twin()
    expected = [WAYS[way](plain, x) for _ in range(2)]
    with tftrace.trace(tmp_path_factory.mktemp("runs")) as tracing:
        found = [WAYS[way](watched, x) for _ in range(2)]
    assert tracing.profiles
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(state(plain), state(watched), strict=True):
        np.testing.assert_array_equal(one, other)


def state(model):
    counters = [layer for layer in model.layers if isinstance(layer, Counter)]
    return [*map(np.asarray, model.variables), *(c._calls[0].numpy() for c in counters)]


def trained(model):
    return [*state(model), *map(np.asarray, [*model.optimizer.variables, *model.metrics_variables])]


def test_runs_that_are_not_followed_are_refused(model, tmp_path) -> None:
    with tf.Graph().as_default(), pytest.raises(tftrace.TftraceError, match="eager execution is"):
        tftrace.profile(model, X, out=tmp_path)
    strategy = SimpleNamespace(num_replicas_in_sync=2)
    with pytest.raises(tftrace.TftraceError, match="runs on 2 replicas"):
        require_followed(SimpleNamespace(distribute_strategy=strategy))


def test_a_data_frame_is_taken_as_without_trace(tmp_path) -> None:
    pd = pytest.importorskip("pandas")
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="dense")], name="net")
    frame = pd.DataFrame(np.random.default_rng(0).random((8, 3), dtype=np.float32))
    expected = model.predict_on_batch(frame)
    with tftrace.trace(tmp_path) as tracing:
        found = model.predict_on_batch(frame)
    np.testing.assert_array_equal(found, expected)
    assert (tracing.untraced, tracing.profile.run["samples"]) == ([], 8)


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=3), st.booleans())
def test_profile_and_callback_leave_no_trace_of_themselves(tmp_path_factory, parts, called) -> None:
    def twin():
        keras.utils.set_random_seed(5)
        shape = keras.Input(batch_shape=(4, 5, 3))
        model = keras.Sequential([shape, *(PARTS[part]() for part in parts)])
        model.compile("adam", "mse", metrics=["mae"])
        model.train_on_batch(x, np.zeros(model.output_shape, "float32"))
        return model

    x = np.random.default_rng(1).random((8, 5, 3), dtype=np.float32)[:4]
    plain, watched = twin(), twin()
    folder = tmp_path_factory.mktemp("runs")
    if called:
        watch = tftrace.Callback(folder)
        found = [watched.predict(x, batch_size=4, callbacks=[watch], verbose=0) for _ in range(2)]
        assert len(watch.profiles) == 2
    else:
        tftrace.profile(watched, x, batch_size=4, repeats=2, calibrate=False, out=folder)
        found = [watched.predict(x, batch_size=4, verbose=0) for _ in range(2)]
    expected = [plain.predict(x, batch_size=4, verbose=0) for _ in range(2)]
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(watched.optimizer.variables) > 1
    for one, other in zip(trained(plain), trained(watched), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "part",
    [
        "tftrace.tracer.capture.record",
        "tftrace.tracer.capture.profiler_session",
        "tftrace.tracer.capture.build",
        "tftrace.api.tracing.open_run",
        "tftrace.api.tracing.capture",
        "tftrace.api.tracing.machine_roofs",
        "tftrace.attribution.layers_track.open_run",
    ],
)
@pytest.mark.parametrize("way", ["predict", "predict_on_batch", "tf.function", "generator"])
def test_a_fault_of_tftraces_own_takes_nothing_from_the_caller(
    model, tmp_path, monkeypatch, part, way
) -> None:
    def broken(*_, **__):
        raise ZeroDivisionError("in tftrace")

    calls = WAYS | {"generator": lambda m, x: m.predict(((x,) for _ in range(2)), verbose=0)}
    expected = calls[way](model, X)
    before = [np.asarray(v) for v in model.variables]
    monkeypatch.setattr(part, broken)
    warned = pytest.warns(tftrace.TftraceWarning, match="ZeroDivisionError: in tftrace")
    with tftrace.trace(tmp_path) as tracing, warned:
        found = calls[way](model, X)
    np.testing.assert_array_equal(found, expected)
    assert (tracing.profiles, len(tracing.untraced)) == ([], 1)
    for one, other in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(one, np.asarray(other))
    monkeypatch.undo()
    tf.profiler.experimental.start(str(tmp_path))  # it is idle
    tf.profiler.experimental.stop(save=False)


# --- which of a function's arguments are samples

WIDE = np.ones((70, 8), "float32")


@pytest.fixture(scope="module")
def dense():
    """8 x 4 = 32 MACs for each sample."""
    return keras.Sequential([keras.Input((8,)), layers.Dense(4)])


def shifted(model, by, x):
    return model(x) + by


def of_two_kinds(model, x):
    return model(x) + model(x[:, ::-1])


def in_parts(model, x):
    return tf.concat([model(x[:10]), model(x[10:])], 0)


def one_by_one(model, x):
    return tf.map_fn(lambda row: model(row[None])[0], x)


def again_and_again(model, x):
    for _ in tf.range(5):
        x = tf.tile(model(x), [1, 2])
    return x


VARIABLE = tf.Variable(WIDE)
ARGUMENTS = {
    "another argument before them": (shifted, (np.ones(4, "float32"), WIDE), 32),
    "a variable": (shifted, (np.ones(4, "float32"), VARIABLE), 32),
    "no argument": (lambda model: model(tf.random.normal((70, 8))), (), 32),
    "two passes for each": (of_two_kinds, (WIDE,), 64),
    "in parts": (in_parts, (WIDE,), 32),
    "one by one": (one_by_one, (WIDE,), 32),
    "in a loop": (again_and_again, (WIDE,), 5 * 32),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_the_samples_of_a_function_are_the_models(dense, case, tmp_path) -> None:
    python, arguments, macs = ARGUMENTS[case]
    called = tf.function(lambda *a: python(dense, *a))
    with tftrace.trace(tmp_path) as tracing:
        called(*arguments)
    assert tracing.untraced == []
    assert tracing.profile.run["samples"] == 70
    assert tracing.profile.layers["macs"].sum() == macs


def test_samples_that_cannot_be_told_are_refused(dense, tmp_path) -> None:
    @tf.function
    def chosen(weights, x):
        return dense(tf.boolean_mask(x, x[:, 0] > 0)) + weights[0]

    with (
        tftrace.trace(tmp_path) as tracing,
        pytest.warns(tftrace.TftraceWarning, match="have 4 and 70 rows, and the model is given an"),
    ):
        chosen(np.ones((4, 1), "float32"), WIDE)
    assert tracing.profiles == []


@pytest.mark.parametrize("x", [[WIDE], {"x": WIDE}], ids=["list", "dict"])
def test_predict_in_another_structure_than_the_models_is_traced_once(dense, tmp_path, x) -> None:
    model = keras.Sequential([keras.Input((8,), name="x"), layers.Dense(4)])
    expected = model.predict(x, verbose=0)
    with tftrace.trace(tmp_path) as tracing:
        found = model.predict(x, verbose=0)
    np.testing.assert_array_equal(found, expected)
    wall = tracing.profile.wall.set_index("component")["wall_ms"]
    assert wall["compilation"] == 0
    assert tracing.profile.layers["expected_calls"].sum() > 0
