"""Steps that add gradients up, and layers with gradients of their own or recomputed ones."""

from collections import Counter

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

import tftrace
from tftrace.graph.phases import (
    CLIPPING,
    LOSS_SCALING,
    MOVING_AVERAGE,
    PARTS,
    RECOMPUTATION,
    WEIGHT_DECAY,
)
from tftrace.runs.run import open_run

layers = keras.layers
NAMELESS = {"_Arg", "_Retval", "Identity", "OptionalFromValue", "OptionalGetValue", "NoOp", "Const"}
"""Of no layer: what the function around the step is made of."""


def traced(model, *more):
    """The profile of two steps, after which every variable is what it was."""
    x, y = networks.normal(64, 16), networks.normal(64, 4)
    model.fit(x, y, verbose=0)
    variables = [*model.variables, *model.optimizer.variables, *more]
    before = [v.numpy() for v in variables]
    found = tftrace.profile(model, x, y, phase="fit", repeats=0, calibrate=False, all_ops=True)
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    ran = found.ops[(found.ops["calls"] > 0) & found.ops["component"].ne("input pipeline")]
    assert set(ran.loc[ran["phase"].isna(), "op_type"]) <= NAMELESS
    outside = ran[ran["component"] == "model ops outside layers"]
    assert set(outside["op_type"]) <= NAMELESS
    assert not any(found.checks.values())
    return found


def chain(*between):
    ends = layers.Dense(8, name="a"), layers.Dense(4, name="b")
    return keras.Sequential([keras.Input((16,)), ends[0], *between, ends[1]], name="m")


class Adding(keras.Model):
    """Updates its weights at every second step, by the gradients of both."""

    def __init__(self):
        super().__init__(name="adding")
        self.a, self.b = layers.Dense(8, name="a"), layers.Dense(4, name="b")
        self.seen = tf.Variable(0, trainable=False)

    def build(self, shape):
        self.a.build(shape)
        self.b.build((None, 8))
        self.sums = [tf.Variable(tf.zeros(w.shape), False) for w in self.trainable_variables]

    def call(self, x):
        return self.b(self.a(x))

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        weights = self.trainable_variables
        for total, gradient in zip(self.sums, tape.gradient(loss, weights), strict=True):
            total.assign_add(gradient)

        def update():
            halves = [total / 2.0 for total in self.sums]
            self.optimizer.apply_gradients(zip(halves, weights, strict=True))
            for total in self.sums:
                total.assign(tf.zeros_like(total))
            return 0

        tf.cond(self.seen.assign_add(1) % 2 == 0, update, lambda: 0)
        return {"loss": loss}


def test_gradients_that_a_step_of_the_model_s_own_adds_up():
    model = Adding()
    model.build((None, 16))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    found = traced(model, *model.sums, model.seen)
    rows = found.layers.set_index("name")
    assert rows["macs_backward"].to_dict() == {"adding": 0, "a": 16 * 8, "b": 2 * 8 * 4}
    assert rows.loc[["a", "b"], "optimizer_ms"].gt(0).all()
    assert rows.loc["adding", "optimizer_ms"] == 0


def test_gradients_that_the_optimizer_adds_up():
    model = chain()
    model.compile(keras.optimizers.Adam(gradient_accumulation_steps=2), "mse")
    rows = traced(model).layers.set_index("name")
    assert rows["macs_backward"].to_dict() == {"m": 0, "a": 16 * 8, "b": 2 * 8 * 4}
    assert rows.loc[["a", "b"], "optimizer_ms"].gt(0).all()


@tf.custom_gradient
def wave(x):
    return tf.sin(x), lambda upstream: upstream * tf.atan(x)


class Wave(layers.Layer):
    def call(self, x):
        return wave(x)


