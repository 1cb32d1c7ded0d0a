"""A run of ``fit`` on work of known size: which layer gets which gradient, and what it counts."""

import re

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

import tftrace
from tftrace import TftraceError

layers = keras.layers


def fitted(model, x, y, loss="mse", **options):
    if not model.compiled:
        model.compile("adam", loss)
    return tftrace.profile(
        model, x, y, phase="fit", **{"repeats": 0, "calibrate": False, **options}
    )


@pytest.fixture(scope="module")
def network():
    """Two convolutions with batch norm in between, and what a fit of it counts."""
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Conv2D(8, 3, name="first"),
            layers.BatchNormalization(name="bn"),
            layers.Conv2D(4, 3, name="second"),
            layers.Flatten(name="flat"),
            layers.Dense(5, name="dense"),
        ],
        name="net",
    )
    return fitted(model, networks.normal(70, 12, 12, 3), networks.normal(70, 5))


def test_backward_is_twice_forward_less_the_gradient_of_the_data(network):
    found = network.layers.set_index("name")
    first, second, dense = 10 * 10 * 8 * 27, 8 * 8 * 4 * 72, 8 * 8 * 4 * 5
    assert found["macs"].to_dict() == {
        "net": 0, "first": first, "bn": 0, "second": second, "flat": 0, "dense": dense
    }  # fmt: skip
    assert found["macs_backward"].to_dict() == {
        "net": 0, "first": first, "bn": 0, "second": 2 * second, "flat": 0, "dense": 2 * dense
    }  # fmt: skip


def test_rates_are_of_both_passes_and_roofs_are_not_known(network):
    row = network.layers.set_index("name").loc["second"]
    samples = network.run["trace"]["samples"]
    both = (row["macs"] + row["macs_backward"]) * samples / row["wall_ms"] / 1e6
    assert row["gmacs_per_s"] == pytest.approx(both)
    assert network.layers["bound"].isna().all()
    assert network.layers["roof_share"].isna().all()


def test_rows_of_containers_add_the_phases_up(network):
    whole = network.tree(0).iloc[0]
    for column in ("forward_ms", "backward_ms", "optimizer_ms", "macs_backward"):
        assert whole[column] == pytest.approx(float(network.layers[column].sum()))


def test_the_report_has_a_column_for_each_phase(network):
    text = str(network)
    assert "of traced fit" in text
    heading = next(line for line in text.splitlines() if line.startswith("layer "))
    assert heading.split()[-3:] == ["forward", "backward", "optimizer"]
    assert "loss and metrics" in text


def test_time_is_on_the_large_layer():
    model = keras.Sequential(
        [
            keras.Input((256,)),
            layers.Dense(64, name="small"),
            layers.Dense(4096, name="large"),
            layers.Dense(1, name="out"),
        ]
    )
    found = fitted(model, networks.normal(256, 256), networks.normal(256, 1))
    backward = found.layers.set_index("name")["backward_ms"]
    assert backward["large"] > 2 * backward["small"]
    assert backward.idxmax() == "large"


def test_two_calls_of_a_layer_have_gradients_of_their_own():
    inputs = keras.Input((32,)), keras.Input((32,))
    shared = layers.Dense(16, name="shared")
    joined = layers.Concatenate(name="join")([shared(each) for each in inputs])
    model = keras.Model(inputs, layers.Dense(1, name="out")(joined), name="twins")
    x = [networks.normal(40, 32), networks.normal(40, 32)]
    found = fitted(model, x, networks.normal(40, 1)).layers.set_index("path")
    for path in ("twins/shared", "twins/shared#2"):
        # Of the weights alone: the data needs no gradient.
        assert found.loc[path, "macs_backward"] == 32 * 16
        assert found.loc[path, "backward_ms"] > 0


def test_a_frozen_layer_has_no_gradient_of_its_weights():
    model = keras.Sequential(
        [
            keras.Input((16,)),
            layers.Dense(32, name="open"),
            layers.Dense(24, name="frozen"),
            layers.Dense(8, name="head"),
        ]
    )
    model.get_layer("frozen").trainable = False
    found = fitted(model, networks.normal(40, 16), networks.normal(40, 8)).layers
    found = found.set_index("name")
    assert found["macs_backward"].to_dict() | {"open": 16 * 32, "frozen": 32 * 24} == (
        found["macs_backward"].to_dict()
    )
    assert found.loc["frozen", "optimizer_ms"] == 0
    assert found.loc["open", "optimizer_ms"] > 0


