"""Every kind of model in ``fit``, with and without XLA: each event has a phase and an owner.

Two witnesses that tftrace does not use: the wall by TensorFlow's own schema, and the names that
the gradient tape gives (``gradient_tape/<scope of the forward operation>``), where a scope is that
of one layer alone.
"""

import json
import os
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from raw_trace import trace_of, window_ps
from zoo_models import ZOO

import tftrace
from tftrace.graph.phases import PHASES

# Of no layer, and what Keras's step does beside the layers: it packs its iterator's element.
OUTSIDE = {"OptionalFromValue", "OptionalGetValue", "_Arg", "_Retval", "Identity", "NoOp", "Const"}
REFUSED = {"several_steps_per_execution"}
"""Not measured in ``fit``: refused with its reason."""


def runs():
    for entry in ZOO.values():
        if 3 not in entry.keras or entry.name in REFUSED:
            continue
        for jit in ("off", "on"):
            if jit == "on" and not entry.xla:
                continue
            quick = entry.name in ("convolution_norm_relu", "lstm", "shared_layer") and jit == "off"
            marks = () if quick else pytest.mark.slow
            yield pytest.param(entry.name, jit, id=f"{entry.name}-{jit}", marks=marks)


def compiled(entry):
    """The model with a loss on each output, its data, and zeros as labels."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    model, x = entry.build(keras)
    outputs = model.predict(x, verbose=0)
    y = keras.tree.map_structure(lambda each: np.zeros(each.shape, "float32"), outputs)
    losses = keras.tree.map_structure(lambda _: "mse", outputs)
    model.compile(keras.optimizers.Adam(), losses)
    return model, x, y


def test_the_zoo_that_is_trained_is_large():
    assert len({run.values[0] for run in runs()}) >= 25


@pytest.mark.kernels
@pytest.mark.parametrize(("name", "jit"), list(runs()))
def test_every_event_has_a_phase_and_an_owner(name, jit):
    model, x, y = compiled(ZOO[name])
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    before = [v.numpy() for v in variables]
    profile = tftrace.profile(
        model,
        x,
        y,
        phase="fit",
        batch_size=8,
        repeats=0,
        jit=jit,
        all_ops=ZOO[name].level == 3,
        calibrate=False,
    )
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    report(name, jit, profile)
    closes(profile)
    phases_and_owners(profile, jit)
    if jit == "off":
        the_tape_names_the_same_layers(profile)


def closes(profile):
    wall = profile.wall.set_index("component")["wall_ms"]
    assert wall.sum() == pytest.approx(window_ps(trace_of(profile)) / 1e9, rel=1e-3)
    assert wall["compilation"] == 0
    layers = profile.layers
    assert layers["wall_ms"].sum() == pytest.approx(wall["layers"], rel=1e-6, abs=1e-9)
    parts = layers[["forward_ms", "backward_ms", "optimizer_ms"]].sum(axis=1)
    np.testing.assert_allclose(parts.astype(float), layers["wall_ms"].astype(float), atol=1e-9)
    assert not any(profile.checks.values()), profile.checks


def phases_and_owners(profile, jit):
    ran = profile.ops[profile.ops["calls"] > 0]
    mine = ran[~ran["component"].isin(["input pipeline", "executor and unrecorded ops"])]
    nameless = mine[mine["phase"].isna()]
    assert set(nameless["op_type"]) <= OUTSIDE, nameless[["op", "op_type", "component"]]
    assert set(mine["phase"].dropna()) <= set(PHASES)
    assert mine["layer"].notna().any()
    outside = mine[mine["component"] == "model ops outside layers"]
    if jit == "off":
        assert set(outside["op_type"]) <= OUTSIDE, outside[["op", "op_type", "wall_ms"]]
    assert unexplained(mine, outside) <= 0.002


def unexplained(mine, outside):
    """Share of the time of kernels whose owner nobody knows."""
    told = outside[~outside["op_type"].isin(OUTSIDE)]
    return float(told["wall_ms"].sum()) / float(mine["wall_ms"].sum())


def the_tape_names_the_same_layers(profile):
    """`gradient_tape/<model>/<layer>/…` is of the one call site whose name is the layer's."""
    names = profile.layers["name"].value_counts()
    unique = set(names[names == 1].index)
    for row in profile.ops[profile.ops["phase"] == "backward"].itertuples():
        if len(row.members) > 1:
            continue  # it bears the layer of the costliest of what it took in
        scope = re.search(r"gradient_tape/[^/]+/([^/]+)/", row.op)
        said = scope and re.sub(r"_\d+$", "", scope[1])
        if said in unique and isinstance(row.layer, str):
            assert f"/{said}/" in f"/{row.layer}/", (row.op, row.layer)


def report(name, jit, profile):
    target = os.environ.get("TFTRACE_ZOO_REPORT")
    if not target:
        return
    wall = profile.wall.set_index("component")["wall_ms"]
    ran = profile.ops[(profile.ops["calls"] > 0) & profile.ops["component"].ne("input pipeline")]
    outside = ran[ran["component"] == "model ops outside layers"]
    length = window_ps(trace_of(profile)) / 1e9
    line = {
        "model": name,
        "jit": jit,
        "closure": abs(wall.sum() - length) / length,
        "unexplained": unexplained(ran, outside),
        "backward_rows": int((ran["phase"] == "backward").sum()),
        "outside": sorted(set(outside["op_type"])),
    }
    with Path(target).open("a") as file:
        file.write(json.dumps(line) + "\n")
