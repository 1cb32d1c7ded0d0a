"""Every kind of model, by Keras 3 and 2, with and without XLA: nothing missing, nothing misplaced.

What is right is known from how a model is built (`zoo_models`) and from the trace itself, read by
TensorFlow's own schema. ``TFTRACE_SLOW=1`` runs all of them; ``TFTRACE_ZOO_REPORT`` names a file
that gets a line of figures per run.
"""

import importlib
import json
import os
import re
from pathlib import Path

import pytest
from raw_trace import executions, host_events, trace_of, window_ps
from zoo_models import ZOO

import tftrace
from tftrace.graph.kernel_types import plain_type

CONTRACTION = re.compile(
    r"(Conv\dD|Conv\dDBackpropInput|DepthwiseConv2dNative|MatMul|BatchMatMul"
    r"|XlaConv|Einsum|dot|convolution)$"
)
NO_WORK = {"_Arg", "_Retval", "Identity", "IdentityN", "NoOp", "Const"}
KERAS_2 = {"AssignAddVariableOp"}  # it counts batches in the graph
# Joins the batches of several steps; Keras 2 asks how many there are.
STEPS = {"ConcatV2", "Shape", "StridedSlice", "ReadVariableOp", "Sub"}


def runs():
    for entry in ZOO.values():
        for version in entry.keras:
            for jit in ("off", "on"):
                if jit == "on" and not (entry.xla if version == 3 else entry.xla2):
                    continue
                quick = entry.quick and (version == 3 or entry.name in ("lstm", "mobilenet_v2"))
                marks = () if quick and not _large_and_compiled(entry, jit) else pytest.mark.slow
                yield pytest.param(
                    entry.name, version, jit, id=f"{entry.name}-keras{version}-{jit}", marks=marks
                )


def _large_and_compiled(entry, jit):
    return entry.level == 2 and jit == "on"


def test_the_zoo_is_large():
    assert len(ZOO) >= 40
    assert 12 <= sum(entry.quick for entry in ZOO.values()) <= 25


@pytest.mark.kernels
@pytest.mark.parametrize(("name", "version", "jit"), list(runs()))
def test_all_time_is_where_it_belongs(name, version, jit):
    entry = ZOO[name]
    module = pytest.importorskip("keras" if version == 3 else "tf_keras")
    module.backend.clear_session()
    module.utils.set_random_seed(0)
    model, data = entry.build(module)
    profile = tftrace.profile(
        model,
        data,
        batch_size=8,
        repeats=0,
        warmup=0 if jit == "off" else 1,
        jit=jit,
        all_ops=entry.level == 3,
        calibrate=False,
    )
    try:
        report(name, version, jit, profile)
        closes(profile)
        every_event_is_shown(profile, jit)
        named_rows_only(profile, entry, version, jit)
        products_are_on_the_layers_that_make_them(profile, entry, jit)
        if jit == "off":
            types_are_on_their_layer(profile, entry)
        if entry.level == 3:
            executions_are_those_of_the_graph(profile)
        if entry.heavy:
            the_heavy_layer_is_the_longest(profile, entry)
    finally:
        module.backend.clear_session()


# --- what must hold


def closes(profile):
    length = window_ps(trace_of(profile)) / 1e9
    assert profile.wall["wall_ms"].sum() == pytest.approx(length, rel=1e-3)
    assert (profile.wall["wall_ms"] > -1e-9).all()
    wall = profile.wall.set_index("component")["wall_ms"]
    assert profile.layers["wall_ms"].sum() == pytest.approx(wall["layers"], rel=1e-6, abs=1e-9)
    assert wall["compilation"] == 0


def every_event_is_shown(profile, jit):
    raw = executions(host_events(trace_of(profile)))
    rows = profile.ops[profile.ops["calls"] > 0]
    assert sum(raw.values()) == rows["calls"].sum() == len(profile.events)
    if jit == "on":
        return  # kernels of the same name in several modules get longer names
    shown = rows.groupby(["op", "op_type"])["calls"].sum().to_dict()
    for (op, kind), count in raw.items():
        if kind == "XLA":  # functions that their authors compile
            continue
        # What runs in a function that is called has the call's name before its own.
        behind = sum(n for (o, t), n in shown.items() if t == kind and o.endswith("/" + op))
        assert shown.get((op, kind), 0) == count or behind + shown.get((op, kind), 0) >= count, op