def test_what_is_frozen_from_the_bottom_has_no_backward_pass():
    model = keras.Sequential(
        [keras.Input((16,)), layers.Dense(32, name="frozen"), layers.Dense(8, name="head")]
    )
    model.get_layer("frozen").trainable = False
    found = fitted(model, networks.normal(40, 16), networks.normal(40, 8)).layers
    frozen = found.set_index("name").loc["frozen"]
    assert (frozen["backward_ms"], frozen["macs_backward"], frozen["optimizer_ms"]) == (0, 0, 0)


def everything(model):
    return [v.numpy() for v in [*model.variables, *model.optimizer.variables]]


def moving():
    """Weights, statistics, seeds, a recurrent state: all that an epoch moves."""
    model = keras.Sequential(
        [
            keras.Input((6, 4), batch_size=10),
            layers.LSTM(5, stateful=True, name="lstm"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(3),
        ]
    )
    model.compile("adam", "mse", metrics=["mae"])
    x, y = networks.normal(40, 6, 4), networks.normal(40, 3)
    model.fit(x, y, batch_size=10, verbose=0)
    return model, x, y


def test_the_model_is_left_as_it_was():
    model, x, y = moving()
    before = everything(model)
    fitted(model, x, y, repeats=1)
    for old, new in zip(before, everything(model), strict=True):
        np.testing.assert_array_equal(new, old)


def test_with_keep_the_model_is_trained_for_one_epoch():
    keras.utils.set_random_seed(3)
    model, x, y = moving()
    weights, steps = model.get_weights(), int(model.optimizer.iterations.numpy())
    fitted(model, x, y, repeats=1, keep=True)
    assert int(model.optimizer.iterations.numpy()) == steps + 4
    assert any((old != new).any() for old, new in zip(weights, model.get_weights(), strict=True))


def test_with_keep_it_is_a_whole_epoch_however_much_is_traced():
    model, x, y = moving()
    steps = int(model.optimizer.iterations.numpy())
    found = fitted(model, x, y, batch_size=10, keep=True, trace_batches=2)
    assert found.run["trace"]["steps"] == 2
    assert int(model.optimizer.iterations.numpy()) == steps + 4


def test_what_cannot_be_fitted_is_refused():
    model, x, y = moving()
    with pytest.raises(TftraceError, match="keep is for phase='fit'"):
        tftrace.profile(model, x, y, phase="evaluate", keep=True)
    model.compile("adam", "mse", steps_per_execution=2)
    with pytest.raises(TftraceError, match="steps_per_execution=1"):
        tftrace.profile(model, x, y, phase="fit")
    with pytest.raises(TftraceError, match="fit needs a compiled model"):
        tftrace.profile(networks.BUILDERS["small"]()[0], x, y, phase="fit")


def test_clipping_and_a_scaled_loss_are_the_optimizer_s():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((16,)), layers.Dense(8), layers.Dense(4)])
    model.compile(keras.optimizers.SGD(0.1, global_clipnorm=1.0, weight_decay=0.01), "mse")
    ops = fitted(model, networks.normal(40, 16), networks.normal(40, 4), all_ops=True).ops
    clipping = ops[ops["phase"].eq("optimizer") & ops["op_type"].str.contains("L2Loss|Sqrt|Min")]
    assert len(clipping) > 0


def test_a_loop_in_training_turns_as_often_as_in_predict():
    model = keras.Sequential(
        [keras.Input((10, 4)), layers.SimpleRNN(6, name="rnn"), layers.Dense(2, name="dense")]
    )
    found = fitted(model, networks.normal(40, 10, 4), networks.normal(40, 2), all_ops=True)
    rows = found.layers[found.layers["path"].str.contains("rnn")]
    assert rows["macs"].sum() == 10 * (4 * 6 + 6 * 6)
    assert rows["backward_ms"].sum() > 0
    # How often the gradient's loop turns is not known, so neither is what it multiplies.
    assert rows["macs_backward"].isna().any()
    assert not any(found.checks.values())


