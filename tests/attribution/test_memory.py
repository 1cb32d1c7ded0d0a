"""Who holds the memory at the peak, of networks that are worked out by hand.

A sample is 65,536 floats, a batch has 4: what a layer hands on is so many MiB. Every layer here
must write a buffer of its own.
"""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import tftrace
from tftrace.report.html.memory import memory_chart
from tftrace.report.html.run import render_page
from tftrace.report.terminal.run import render_text
from tftrace.tracer import tf_private
from tftrace.tracer.setting import setting

MIB = 1 << 20
SAMPLE = 1 << 16
layers = keras.layers


class Turns(layers.Layer):
    """Three turns of a loop, each of which makes a tensor as large as its input."""

    def call(self, x):
        return tf.while_loop(lambda i, _: i < 3, lambda i, t: (i + 1, tf.roll(t, 1, 1)), (0, x))[1]


class Largest(layers.Layer):
    """The place of the largest number, as int64: its own values are floats and indices."""

    def call(self, x):
        return tf.argmax(x + 1.0, axis=-1, output_type=tf.int64)

    def compute_output_shape(self, shape):
        return shape[:-1]


class Half(layers.Layer):
    """Computes in single precision, hands on half."""

    def call(self, x):
        return tf.cast(x * 2.0, tf.float16)


