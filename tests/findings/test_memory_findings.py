"""Findings about memory: runs made by hand, whose savings are worked out there, and real networks.

A batch is 8 samples of 64 x 64 pixels: a tensor of 32 channels of float32 has 4 MiB.
"""

import keras
import networks
import numpy as np
import pytest
from runs_by_hand import buffer, graph, layer, run
from runs_for_rules import both_settings  # noqa: F401

import tftrace
from tftrace.findings import find
from tftrace.findings.registry import of_memory
from tftrace.report.explained import of_memory as told
from tftrace.report.findings import grouped
from tftrace.report.html.run import render_page

MIB = 1 << 20
PATHS = ("m/a", "m/b", "m/c", "m/add")
layers = keras.layers


def found(*buffers, **settings):
    rows = [layer(path, "Layer", 1.0) for path in PATHS]
    return of_memory(run(rows, buffers=buffers, **settings))


# --- by hand --------------------------------------------------------------------------------


def test_without_buffers_there_is_nothing_to_tell():
    assert found() == []
    assert found(buffer("weights", None, 100), buffer("inputs", "GatherV2", 50, 0.0, 9.0)) == []


@pytest.mark.parametrize(("op_type", "sure"), [("Pad", "modelled"), ("ConcatV2", "heuristic")])
def test_a_copy_saves_what_the_next_peak_is_lower_by(op_type, sure):
    """100 of the copy and 40 of its source; later 90 are held: the peak falls from 140 to 90."""
    (finding,) = found(
        buffer("m/a", "Conv2D", 40, 0.0, 2.0),
        buffer("m/b", op_type, 100, 1.0, 3.0),
        buffer("m/c", "Conv2D", 90, 4.0, 5.0, at_peak=False),
    )
    assert (finding.kind, finding.layer) == ("copy at the peak", "m/b")
    assert finding.saving_bytes == 50
    assert finding.saving_ms is None
    assert finding.sure == sure
    assert finding.evidence["bytes"] == 100
    assert finding.evidence["peak_bytes"] == 140
    assert "ms" not in finding.evidence


def test_a_copy_beside_another_peak_as_high_saves_nothing():
    assert not found(
        buffer("m/a", "Conv2D", 40, 0.0, 2.0),
        buffer("m/b", "Pad", 100, 1.0, 3.0),
        buffer("m/c", "Conv2D", 140, 4.0, 5.0, at_peak=False),
    )


JOINED = graph(
    ("x", "Placeholder", None),
    ("a", "Conv2D", "m/a", ["x"]),
    ("b", "Conv2D", "m/b", ["a"]),
    ("c", "Conv2D", "m/c", ["b"]),
    ("add", "AddV2", "m/add", ["a", "c"]),
    ("end", "Identity", None, ["add"]),
)


@pytest.mark.parametrize(
    ("columns", "seen"),
    [
        ({"waits_ms": 3.0, "next_reader": "m/add"}, 1),
        # A kernel used it at the peak; what uses it next has no other input; a gradient does.
        ({}, 0),
        ({"waits_ms": 3.0, "next_reader": "m/c"}, 0),
        ({"waits_ms": 3.0, "next_reader": "m/add", "last_phase": None}, 0),
    ],
)
def test_a_skip_connection_names_who_made_it_and_who_waits(columns, seen):
    """30 of 100 wait while 40 and 30 are held; without them 70 are left."""
    findings = found(
        buffer("m/a", "Conv2D", 30, 0.0, 9.0, **columns),
        buffer("m/b", "Conv2D", 40, 1.0, 5.0),
        buffer("m/c", "Conv2D", 30, 2.0, 9.0),
        graph=JOINED,
    )
    findings = [f for f in findings if f.kind == "tensor kept for a later layer"]
    assert len(findings) == seen
    for finding in findings:
        assert finding.saving_bytes == 30
        assert (finding.evidence["producer"], finding.evidence["consumer"]) == ("m/a", "m/add")
        assert "kept for add" in finding.text


def test_doubles_would_have_half_the_size():
    """60 and 20 in float64 are 40, but the moment before has 50 of single precision and 20."""
    (finding,) = found(
        buffer("m/c", "Conv2D", 50, 0.0, 1.5, at_peak=False),
        buffer("m/a", "Conv2D", 20, 1.0, 3.0, dtype="float64"),
        buffer("m/b", "Conv2D", 60, 2.0, 3.0, dtype="float64"),
    )
    assert (finding.kind, finding.layer) == ("float64 at the peak", None)
    assert finding.saving_bytes == 80 - (50 + 10)
    assert finding.evidence["layers"] == ["m/a", "m/b"]


