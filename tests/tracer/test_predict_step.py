"""Models with a ``predict_step`` of their own: what it calls is in the tables, and is counted."""

import keras
import networks
import pytest
import tensorflow as tf

import tftrace
from tftrace.errors import TftraceError

DATA = networks.normal(70, 8)  # two full batches and a smaller one


def models(kind):
    """The classes over Keras 2 or 3; both are written alike."""
    library = keras if kind == 3 else pytest.importorskip("tf_keras")
    layers = library.layers

    def features(data):
        return data[0] if isinstance(data, tuple) else data

    class Head(library.Model):
        """A layer more than its own call has."""

        def __init__(self):
            super().__init__(name="m")
            self.light = layers.Dense(4, name="light")
            self.heavy = layers.Dense(64, name="heavy")

        def call(self, x):
            return self.light(x)

        def predict_step(self, data):
            return tf.exp(self.heavy(self(features(data))))

    class Vae(library.Model):
        """Its own call is never used."""

        def __init__(self):
            super().__init__(name="m")
            self.encoder = library.Sequential([layers.Dense(16, name="e")], name="encoder")
            self.decoder = library.Sequential([layers.Dense(8, name="d")], name="decoder")

        def call(self, x):
            return self.decoder(self.encoder(x))

        def predict_step(self, data):
            return self.decoder(self.encoder(features(data)))

    class Twice(library.Model):
        """Monte Carlo dropout: the model is called twice a batch."""

        def __init__(self):
            super().__init__(name="m")
            self.dense = layers.Dense(4, name="dense")

        def call(self, x, training=False):
            return self.dense(x)

        def predict_step(self, data):
            x = features(data)
            return (self(x, training=True) + self(-x, training=True)) / 2

    return {"head": Head, "vae": Vae, "twice": Twice}


def run(kind, name, steps=1, **options):
    model = models(kind)[name]()
    if steps > 1:
        model.compile(steps_per_execution=steps)
    options = {"repeats": 0, "warmup": 0, "calibrate": False, "all_ops": True, **options}
    return tftrace.profile(model, DATA, **options)


def work_of(profile):
    """MACs by layer, of those that have any: as the layers count, and as kernels ran."""
    layers = profile.layers.set_index("path")["macs"]
    kernels = profile.ops.groupby("layer")["macs"].sum()
    return [{k: v for k, v in t.to_dict().items() if v} for t in (layers, kernels)]


EXPECTED = {
    "head": {"m/light": 8 * 4, "m/heavy": 4 * 64},
    "vae": {"m/encoder/e": 8 * 16, "m/decoder/d": 16 * 8},
    "twice": {"m/dense": 8 * 4, "m/dense#2": 8 * 4},
}


@pytest.mark.parametrize("jit", ["off", "on"])
@pytest.mark.parametrize("kind", [3, 2])
@pytest.mark.parametrize("name", EXPECTED)
def test_the_layers_that_it_calls_have_rows_and_are_counted(name, kind, jit):
    profile = run(kind, name, jit=jit)
    layers, kernels = work_of(profile)
    assert layers == EXPECTED[name]
    assert kernels == EXPECTED[name]
    assert profile.recording["recorded"] == profile.recording["expected"]
    outside = profile.ops[profile.ops["component"] == "model ops outside layers"]
    assert not outside["op_type"].str.contains("MatMul|Exp").any()


@pytest.mark.parametrize("jit", ["off", "on"])
def test_batches_that_share_a_compiled_step_are_counted_each(jit):
    """XLA's step is traced once, though the call runs it for two batches."""
    model = models(3)["head"]()
    model.compile(steps_per_execution=2)
    x = networks.normal(64, 8)
    profile = tftrace.profile(model, x, repeats=0, warmup=0, calibrate=False, all_ops=True, jit=jit)
    assert work_of(profile) == [EXPECTED["head"]] * 2


@pytest.mark.parametrize("kind", [3, 2])
def test_several_steps_in_one_call_repeat_it(kind):
    """70 samples are 3 batches of 32, 32 and 6: one call of the function."""
    profile = run(kind, "head", steps=3)
    layers, kernels = work_of(profile)
    assert layers == EXPECTED["head"]
    # Keras 2 runs the second and third in a loop whose length is in a variable.
    assert kernels == EXPECTED["head"] or kind == 2
    assert profile.layers.set_index("path").loc["m/heavy", "calls"] >= 3


def test_what_it_computes_itself_belongs_to_the_model():
    profile = run(3, "head", jit="off")
    (row,) = profile.ops[profile.ops["op_type"] == "Exp"].to_dict("records")
    assert (row["layer"], row["calls"]) == ("m", 3)
    assert profile.layers["output_shape"].tolist() == [[None, 4], [None, 4], [None, 64]]


class OwnFunction(keras.Model):
    """Makes its predict function itself, and calls no ``predict_step``."""

    def __init__(self):
        super().__init__(name="m")
        self.dense = keras.layers.Dense(4, name="dense")

    def make_predict_function(self, force=False):
        if self.predict_function is not None and not force:
            return
        self.predict_function = tf.function(
            lambda data: self.dense(self.dense(data[0])), reduce_retracing=True
        )


def test_a_predict_function_of_the_models_own_is_followed():
    x = networks.normal(70, 4)
    profile = tftrace.profile(OwnFunction(), x, repeats=0, warmup=0, calibrate=False, all_ops=True)
    assert work_of(profile) == [{"m/dense": 16, "m/dense#2": 16}] * 2


def test_the_class_is_put_back():
    model = models(3)["vae"]()
    step = type(model).predict_step
    tftrace.profile(model, DATA, repeats=0, calibrate=False)
    assert type(model).predict_step is step
    assert "predict_step" not in vars(model)


def test_why_nothing_was_traced_is_said():
    model, data = networks.BUILDERS["small"]()
    tf.config.run_functions_eagerly(True)
    try:
        with pytest.raises(TftraceError, match="run_functions_eagerly"):
            tftrace.profile(model, data, repeats=0, calibrate=False)
    finally:
        tf.config.run_functions_eagerly(False)


class OwnPredict(keras.Model):
    """Keras's predict is not asked at all."""

    def call(self, x):
        return x

    def predict(self, x, **_):
        return x


def test_a_predict_that_runs_no_graph_is_named():
    with pytest.raises(TftraceError, match="OwnPredict has a predict of its own"):
        tftrace.profile(OwnPredict(), DATA, repeats=0, calibrate=False)
