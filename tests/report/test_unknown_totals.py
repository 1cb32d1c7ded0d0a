"""A total with an unknown part is unknown, whoever shows it; the least it can be is named so."""

import io
import json
import re

import keras
import networks
import pytest
import tensorflow as tf
from rich.console import Console

import tftrace
from tftrace.budget import check
from tftrace.report.counts import counts_parts
from tftrace.report.exports.tables import write_counts_json
from tftrace.report.html.run import render_page
from tftrace.report.terminal.parts.draw import draw
from tftrace.report.terminal.run import render_text


@pytest.fixture
def profile(run_of):
    return run_of("half_known")


def row_of(text, start):
    (line,) = (line for line in text.splitlines() if line.startswith(start))
    return line.split()


def test_on_a_terminal(profile):
    text = render_text(profile, 100)
    assert row_of(text, "known")[-2:] == ["–", "128"]
    assert row_of(text, "spectrum")[-2:] == ["–", "–"]
    assert row_of(text, "all layers")[-2:] == ["–", "–"]
    assert "mults of all layers: not known, since those of a part are not; at least 128" in text


def test_of_the_layers_that_are_not_shown(profile):
    text = render_text(profile, 100, sort="mults", top=1)
    assert row_of(text, "(1 more)")[-2:] == ["–", "–"]


def test_rolled_up(profile):
    tree = profile.tree(0)
    assert tree["mults"].isna().all()
    assert row_of(render_text(profile, 100, depth=0), "all layers")[-2:] == ["–", "–"]


def test_in_html(profile):
    page = render_page(profile)
    foot = page[page.index("<tfoot>") : page.index("</tfoot>")]
    assert re.search('<td class="total-work work">(.*?)</td>', foot)[1] == "–"
    assert "not counted: RFFT (1), RFFT: the number of steps" in page
    assert "at least 128" in page


def test_of_a_count_without_a_run():
    x = keras.Input((8,))
    y = keras.layers.Lambda(tf.signal.rfft, name="spectrum")(keras.layers.Dense(16, name="d")(x))
    counts = tftrace.count(keras.Model(x, y))
    console = Console(file=io.StringIO(), width=100, color_system=None)
    draw(counts_parts(counts, "half"), console)
    text = console.file.getvalue()
    assert row_of(text, "d ")[3:5] == ["128", "–"]
    assert "mults: unknown; at least 128, in what is counted" in text


def test_in_json(tmp_path):
    x = keras.Input((8,))
    counts = tftrace.count(keras.Model(x, keras.layers.Lambda(tf.signal.rfft)(x)))
    write_counts_json(counts, tmp_path / "c.json")
    assert json.loads((tmp_path / "c.json").read_text())["totals"]["mults"] is None


def test_under_a_budget(profile):
    (breach,) = check(profile, {"counts": {"mults": 1e12}})
    assert breach.actual is None


def test_the_least_share_of_a_roof_with_an_unknown_one(profile):
    layers = profile.layers
    known = {"half/known": 0.5, "half/spectrum": None}
    profile = tftrace.load(profile.folder)
    profile.layers["roof_share"] = [known.get(path) for path in layers["path"]]
    (breach,) = check(profile, {"layer": [{"min_roof_share": 0.1}]})
    assert breach.actual is None


class Settling(keras.layers.Layer):
    """Halves its input until the sum is small."""

    def call(self, x):
        return tf.while_loop(lambda y: tf.reduce_sum(y) > 1.0, lambda y: (y / 2.0,), (x,))[0]


def test_of_expected_executions():
    x = keras.Input((8,))
    model = keras.Model(x, Settling(name="settling")(x))
    profile = tftrace.profile(model, networks.normal(40, 8), repeats=0, calibrate=False)
    assert profile.recording["expected"] is None
    assert profile.recording["unknown_ops"] > 0
    assert "how many to expect is not known" in " ".join(str(profile).split())


def test_what_is_not_counted_says_why():
    """Not every operation that is not counted lacks a formula."""
    flat = keras.Input((8,))

    def unknown(t):
        return tf.ensure_shape(tf.numpy_function(lambda a: a, [t], tf.float32), (None, 8))

    hidden = keras.layers.Lambda(unknown, output_shape=(8,))(flat)
    counts = tftrace.count(keras.Model(flat, keras.layers.Dense(4)(hidden)))
    assert "PyFunc (1), no formula" in str(counts.coverage)
    assert "MatMul (1), shape of input 0 is not known" in str(counts.coverage)