def named_rows_only(profile, entry, version, jit):
    rows = profile.ops[profile.ops["calls"] > 0]
    assert set(rows["component"]) <= set(profile.wall["component"])
    assert rows[rows["component"] == "layers"]["layer"].isin(profile.layers["path"]).all()
    outside = rows[rows["component"] == "model ops outside layers"]
    if jit == "off":
        allowed = NO_WORK | (KERAS_2 if version == 2 else set())
        if entry.name == "several_steps_per_execution":
            allowed |= STEPS
            outside = outside[~outside["op"].str.startswith("while/")]  # Keras 2's loop of steps
        assert set(outside["op_type"]) <= allowed, outside[["op", "op_type", "wall_ms"]]


def products_are_on_the_layers_that_make_them(profile, entry, jit):
    rows = profile.ops[(profile.ops["calls"] > 0) & profile.ops["component"].ne("input pipeline")]
    products = rows[
        rows["op_type"].map(lambda kind: CONTRACTION.match(plain_type(kind)) is not None)
    ]
    assert products["layer"].notna().all(), products[products["layer"].isna()]["op"]
    if entry.level == 2:
        types = profile.layers.set_index("path")["type"]
        assert not {t for t in types[products["layer"]] if re.search("Norm|Activation|ReLU|Add", t)}
        return
    wanted = dict.fromkeys(entry.contracts, False)
    for op, path in zip(products["op"], products["layer"], strict=True):
        if jit == "on" and any(within(path, name) for name in entry.compiled):
            continue
        owners = [name for name in wanted if within(path, name)]
        owner = max(owners, key=lambda name: f"{path}/".rfind(f"{name}/"), default=None)
        assert owner is not None, (op, path)
        wanted[owner] = True
    if jit == "off":
        assert all(wanted.values()), wanted
    busy = profile.layers.set_index("path")["busy_ms"]
    for name in wanted:
        assert sum(ms for path, ms in busy.items() if within(path, name)) > 0, name


def types_are_on_their_layer(profile, entry):
    rows = profile.ops[(profile.ops["calls"] > 0) & profile.ops["component"].ne("input pipeline")]
    # By TensorFlow's own type, versions and all; oneDNN's and fused kernels by what they compute.
    rows = rows.assign(plain=[t if t[0] != "_" else plain_type(t) for t in rows["op_type"]])
    entry_ran = False
    for kind, name in entry.only.items():
        found = rows[rows["plain"] == kind]
        assert all(within(path, name) for path in found["layer"]), (kind, found["layer"].tolist())
        # A kernel that took it in is its costliest member's layer's.
        entry_ran |= len(found) > 0 or any(_takes_in(kind, members) for members in rows["members"])
    assert entry_ran or not entry.only, "no such operation ran"


def _takes_in(kind: str, members: list[str]) -> bool:
    """Whether one of several ops that a kernel computes is named after the type, as ops are."""
    return len(members) > 1 and any(m.rpartition("/")[2] == kind for m in members)


def executions_are_those_of_the_graph(profile):
    """With every kernel recorded, the graph's count is the trace's."""
    known = profile.ops.dropna(subset="expected_calls")
    known = known[known["calls"] > 0]
    different = known[known["calls"] != known["expected_calls"]]
    assert different.empty, different[["op", "op_type", "calls", "expected_calls"]].to_string()


def the_heavy_layer_is_the_longest(profile, entry):
    busy = profile.layers.set_index("path")["busy_ms"]
    assert within(busy.idxmax(), entry.heavy), busy.to_dict()


def within(path, name):
    """Whether ``name`` (perhaps several levels of it) is among the parts of a path."""
    plain = re.sub(r"#\d+", "", str(path))
    return f"/{name}/" in f"/{plain}/"


# --- figures for people


def report(name, version, jit, profile):
    target = os.environ.get("TFTRACE_ZOO_REPORT")
    if not target:
        return
    wall = profile.wall.set_index("component")["wall_ms"]
    ops = profile.ops[profile.ops["component"] != "input pipeline"]
    total = ops["wall_ms"].sum()
    outside = ops[ops["component"] == "model ops outside layers"]["wall_ms"].sum()
    length = window_ps(trace_of(profile)) / 1e9
    line = {
        "model": name,
        "keras": version,
        "jit": jit,
        "closure": abs(wall.sum() - length) / length,
        "outside_share_of_ops": outside / total if total else 0.0,
        **{k: profile.recording[k] for k in ("recorded", "expected", "worker_ms_unresolved")},
        "layers": len(profile.layers),
    }
    with Path(target).open("a") as file:
        file.write(json.dumps(line) + "\n")


def test_names_that_tensorflow_refuses_are_refused_with_a_reason():
    keras = importlib.import_module("keras")
    layers = keras.layers
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, name="é ä")], name="m")
    data = ZOO["perceptron"].build(keras)[1][:, :4]
    with pytest.raises(tftrace.TftraceError, match="name"):
        tftrace.profile(model, data, repeats=0, calibrate=False)