def test_a_gradient_of_the_layer_s_own_is_the_layer_s():
    model = chain(Wave(name="wave"))
    model.compile("adam", "mse")
    found = traced(model)
    rows = found.layers.set_index("name")
    assert rows["macs_backward"].to_dict() == {"m": 0, "a": 128, "wave": 0, "b": 64}
    own = found.ops[found.ops["op_type"] == "Atan"]
    assert set(own["layer"]) == {"m/wave"}
    assert set(own["phase"]) == {"backward"}


class Recomputed(layers.Layer):
    """Keeps nothing of its two layers for the gradient; the second is called twice."""

    def __init__(self, **more):
        super().__init__(**more)
        self.first = layers.Dense(8, name="first")
        self.second = layers.Dense(8, activation="tanh", name="second")

    def build(self, shape):
        self.first.build(shape)
        self.second.build((None, 8))

    def call(self, x):
        return tf.recompute_grad(lambda y: self.second(self.second(self.first(y))))(x)


@pytest.mark.parametrize("jit", [False, True], ids=["off", "on"])
def test_what_is_computed_anew_is_of_the_call_that_it_repeats(jit):
    model = chain(Recomputed(name="anew"))
    model.compile("adam", "mse", jit_compile=jit)
    x, y = networks.normal(64, 16), networks.normal(64, 4)
    found = (
        traced(model)
        if not jit
        else tftrace.profile(model, x, y, phase="fit", repeats=0, calibrate=False)
    )
    rows = found.layers.set_index("path")
    once = 8 * 8  # again forward, and the gradients of weights and data
    assert rows["macs_backward"].to_dict() == {
        "m": 0, "m/a": 16 * 8, "m/anew": 0,
        "m/anew/first": 3 * once, "m/anew/second": 3 * once, "m/anew/second#2": 3 * once,
        "m/b": 2 * 8 * 4,
    }  # fmt: skip
    again = {"m/anew/first", "m/anew/second", "m/anew/second#2"}
    # Around the three calls, recompute_grad makes what holds them back until the gradient is there.
    assert again <= set(rows.index[rows["recomputed_ms"] > 0]) <= again | {"m/anew"}
    assert rows["recomputed_ms"].le(rows["backward_ms"]).all()
    ops = open_run(found.folder).manifest.functions[0].ops
    part = PARTS.index(RECOMPUTATION)
    made = Counter(kind for kind, each in zip(ops.type, ops.part, strict=True) if each == part)
    # One product for each call, and the activation of two of them.
    assert (made["MatMul"], made["Tanh"], made["TanhGrad"]) == (3, 2, 0)


OPTIMIZERS = {
    "scaled loss": (
        LOSS_SCALING,
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
    ),
    "norm": (CLIPPING, lambda: keras.optimizers.SGD(clipnorm=1.0)),
    "norm of all": (CLIPPING, lambda: keras.optimizers.SGD(global_clipnorm=1.0)),
    "value": (CLIPPING, lambda: keras.optimizers.SGD(clipvalue=1.0)),
    "average": (
        MOVING_AVERAGE,
        lambda: keras.optimizers.SGD(use_ema=True, ema_overwrite_frequency=2),
    ),
    "decay": (WEIGHT_DECAY, lambda: keras.optimizers.AdamW(weight_decay=0.01)),
}
"""Each with the part of its work that has a name of its own."""


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_all_that_an_optimizer_does_is_the_optimizer_s(kind):
    model = chain()
    part, make = OPTIMIZERS[kind]
    optimizer = make()
    model.compile(optimizer, "mse")
    found = traced(model)
    ran = found.ops[found.ops["calls"] > 0]
    name = getattr(optimizer, "inner_optimizer", optimizer).name
    # TensorFlow hangs an Identity on a branch, beside what the optimizer made.
    own = ran[ran["op"].str.contains(f"/{name}/") & ~ran["op_type"].isin(NAMELESS)]
    assert set(own["phase"]) == {"optimizer"}
    assert set(own["component"]) <= {"layers", "optimizer", part}
    updates = found.layers.set_index("name")["optimizer_ms"]
    assert updates[["a", "b"]].gt(0).all()
    assert updates["m"] == 0