@pytest.mark.parametrize(("last_phase", "seen"), [("backward", 1), ("forward", 0), (None, 0)])
def test_activations_are_kept_where_a_gradient_gave_them_back(last_phase, seen):
    """Two of 40 are kept beside 20 of the gradient's; halved, 60 of 100 are left."""
    findings = found(
        buffer("m/a", "Conv2D", 40, 0.0, 9.0, last_phase=last_phase),
        buffer("m/b", "Conv2D", 40, 1.0, 8.0, last_phase=last_phase),
        buffer("m/c", "Conv2DBackpropInput", 20, 2.0, 4.0, phase="backward"),
        call="fit",
    )
    assert [f.kind for f in findings] == ["activations kept for gradients"] * seen
    for finding in findings:
        assert finding.saving_bytes == 40
        assert finding.evidence["bytes"] == 80


@pytest.mark.parametrize(("other", "seen"), [(30, 1), (80, 0)])
def test_one_layer_makes_the_peak_where_all_others_need_half(other, seen):
    """100 of one layer beside 10 of weights; without it the step has ``other``."""
    findings = found(
        buffer("weights", None, 10),
        buffer("m/a", "Conv2D", 100, 0.0, 1.0),
        buffer("m/b", "Conv2D", other, 2.0, 3.0, at_peak=False),
    )
    assert [f.kind for f in findings] == ["one layer makes the peak"] * seen
    for finding in findings:
        assert finding.saving_bytes == 100 - other
        assert finding.layer == "m/a"


def test_what_is_small_beside_the_peak_is_left_out():
    assert not found(
        buffer("weights", None, 1000),
        buffer("m/b", "Pad", 49, 1.0, 3.0),
        buffer("m/a", "Conv2D", 40, 1.0, 3.0, dtype="float64"),
    )


def test_they_stand_behind_those_about_time_and_are_told_apart():
    rows = [layer(path, "Layer", 1.0) for path in PATHS]
    findings = find(run(rows, buffers=[buffer("m/b", "Pad", 100, 1.0, 3.0)]))
    assert grouped(findings) == []
    (group,) = grouped(findings, memory=True)
    assert group.title == "copy at the peak: would lower the peak by about 100 B (modelled)"


def test_a_block_that_is_larger_than_what_was_asked_for_makes_no_layer_the_peak():
    """50 beside 40 of another: without them 40. In a block of 100 they would be over half."""
    rest = buffer("m/a", "Conv2D", 40, 0.0, 3.0)
    told = ["one layer makes the peak"]
    for asked, seen in ((100, told), (50, [])):
        big = buffer("m/b", "Conv2D", 100, 1.0, 3.0, asked_bytes=asked)
        assert [f.kind for f in found(rest, big)] == seen


# --- real networks --------------------------------------------------------------------------


def joined():
    """The peak is the concatenation's: what it joins and what it makes."""
    data = keras.Input((64, 64, 8))
    left = layers.Conv2D(32, 1, name="left")(data)
    right = layers.Conv2D(32, 1, name="right")(data)
    both = layers.Concatenate(name="both")([left, right])
    return keras.Model(data, layers.GlobalMaxPooling2D(name="end")(both), name="m")


def skipping():
    """``first`` waits for ``add`` while the wide layers have the peak."""
    data = keras.Input((64, 64, 8))
    first = layers.Conv2D(32, 1, activation="relu", name="first")(data)
    wide = layers.Conv2D(96, 1, activation="relu", name="wide")(first)
    wider = layers.Conv2D(96, 1, activation="relu", name="wider")(wide)
    narrow = layers.Conv2D(32, 1, name="narrow")(wider)
    added = layers.Add(name="add")([first, narrow])
    return keras.Model(data, layers.GlobalAveragePooling2D(name="end")(added), name="m")


def doubled():
    kind = {"dtype": "float64"}
    data = keras.Input((64, 64, 16), **kind)
    first = layers.Conv2D(32, 1, name="first", **kind)(data)
    second = layers.Conv2D(32, 1, name="second", **kind)(first)
    return keras.Model(data, layers.GlobalMaxPooling2D(name="end", **kind)(second), name="m")