def test_the_page_s_foot_stands_below_its_columns(network, tmp_path):
    from tftrace.report.html.run import write_html

    for profile in (network, network_of_predict()):
        write_html(profile, tmp_path / "page.html")
        page = (tmp_path / "page.html").read_text()
        headings = re.findall(r'<th scope="col" data-key="(\w+)"', page)
        foot = re.search(r"<tfoot><tr>(.*?)</tr></tfoot>", page, re.S)[1]
        kinds = re.findall(r'<t[hd][^>]*class="([^"]*)"', foot)
        assert len(kinds) == len(headings)
        assert kinds.index("total-work work") == headings.index("work")
        assert ("backward" in headings) is (profile.way == "fit")


def network_of_predict():
    model, x = networks.BUILDERS["small"]()
    return tftrace.profile(model, x, repeats=0, calibrate=False)


class Gan(keras.Model):
    """A step of its own with two tapes and two optimizers; its call does not take the data."""

    def __init__(self):
        super().__init__(name="gan")
        self.generator = keras.Sequential(
            [layers.Dense(16, activation="relu", name="g1"), layers.Dense(8, name="g2")], name="gen"
        )
        self.critic = keras.Sequential(
            [layers.Dense(16, activation="relu", name="d1"), layers.Dense(1, name="d2")], name="dis"
        )
        self.of_generator = keras.optimizers.Adam()
        self.of_critic = keras.optimizers.Adam()

    def call(self, noise):
        return self.critic(self.generator(noise))

    def train_step(self, data):
        real, _ = data
        noise = tf.random.normal((tf.shape(real)[0], 4))
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(self.critic(self.generator(noise)))
            loss -= tf.reduce_mean(self.critic(real))
        weights = self.critic.trainable_variables
        self.of_critic.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        with tf.GradientTape() as tape:
            other = -tf.reduce_mean(self.critic(self.generator(noise)))
        weights = self.generator.trainable_variables
        self.of_generator.apply_gradients(zip(tape.gradient(other, weights), weights, strict=True))
        return {"loss": loss, "other": other}


def test_two_tapes_and_two_optimizers():
    model = Gan()
    model.compile(loss="mse")
    x, y = networks.normal(70, 8), networks.normal(70, 1)
    model.fit(x, y, verbose=0)
    variables = [*model.variables, *model.of_generator.variables, *model.of_critic.variables]
    before = [v.numpy() for v in variables]
    found = fitted(model, x, y, all_ops=True)
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    rows = found.layers.set_index("path")
    # The critic learns from the first two calls, which need no gradient of their data; the
    # generator from the last, through the critic, whose weights then need none.
    wanted = {
        "gen/g1": 0, "gen/g2": 0,
        "dis/d1": 8 * 16, "dis/d2": 2 * 16,
        "dis#2/d1": 8 * 16, "dis#2/d2": 2 * 16,
        "gen#2/g1": 4 * 16, "gen#2/g2": 2 * 16 * 8,
        "dis#3/d1": 8 * 16, "dis#3/d2": 16,
    }  # fmt: skip
    assert {path: rows.loc[f"gan/{path}", "macs_backward"] for path in wanted} == wanted
    updated = set(rows.index[rows["optimizer_ms"] > 0])
    assert updated == {f"gan/{path}" for path in ("gen/g1", "gen/g2", "dis/d1", "dis/d2")}
    ops = found.ops
    assert not ops[ops["phase"].eq("loss")]["op"].str.contains("adam").any()
    assert not any(found.checks.values())


class Own(keras.Model):
    """A step of its own, that does what Keras's does."""

    def __init__(self):
        super().__init__(name="own")
        self.first = layers.Dense(32, activation="relu", name="first")
        self.head = layers.Dense(1, name="head")

    def call(self, x):
        return self.head(self.first(x))

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        weights = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return {"loss": loss}


def test_a_train_step_of_the_model_s_own():
    found = fitted(Own(), networks.normal(70, 8), networks.normal(70, 1), all_ops=True)
    rows = found.layers.set_index("name")
    assert rows["macs_backward"].to_dict() == {"own": 0, "first": 8 * 32, "head": 2 * 32}
    assert set(found.ops["phase"].dropna()) == {"forward", "backward", "optimizer", "loss"}
