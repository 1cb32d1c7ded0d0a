"""The caller's program is not touched: results, variables and chance are those without tftrace."""

import random
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import BUILDERS, normal

import tftrace
from tftrace.tracer import capture

tf_keras = pytest.importorskip("tf_keras")

STEPS, WIDTH = 3, 4
OUTSIDE = tf.Variable(0.0)  # of the program, not of any model


def library(kind):
    return keras if kind == 3 else tf_keras


def parts(kind):
    """Layers whose state a pass moves, over Keras 2 or 3, each a function of its number."""
    lib = library(kind)
    layers = lib.layers

    class Trained(layers.Layer):
        """Batch normalization that goes on learning its statistics."""

        def __init__(self, **keywords):
            super().__init__(**keywords)
            self.norm = layers.BatchNormalization(momentum=0.5)

        def build(self, shape):
            self.norm.build(shape)
            self.built = True

        def call(self, x):
            return self.norm(x, training=True)

    class Noise(layers.Layer):
        """Keras's own generators: one of the layer's, and in Keras 3 the global one."""

        def __init__(self, seed, **keywords):
            super().__init__(**keywords)
            self.seed = keras.random.SeedGenerator(seed) if kind == 3 else None
            self.generator = tf.random.Generator.from_seed(seed)

        def call(self, x):
            x = x + self.generator.normal(tf.shape(x), dtype=x.dtype)
            if kind == 3:
                x += keras.random.normal(keras.ops.shape(x), seed=self.seed)
                x += keras.random.uniform(keras.ops.shape(x))
            return x

    class Counter(layers.Layer):
        """Counts its calls in variables that Keras does not track."""

        def __init__(self, **keywords):
            super().__init__(**keywords)
            self.hidden = [lambda: OUTSIDE]

        def call(self, x):
            (count,) = self.hidden
            return x + tf.cast(count().assign_add(1.0), x.dtype)

    return {
        "dense": lambda i: layers.Dense(WIDTH, name=f"dense{i}"),
        "state": lambda i: layers.LSTM(
            WIDTH, stateful=True, return_sequences=True, name=f"state{i}"
        ),
        "norm": lambda i: Trained(name=f"norm{i}"),
        "noise": lambda i: Noise(i, name=f"noise{i}"),
        "counter": lambda i: Counter(name=f"counter{i}"),
    }


def build(kind, names, batch):
    """The same model each time, from the same chance."""
    lib = library(kind)
    lib.backend.clear_session()
    lib.utils.set_random_seed(5)
    OUTSIDE.assign(0.0)
    made = [parts(kind)[name](i) for i, name in enumerate(names)]
    return lib.Sequential([lib.Input(batch_shape=(batch, STEPS, WIDTH)), *made], name="m")


def seen(model):
    """All that a caller could find changed."""
    variables = [np.array(v) for v in model.variables]
    generators = [
        layer.generator.state.numpy() for layer in model.layers if hasattr(layer, "generator")
    ]
    return [
        *variables,
        *generators,
        OUTSIDE.numpy(),
        np.array(random.getstate()[1]),
        np.random.get_state()[1],
    ]


def same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


NAMES = st.lists(st.sampled_from(["dense", "state", "norm", "noise", "counter"]), min_size=1)
SLOWLY = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


@pytest.mark.parametrize("kind", [3, 2])
@SLOWLY
@given(names=NAMES.filter(lambda n: len(n) < 4), batches=st.integers(1, 2), used=st.booleans())
def test_a_traced_predict_is_the_untraced_one(tmp_path_factory, kind, names, batches, used):
    x = normal(batches * 2, STEPS, WIDTH)
    results = []
    for traced in (False, True):
        model = build(kind, names, 2)
        if used:
            model.predict(x, batch_size=2, verbose=0)
        if traced:
            with tftrace.trace(tmp_path_factory.mktemp("runs")) as tracing:
                outputs = model.predict(x, batch_size=2, verbose=0)
            assert tracing.untraced == []
            assert len(tracing.profiles) == 1
        else:
            outputs = model.predict(x, batch_size=2, verbose=0)
        # What comes next tells what the first has left.
        results.append([outputs, *seen(model), model.predict(x, batch_size=2, verbose=0)])
    same(*results)