def alone():
    """16 MiB of one layer, an eighth of that of any other."""
    data = keras.Input((64, 64, 8))
    big = layers.Conv2D(128, 1, name="big")(data)
    pooled = layers.MaxPooling2D(8, name="pool")(big)
    return keras.Model(data, layers.Conv2D(8, 1, name="end")(pooled), name="m")


def chain(name="m", kernel=3):
    data = x = keras.Input((64, 64, 32))
    for number in range(4):
        x = layers.Conv2D(32, kernel, padding="same", activation="relu", name=f"c{number}")(x)
    return keras.Model(data, layers.GlobalMaxPooling2D(name="end")(x), name=name)


REAL = {
    joined: ("copy at the peak", "m/both", 8 * MIB),
    skipping: ("tensor kept for a later layer", "m/first", 4 * MIB),
    doubled: ("float64 at the peak", None, 8 * MIB),
    alone: ("one layer makes the peak", "m/big", None),
}


@pytest.fixture(scope="module", params=[*REAL, chain])
def real(request):
    model = request.param()
    kind = "float64" if request.param is doubled else "float32"
    data = networks.normal(16, *model.input_shape[1:]).astype(kind)
    return request.param, tftrace.profile(
        model, data, batch_size=8, repeats=0, calibrate=False, memory=True
    )


@pytest.mark.kernels
def test_a_real_network_has_its_finding_and_no_other(real):
    build, profile = real
    findings = [f for f in profile.findings if f["saving_bytes"] is not None]
    if build is chain:
        assert findings == []
        return
    kind, path, saving = REAL[build]
    (finding,) = findings
    assert (finding["kind"], finding["layer"]) == (kind, path)
    assert finding["evidence"]["peak_bytes"] == profile.memory["held_at_peak_bytes"].sum()
    assert finding["saving_bytes"] < finding["evidence"]["peak_bytes"]
    if saving is not None:
        # With oneDNN a buffer may be larger than what was asked for, and so may the next peak.
        assert saving / 2 <= finding["saving_bytes"] <= 2 * saving
    if build is skipping:
        assert finding["evidence"]["consumer"] == "m/add"


@pytest.mark.kernels
def test_the_report_tells_it(real):
    build, profile = real
    text, page = str(profile), render_page(profile)
    lines = [line.text for explain in (False, True) for line in told(profile, explain)]
    if build is chain:
        assert lines == []
        assert "what would lower the peak" not in text
        return
    kind = REAL[build][0]
    assert f"1 {kind}: would lower the peak by" in text
    assert sum(kind in line for line in lines) == 2
    assert any(line.startswith("remedy: ") for line in lines)
    assert kind in page


@pytest.mark.kernels
def test_the_buffers_of_the_peak_sum_to_it(real):
    _, profile = real
    table = profile.buffers
    peak = profile.memory["held_at_peak_bytes"].sum()
    assert table.loc[table["at_peak"], "held_bytes"].sum() == peak
    assert table.attrs["units"]["held_bytes"] == "byte"
    ended = table["end_ms"].notna() & table["start_ms"].notna()
    assert (table["start_ms"] < table["end_ms"])[ended].all()


@pytest.mark.kernels
def test_fit_keeps_what_its_gradients_read():
    # Kernels of one pixel: without oneDNN the gradient of a larger one writes its windows out, and
    # two of those at once may have the peak where little waits for a gradient any more.
    model = chain(kernel=1)
    model.compile("sgd", "mse")
    x, y = networks.normal(16, 64, 64, 32), np.zeros((16, 32), "float32")
    profile = tftrace.profile(
        model, x, y, phase="fit", batch_size=8, repeats=0, calibrate=False, memory=True
    )
    (finding,) = (f for f in profile.findings if f["kind"] == "activations kept for gradients")
    kept = finding["evidence"]["layers"]
    # Which of them are left at the peak depends on which gradient has it; the first layer's result
    # is the last that the backward pass gives back.
    assert {"m/c0"} <= set(kept) <= {f"m/c{number}" for number in range(4)}
    assert finding["evidence"]["bytes"] >= len(kept) * 4 * MIB
    assert 0 < finding["saving_bytes"] <= finding["evidence"]["bytes"] / 2