def chain():
    """1 MiB in; 2 by the first; 4 by the second, made while the first is held."""
    return keras.Sequential(
        [
            keras.Input((SAMPLE, 1)),
            layers.ZeroPadding1D(SAMPLE // 2, name="two"),
            layers.ZeroPadding1D(SAMPLE, name="four"),
            layers.GlobalMaxPooling1D(name="end"),
        ],
        name="m",
    )


def diamond():
    """Two sides of 4 MiB are held while 8 are made of them; what they were made of is gone."""
    data = keras.Input((SAMPLE, 1))
    two = layers.ZeroPadding1D(SAMPLE // 2, name="two")(data)
    left = layers.ZeroPadding1D(SAMPLE, name="left")(two)
    right = layers.ZeroPadding1D((SAMPLE // 2, SAMPLE + SAMPLE // 2), name="right")(two)
    both = layers.Concatenate(name="both")([left, right])
    return keras.Model(data, layers.GlobalMaxPooling1D(name="end")(both), name="m")


def loop():
    """The loop's argument, and what its first turn makes; later turns hold as much."""
    data = keras.Input((SAMPLE, 1))
    two = layers.ZeroPadding1D(SAMPLE // 2, name="two")(data)
    turned = Turns(name="turns")(two)
    return keras.Model(data, layers.GlobalMaxPooling1D(name="end")(turned), name="m")


HELD = {
    chain: {("two",): 2, ("four",): 4},
    diamond: {("two",): 0, ("left",): 4, ("right",): 4, ("both",): 8},
    # Which turn has the peak is up to the next batch, which comes at any time.
    loop: {("two", "turns"): 4},
}
"""MiB at the peak, by layers together."""

pytestmark = pytest.mark.kernels


def below(table):
    """By layer, with the Keras operations that it calls."""
    name = table["path"].str.split("/").str[1]
    numbers = ["held_at_peak_bytes", "peak_live_bytes"]
    return table.groupby(name)[numbers].agg({numbers[0]: "sum", numbers[1]: "max"})


def profile_of(build):
    data = np.ones((8, SAMPLE, 1), "float32")
    return tftrace.profile(build(), data, batch_size=4, repeats=0, calibrate=False, memory=True)


@pytest.fixture(scope="module", params=HELD)
def by_hand(request):
    return request.param, profile_of(request.param)


def test_what_is_held_at_the_peak_is_what_the_hand_says(by_hand):
    build, profile = by_hand
    table = below(profile.memory)["held_at_peak_bytes"]
    for names, size in HELD[build].items():
        found = table[list(names)].sum()
        if setting().onednn:
            # Its allocator hands out what it has, up to twice of what is asked for.
            assert size * MIB <= found < 2 * size * MIB + (not size)
        else:
            # Counters, conditions and axes are noted, too.
            assert 0 <= found - size * MIB < 64


def test_the_holders_sum_to_the_peak_that_tensorflow_counts(by_hand):
    _, profile = by_hand
    found = profile._held
    total = profile.memory["held_at_peak_bytes"].sum()
    assert total == profile.memory_timeline["live_bytes"].max()
    if setting().onednn:
        assert found.buffers.drift == 0
        assert total == found.buffers.counted_peak


def test_the_allocator_says_the_same_peak_where_it_counts(by_hand):
    _, profile = by_hand
    table = profile.allocators.set_index("allocator")
    if setting().onednn:
        assert table["peak_bytes"]["mklcpu"] == profile.memory["held_at_peak_bytes"].sum()
        assert table["rounding_bytes"]["mklcpu"] >= 0
        assert table["limit_bytes"]["mklcpu"] >= table["process_peak_bytes"]["mklcpu"]
    else:
        assert table["allocations"]["cpu"] > 0
        assert table.loc["cpu"].drop("allocations").isna().all()


def test_an_output_is_that_of_a_full_batch(by_hand):
    build, profile = by_hand
    table = profile.memory.set_index("path")["output_bytes"]
    assert table["m/two"] == 2 * MIB
    if build is diamond:
        assert table["m/both"] == 8 * MIB


def test_the_timeline_ends_where_its_holders_end(by_hand):
    _, profile = by_hand
    timeline = profile.memory_timeline
    assert timeline["time_ms"].is_monotonic_increasing
    last = timeline.groupby("path")["held_bytes"].last()
    assert last.sum() == timeline["live_bytes"].iloc[-1]


def test_while_a_layer_ran_at_least_its_own_was_live(by_hand):
    build, profile = by_hand
    table = below(profile.memory)
    largest = {chain: "four", diamond: "both", loop: "turns"}[build]
    total = profile.memory["held_at_peak_bytes"].sum()
    assert table["peak_live_bytes"][largest] == total


def test_weights_are_held_beside_the_layers():
    """1,024 x 1,024 floats and 1,024: 4 MiB in the allocator, and 4 KiB that may be too small."""
    model = keras.Sequential([keras.Input((1024,)), layers.Dense(1024, name="d")], name="m")
    data = np.ones((512, 1024), "float32")
    profile = tftrace.profile(model, data, batch_size=512, repeats=0, calibrate=False, memory=True)
    table = profile.memory.set_index("path")
    assert table["weights_bytes"]["m/d"] == 4 * MIB + 4096
    small = 0 if setting().onednn else 4096
    assert table["held_at_peak_bytes"]["weights"] == 4 * MIB + small


def test_the_layers_say_the_same_and_a_container_the_most_of_its_parts(by_hand):
    build, profile = by_hand
    columns = ["output_bytes", "peak_live_bytes"]
    layers, table = (t.set_index("path")[columns] for t in (profile.layers, profile.memory))
    pd.testing.assert_frame_equal(layers, table.loc[layers.index])
    whole = profile.tree(0).iloc[0]
    assert whole["peak_live_bytes"] == profile.memory["held_at_peak_bytes"].sum()
    channels = 2 if build is diamond else 1
    assert whole["output_bytes"] == 4 * channels * 4  # of a batch of four
    text = render_text(profile, sort="peak_live_bytes")
    assert "most live" in text


TYPES = [(Largest, 8), (layers.Softmax, 4 * 3), (Half, 2 * 3)]


@pytest.mark.parametrize(("made", "size"), TYPES)
def test_an_output_has_the_type_of_what_is_handed_on(made, size):
    """Of three numbers a sample, of eight samples, fewer than a batch: the place of the largest is
    one of eight bytes."""
    model = keras.Sequential([keras.Input((3,)), made(name="own")], name="m")
    profile = tftrace.profile(model, np.ones((8, 3), "float32"), repeats=0, calibrate=False)
    table = profile.layers.set_index("path")
    assert table["output_bytes"]["m/own"] == 8 * size
    assert table["peak_live_bytes"].isna().all()


def test_the_report_and_the_json_have_it_where_it_was_asked_for():
    asked = profile_of(chain)
    assert "memory at the peak" in str(asked)
    page = render_page(asked)
    assert "Holders at the peak" in page
    assert 'id="memory"' in page
    assert {row["path"] for row in asked.to_dict()["memory"]} >= {"m/two", "weights", "unnamed"}
    plain = tftrace.profile(chain(), np.ones((4, SAMPLE, 1), "float32"), repeats=0, calibrate=False)
    assert "memory" not in plain.to_dict()
    assert "memory at the peak" not in str(plain)
    assert 'id="memory"' not in render_page(plain)


def test_where_the_allocator_cannot_note_it_the_reason_is_told(monkeypatch):
    """Without the functions that TensorFlow exports, and without oneDNN."""
    if setting().onednn:
        pytest.skip("oneDNN's allocator notes it anyway")
    monkeypatch.setattr(tf_private, "_STATS_SYMBOLS", ("no", "such", "door"))
    profile = profile_of(chain)
    assert profile.memory["held_at_peak_bytes"].isna().all()
    assert profile.memory["note"].str.contains("allocator").all()
    assert profile.memory["basis"].isna().all()
    assert len(profile.memory_timeline) == 0
    assert "does not show" in str(profile)


def test_where_all_is_too_small_the_reason_is_told():
    if not setting().onednn:
        pytest.skip("without oneDNN everything is noted")
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="d")], name="m")
    profile = tftrace.profile(
        model, np.ones((8, 4), "float32"), repeats=0, calibrate=False, memory=True
    )
    assert profile.memory["held_at_peak_bytes"].isna().all()
    assert profile.memory["note"].str.contains("256 KiB").all()


def test_the_chart_stacks_to_what_is_live(by_hand):
    """At the peak its stack is the whole peak, in MB."""
    _, profile = by_hand
    source = memory_chart(profile).select_one({"name": "memory"})
    columns = [v for k, v in source.data.items() if k != "ms"]
    peak = profile.memory_timeline["live_bytes"].max() / 1e6
    assert max(map(sum, zip(*columns, strict=True))) == pytest.approx(peak)


def test_what_an_optimizer_keeps_is_held_beside_the_weights():
    """Adam has two moments, each as large as the kernel of 4 MiB."""
    model = keras.Sequential([keras.Input((1024,)), layers.Dense(1024, name="d")], name="m")
    model.compile("adam", "mse")
    data = np.ones((512, 1024), "float32")
    profile = tftrace.profile(
        model, data, data, phase="fit", batch_size=512, repeats=0, calibrate=False, memory=True
    )
    table = profile.memory.set_index("path")["held_at_peak_bytes"]
    assert table["unnamed"] >= 8 * MIB
    assert table["m/d"] >= 2 * MIB