@pytest.mark.parametrize("kind", [3, 2])
def test_a_profiled_model_is_left_as_it_was(kind):
    model = build(kind, ["state", "norm", "noise", "counter"], 2)
    model.predict(normal(4, STEPS, WIDTH), batch_size=2, verbose=0)
    before = seen(model)
    tftrace.profile(
        model, normal(8, STEPS, WIDTH), batch_size=2, repeats=2, warmup=1, calibrate=False
    )
    same(seen(model), before)


@pytest.mark.parametrize("way", ["compare", "fold", "measure"])
def test_other_ways_to_run_it_leave_it_as_it_was(way):
    from tftrace.api.estimate import measure
    from tftrace.comparison.compare import Side, compare_models
    from tftrace.folding.fold import fold

    x = normal(4, STEPS, WIDTH)
    other = build(3, ["state", "norm"], 2)
    model = build(3, ["state", "norm"], 2)
    model.predict(x, batch_size=2, verbose=0)
    before = [np.array(v) for v in model.variables]
    if way == "compare":
        compare_models(Side("a", model, 2), Side("b", other, 2), x, pairs=1)
    elif way == "fold":
        fold(model, x[:2])
    else:
        measure(model, [(2, STEPS, WIDTH)], 2, repeats=1)
    same([np.array(v) for v in model.variables], before)


class Lazy(keras.Model):
    """Built by its first call, with a layer that draws its weights then."""

    def __init__(self):
        super().__init__(name="m")
        self.dense = keras.layers.Dense(3)
        self.seed = keras.random.SeedGenerator(3)

    def call(self, x):
        return self.dense(x) + keras.random.normal((3,), seed=self.seed)


def test_a_model_that_is_built_by_its_first_predict(tmp_path):
    results = []
    for traced in (False, True):
        keras.utils.set_random_seed(5)
        model, x = Lazy(), normal(70, 4)
        if traced:
            with tftrace.trace(tmp_path):
                outputs = model.predict(x, verbose=0)
        else:
            outputs = model.predict(x, verbose=0)
        results.append([outputs, *map(np.array, model.variables), np.random.get_state()[1]])
    same(*results)


def hiding():
    """Its random kernel keeps a state of its own, beginning with TensorFlow's seed."""
    x = keras.Input((4,))
    noisy = keras.layers.Lambda(lambda t: t + tf.random.normal(tf.shape(t)), name="noisy")(x)
    return keras.Model(x, noisy, name="m")


@pytest.mark.parametrize("used", [False, True])
def test_where_a_kernel_hides_its_state_the_caller_has_a_pass_of_its_own(tmp_path, used):
    results, calls = [], []
    callback = keras.callbacks.LambdaCallback(on_predict_end=lambda logs: calls.append(1))
    for traced in (False, True):
        keras.utils.set_random_seed(5)
        model, x = hiding(), normal(40, 4)
        if used:
            model.predict(x, verbose=0)
        if traced:
            with tftrace.trace(tmp_path) as tracing:
                outputs = model.predict(x, verbose=0, callbacks=[callback])
            assert tracing.profile.wall["wall_ms"].sum() > 0
        else:
            outputs = model.predict(x, verbose=0)
        results.append([outputs])
    same(*results)
    assert calls == [1]


# --- what goes wrong


def predicted(tmp_path, model, *args, match, **keywords):
    """The result of a predict that cannot be traced, with a warning that says why."""
    with (
        tftrace.trace(tmp_path / "runs") as tracing,
        pytest.warns(tftrace.TftraceWarning, match=match),
    ):
        outputs = model.predict(*args, **keywords)
    assert tracing.profiles == []
    assert len(tracing.untraced) == 1
    with pytest.raises(LookupError, match=match):
        _ = tracing.profile
    return outputs


