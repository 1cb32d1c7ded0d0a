"""A layer called in a loop and outside it: two call sites, each with its own work."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tftrace
from tftrace.tracer.graphs.call_sites import final_paths
from tftrace.tracer.graphs.recorder import ANOTHER_GRAPH, CallSite


class Repeating(layers.Layer):
    """Dense before, three times in, and after a loop, as asked for."""

    def __init__(self, before, after):
        super().__init__(name="own")
        self.before, self.after = before, after
        self.dense = layers.Dense(4, name="dense")

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        y = self.dense(x) if self.before else x
        _, y = tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, self.dense(y)), (0, y))
        return self.dense(y) if self.after else y


def repeating(before, after):
    x = keras.Input((4,))
    return keras.Model(x, Repeating(before, after)(x), name="m")


# 4 x 4 macs a call, three in the loop.
PLACES = {
    (True, False): {"m/own/dense": 16, "m/own/dense#2": 48},
    (False, True): {"m/own/dense": 48, "m/own/dense#2": 16},
    (True, True): {"m/own/dense": 16, "m/own/dense#2": 48, "m/own/dense#3": 16},
    (False, False): {"m/own/dense": 48},
}


def macs_of(table):
    mine = table[table["name"] == "dense"]
    return dict(zip(mine["path"], mine["macs"], strict=True))


@pytest.mark.parametrize("places", PLACES)
def test_a_loop_and_what_is_around_it_are_call_sites_of_their_own(places):
    layers = tftrace.count(repeating(*places)).layers
    assert macs_of(layers) == PLACES[places]
    calls = layers.loc[layers["name"] == "dense", "call"]
    assert calls.tolist() == list(range(1, len(PLACES[places]) + 1))
    assert layers["params"].sum() == 20


def test_in_a_run_each_has_its_executions():
    data = np.ones((40, 4), "float32")
    profile = tftrace.profile(
        repeating(True, False), data, repeats=0, calibrate=False, all_ops=True
    )
    assert macs_of(profile.layers) == PLACES[True, False]
    products = profile.ops[profile.ops["macs"] > 0].groupby("layer")["calls"].sum()
    # Two batches.
    assert products.to_dict() == {"m/own/dense": 2, "m/own/dense#2": 2 * 3}


def test_both_sides_of_a_choice():
    class Choosing(layers.Layer):
        def __init__(self):
            super().__init__(name="own")
            self.dense = layers.Dense(4, name="dense")

        def build(self, shape):
            self.dense.build(shape)

        def call(self, x):
            big = tf.reduce_sum(x) > 0
            return tf.cond(big, lambda: self.dense(x), lambda: self.dense(-x))

    x = keras.Input((4,))
    table = tftrace.count(keras.Model(x, Choosing()(x), name="m")).layers
    assert table.loc[table["name"] == "dense", "path"].tolist() == ["m/own/dense", "m/own/dense#2"]


def test_the_step_that_a_recurrent_layer_tries_is_no_call_site():
    x = keras.Input((5, 4))
    cells = [layers.LSTMCell(3, name="one"), layers.GRUCell(2, name="two")]
    y = layers.Bidirectional(layers.RNN(cells, name="rnn"), name="both")(x)
    found = tftrace.count(keras.Model(x, y, name="m")).layers
    assert not found["path"].str.contains("#").any()
    # Of the stacked cells, forward and backward.
    assert found["path"].str.contains(r"/stacked_rnn_cells\w*/one$").sum() == 2


def sites(*paths):
    found = {}
    for path in paths:
        parent, _, own = path.rpartition("/")
        name = own.partition(ANOTHER_GRAPH)[0].partition("#")[0]
        depth = path.count("/")
        found[path] = CallSite(path, name, "Layer", 1, depth, parent or None)
    return found


def test_calls_below_a_tried_call_follow_it():
    inner = f"m/cell{ANOTHER_GRAPH}0"
    noted = sites("m", "m/cell", "m/cell/dense", inner, f"{inner}/dense{ANOTHER_GRAPH}0")
    found = final_paths(noted, {f"{inner}/dense{ANOTHER_GRAPH}0"})
    assert set(found.values()) == {"m", "m/cell", "m/cell/dense"}
    assert found[inner] == "m/cell"


def test_calls_of_which_nothing_is_needed_anywhere_stay():
    noted = sites("m", f"m/dense{ANOTHER_GRAPH}0")
    assert final_paths(noted, set()) == {"m": "m", f"m/dense{ANOTHER_GRAPH}0": "m/dense"}