def test_data_that_cannot_be_traced_is_predicted_all_the_same(tmp_path):
    model, data = BUILDERS["small"]()
    # With steps, Keras takes other kernels on some processors: the last bits are others.
    expected = model.predict(data, verbose=0, steps=3)
    got = predicted(tmp_path, model, data, verbose=0, steps=3, match="steps")
    np.testing.assert_array_equal(got, expected)


def test_a_folder_that_cannot_be_written(tmp_path):
    model, data = BUILDERS["small"]()
    (tmp_path / "runs").touch()
    got = predicted(tmp_path, model, data, verbose=0, match="--out")
    np.testing.assert_array_equal(got, model.predict(data, verbose=0))


def test_a_profiler_that_already_runs(tmp_path):
    model = build(3, ["state", "noise"], 2)
    x = normal(4, STEPS, WIDTH)
    expected = build(3, ["state", "noise"], 2).predict(x, batch_size=2, verbose=0)
    model = build(3, ["state", "noise"], 2)
    tf.profiler.experimental.start(str(tmp_path / "theirs"))
    try:
        got = predicted(tmp_path, model, x, batch_size=2, verbose=0, match="already running")
    finally:
        tf.profiler.experimental.stop()
    np.testing.assert_array_equal(got, expected)


def test_when_writing_fails_the_pass_has_already_run(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(capture, "build_manifest", fail)
    x = normal(4, STEPS, WIDTH)
    twin = build(3, ["state", "noise"], 2)
    expected = [twin.predict(x, batch_size=2, verbose=0), *seen(twin)]
    model = build(3, ["state", "noise"], 2)
    ends = []
    callback = keras.callbacks.LambdaCallback(on_predict_end=lambda logs: ends.append(1))
    arguments = {"batch_size": 2, "verbose": 0, "callbacks": [callback]}
    got = predicted(tmp_path, model, x, **arguments, match="OSError: disk full")
    same([got, *seen(model)], expected)
    assert ends == [1]


class Stop(Exception):
    """Raised by a callback of the caller's."""


def test_what_the_caller_raises_reaches_the_caller_once(tmp_path):
    model, data = BUILDERS["small"]()
    begun = []

    class Stopping(keras.callbacks.Callback):
        def on_predict_batch_end(self, batch, logs=None):
            begun.append(batch)
            raise Stop

    with tftrace.trace(tmp_path) as tracing, warnings.catch_warnings():
        warnings.simplefilter("error", tftrace.TftraceWarning)
        with pytest.raises(Stop):
            model.predict(data, verbose=0, callbacks=[Stopping()])
    assert begun == [0]
    assert tracing.profiles == []


def test_a_predict_inside_another_goes_on_untraced(tmp_path):
    inner, data = BUILDERS["small"]()
    expected = inner.predict(data, verbose=0)
    outer, _ = BUILDERS["small"]()
    got = []
    callback = keras.callbacks.LambdaCallback(
        on_predict_end=lambda logs: got.append(inner.predict(data, verbose=0))
    )
    with (
        tftrace.trace(tmp_path) as tracing,
        pytest.warns(tftrace.TftraceWarning, match="another predict"),
    ):
        outer.predict(data, verbose=0, callbacks=[callback])
    (only,) = got
    np.testing.assert_array_equal(only, expected)
    assert len(tracing.profiles) == 1


def test_predict_is_called_as_keras_allows(tmp_path):
    model, data = BUILDERS["small"]()
    ends = []
    callback = keras.callbacks.LambdaCallback(on_predict_end=lambda logs: ends.append(1))
    with tftrace.trace(tmp_path) as tracing:
        model.predict(data, 20, 0, None, callback)
    assert tracing.profile.run["batch_size"] == 20
    assert ends == [1]
