"""Estimates of a training step: its graph without a run, and its time forward and backward."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from machine_by_hand import MACHINE, steady

import tftrace
from tftrace.api import estimate as api
from tftrace.counts.flow import flow_of
from tftrace.errors import TftraceError
from tftrace.estimation.alone import estimate_alone
from tftrace.graph.kernel_types import plain_type
from tftrace.machine import sampling
from tftrace.machine.bench import alone, calls
from tftrace.machine.bench.alone import seconds_alone
from tftrace.machine.model import CallCost
from tftrace.tracer.graphs.optimized import Optimized, kernels_of
from tftrace.tracer.graphs.programs import program_of
from tftrace.tracer.graphs.recorder import Recording
from tftrace.tracer.graphs.training import batch_specs, trace_training
from tftrace.tracer.graphs.units import units_of


def two_dense():
    model = keras.Sequential(
        [keras.Input((10,)), layers.Dense(6, name="one"), layers.Dense(4, name="two")]
    )
    model.compile("sgd", "mse")
    return model


def traced(model, *shape):
    graph, recording = trace_training(model, batch_specs(model, [shape]))
    kernels, reason = kernels_of(graph)
    assert reason is None
    found = units_of(kernels, flow_of(kernels.program))
    return program_of(graph, recording), kernels.program, found, list(recording.sites.values())


def test_products_forward_and_backward_are_of_their_layers() -> None:
    """1 ms each: a layer multiplies once forward, once for its weights' gradient, and, but for the
    first, once for its data's."""
    program, kernels, found, sites = traced(two_dense(), 8, 10)
    nodes = kernels.functions[kernels.root].nodes
    products = [
        unit for unit in found.units if "MatMul" in {plain_type(nodes[n].type) for n in unit.names}
    ]
    times = {unit.digest: steady(0.0) for unit in found.units}
    times |= {unit.digest: steady(0.001) for unit in products}
    told = estimate_alone(
        *(program, kernels, found.units, found.left, times, sites, MACHINE, 8, 3),
        phase="fit",
        around=CallCost(steady(2.0), steady(40.0)),
    )
    rows = told.layers.set_index("path")
    one, two = (rows.loc[f"{sites[0].path}/{name}"] for name in ("one", "two"))
    forward, backward, optimizer = "forward_ms", "backward_ms", "optimizer_ms"
    assert [one[c] for c in ("ms", forward, backward, optimizer)] == pytest.approx([2, 1, 1, 0])
    assert [two[c] for c in ("ms", forward, backward, optimizer)] == pytest.approx([3, 1, 2, 0])
    # 8 x 10 x 6 and 8 x 6 x 4
    assert [one["macs"], one["macs_backward"]] == [480, 480]
    assert [two["macs"], two["macs_backward"]] == [192, 384]
    # 40 ms for the epoch, and three batches of 2 ms around five products
    assert told.total.ms == pytest.approx(40 + 3 * (2 + 5))
    assert told.total.mac_only_ms == pytest.approx(3 * (480 * 2 + 192 * 3) / 50e6)
    assert told.to_dict()["phase"] == "fit"


def test_what_moves_the_weights_is_the_optimizers() -> None:
    program, kernels, found, sites = traced(two_dense(), 8, 10)
    nodes = kernels.functions[kernels.root].nodes
    updates = [u for u in found.units if any("Assign" in nodes[name].type for name in u.names)]
    times = {unit.digest: steady(0.0) for unit in found.units}
    times |= {unit.digest: steady(0.001) for unit in updates}
    told = estimate_alone(
        *(program, kernels, found.units, found.left, times, sites, MACHINE, 8), phase="fit"
    )
    layers_ = told.layers[told.layers["type"] == "Dense"]
    # a kernel and a bias each
    assert layers_["optimizer_ms"].tolist() == pytest.approx([2, 2])
    assert layers_["ms"].tolist() == pytest.approx([2, 2])


def normed():
    return [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(), layers.MaxPooling2D()]


@pytest.mark.kernels
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize(
    "build",
    [
        lambda: [keras.Input((12, 12, 3)), *normed(), layers.Flatten(), layers.Dense(2)],
        lambda: [keras.Input((5, 3)), layers.LSTM(4), layers.Dense(2)],
        lambda: [keras.Input((6,), dtype="int32"), layers.Embedding(9, 4), layers.GRU(2)],
    ],
    ids=["norm", "lstm", "embedding"],
)
def test_every_kernel_of_a_step_runs_alone(build, optimizer, monkeypatch) -> None:
    monkeypatch.setattr(alone, "measure_seconds", lambda run, **_: (run(), steady(0.001))[1])
    model = keras.Sequential(build())
    model.compile(optimizer, "mse")
    _, kernels, found, _ = traced(model, 4, *model.input_shape[1:])
    nodes = kernels.functions[kernels.root].nodes
    assert [nodes[name].type for name in found.left] == []
    for unit in {unit.digest: unit for unit in found.units}.values():
        assert seconds_alone(unit).best > 0, unit.names


def test_a_sum_in_a_variable_that_lives_as_long_is_timed_as_one() -> None:
    """TensorFlow's optimizer adds gradients up in place where they are large."""
    names = ["v", "first", "second", "third", "sum"]
    graph = tf.Graph()
    with graph.as_default():
        given = [tf.compat.v1.placeholder(tf.float32, (64, 64), name=f"x{i}") for i in range(3)]
        variable = tf.raw_ops.TemporaryVariable(
            shape=(64, 64), dtype=tf.float32, var_name="t", name=names[0]
        )
        begun = tf.raw_ops.Assign(ref=variable, value=given[0], name=names[1])
        added = [
            tf.raw_ops.AssignAdd(ref=begun, value=x, name=name)
            for x, name in zip(given[1:], names[2:4], strict=True)
        ]
        with tf.control_dependencies(added):
            tf.raw_ops.DestroyTemporaryVariable(ref=begun, var_name="t", name=names[4])
    definition = graph.as_graph_def()
    made = tf.__internal__.FuncGraph("g")
    with made.as_default():
        tf.import_graph_def(definition, name="")
    made.inputs = [made.get_tensor_by_name(f"x{i}:0") for i in range(3)]
    made.outputs = [made.get_tensor_by_name("sum:0")]
    program = program_of(made, Recording(None))
    found = units_of(Optimized(definition, program), flow_of(program))
    assert found.left == []
    assert [sorted(unit.names) for unit in found.units] == [sorted(names)]
    assert all(seconds_alone(found.units[0], lanes).best > 0 for lanes in (1, 2))


@pytest.mark.parametrize(
    ("loss", "labels"),
    [
        ("mse", ((8, 5, 4), "float32")),
        ("sparse_categorical_crossentropy", ((8, 5), "int32")),
        (keras.losses.SparseCategoricalCrossentropy(), ((8, 5), "int32")),
        (keras.losses.sparse_categorical_crossentropy, ((8, 5), "int32")),
        (lambda y, z: keras.ops.mean(z), ((8, 5, 4), "float32")),
    ],
)
def test_labels_are_shaped_as_the_loss_takes_them(loss, labels) -> None:
    model = keras.Sequential([keras.Input((5, 3)), layers.Dense(4)])
    model.compile("sgd", loss)
    _, spec = batch_specs(model, [(8, 5, 3)])
    assert (tuple(spec.shape), spec.dtype.name) == labels


@pytest.mark.parametrize("by_name", [True, False])
def test_each_output_has_labels_of_its_own_loss(by_name) -> None:
    given = keras.Input((3,))
    outputs = [layers.Dense(4, name="z")(given), layers.Dense(2, name="a")(given)]
    model = keras.Model(given, outputs)
    sparse = "sparse_categorical_crossentropy"
    model.compile("sgd", {"z": sparse, "a": "mse"} if by_name else [sparse, "mse"])
    _, specs = batch_specs(model, [(8, 3)])
    assert [(tuple(s.shape), s.dtype.name) for s in specs] == [((8,), "int32"), ((8, 2), "float32")]


def quick(monkeypatch) -> None:
    """Nothing is measured: kernels take no time, and a batch 2, a call 40 ms."""
    monkeypatch.setattr(api, "this_machine", lambda say, full: MACHINE)
    monkeypatch.setattr(calls, "fit_ms", lambda: (steady(2.0), steady(40.0)))
    monkeypatch.setattr(
        sampling,
        "time_units",
        lambda units, setting, progress, lanes=1: {unit.digest: steady(0.0) for unit in units},
    )
    monkeypatch.setattr(sampling, "still_hold", lambda units, setting: True)


def test_the_model_is_not_trained(monkeypatch) -> None:
    quick(monkeypatch)
    model = two_dense()
    model.compile("adam", "mse")
    before = [np.array(weight) for weight in model.weights]
    told = tftrace.estimate(model, [(8, 10)], phase="fit", batches=3)
    assert told.total.ms == pytest.approx(40 + 3 * 2)
    assert all(np.array_equal(old, new) for old, new in zip(before, model.weights, strict=True))
    assert int(model.optimizer.iterations) == 0


def test_measuring_puts_back_what_it_trains() -> None:
    model = two_dense()
    model.compile(keras.optimizers.SGD(momentum=0.9), "mse")
    model.fit(np.ones((8, 10)), np.ones((8, 4)), verbose=0)
    before = [np.array(v) for v in (*model.weights, *model.optimizer.variables)]
    assert api.measure(model, [(8, 10)], 2, repeats=2, phase="fit") > 0
    after = [np.array(v) for v in (*model.weights, *model.optimizer.variables)]
    assert all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))


def test_what_cannot_be_estimated_says_why(monkeypatch) -> None:
    quick(monkeypatch)
    bare = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    with pytest.raises(TftraceError, match="not compiled"):
        tftrace.estimate(bare, [(8, 3)], phase="fit")
    with pytest.raises(TftraceError, match="neither"):
        tftrace.estimate(bare, [(8, 3)], phase="train")
    with pytest.raises(TftraceError, match="no prices"):
        tftrace.estimate(two_dense(), [(8, 10)], phase="fit", machine=MACHINE)
    picky = two_dense()
    picky.compile("sgd", lambda y, z: tf.ensure_shape(y, (7, 7)))
    with pytest.raises(TftraceError, match=r"labels of shape \(8, 4\)"):
        tftrace.estimate(picky, [(8, 10)], phase="fit")
    monkeypatch.setattr(api, "kernels_of", lambda graph: (None, "hidden"))
    with pytest.raises(TftraceError, match="they are hidden"):
        tftrace.estimate(two_dense(), [(8, 10)], phase="fit")


def test_xla_runs_it_whole(monkeypatch) -> None:
    quick(monkeypatch)
    timed = []

    def times(units, setting, progress, lanes=1):
        timed.extend(units)
        return {unit.digest: steady(0.004 / lanes) for unit in units}

    monkeypatch.setattr(sampling, "time_units", times)
    monkeypatch.setattr(calls, "predict_ms", lambda: (steady(1.0), steady(30.0)))
    model = two_dense()
    model.compile("sgd", "mse", jit_compile=True)
    told = tftrace.estimate(model, [(8, 10)])
    assert len(timed) == 1
    assert told.total.ms == pytest.approx(30 + 1 + 4)
    one, two = told.layers.loc[told.layers["type"] == "Dense", "ms"]
    assert one + two == pytest.approx(4)
    assert one > two > 0
    timed.clear()
    trained = tftrace.estimate(model, [(8, 10)], phase="fit")
    assert len(timed) == 1
    assert trained.layers["backward_ms"].sum() > trained.layers["forward_ms"].sum() > 0


def test_the_report_of_fit(monkeypatch, tmp_path) -> None:
    from typer.testing import CliRunner

    from tftrace.cli import app

    quick(monkeypatch)
    path = tmp_path / "m.keras"
    two_dense().save(path)
    told = CliRunner().invoke(
        app,
        ["estimate", str(path), "-b", "8", "--phase", "fit", "--json", str(tmp_path / "e.json")],
    )
    assert told.exit_code == 0, told.output
    assert "ms for an epoch of fit on 1 x 8 samples" in told.output
    assert all(name in told.output for name in ("forward", "backward", "optimizer"))
    data = json.loads((tmp_path / "e.json").read_text())
    assert data["phase"] == "fit"
    assert {"macs_backward", "forward_ms", "backward_ms", "optimizer_ms"} <= set(data["layers"][0])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--phase", "evaluate"], "predict and fit"),
        (["--phase", "fit", "--fits", "1GiB"], "neither --calibration nor --fits"),
        (["--loss", "mse"], "--loss is for --phase"),
        (["--phase", "fit"], "not compiled"),
        (["--phase", "fit", "--loss", "no_such"], "loss identifier: no_such"),
    ],
)
def test_options_that_do_not_go_together(monkeypatch, tmp_path, options, reason) -> None:
    from typer.testing import CliRunner

    from tftrace.cli import app

    quick(monkeypatch)
    path = tmp_path / "m.keras"
    keras.Sequential([keras.Input((3,)), layers.Dense(1)]).save(path)
    told = CliRunner().invoke(app, ["estimate", str(path), *options])
    assert reason in " ".join([told.output, str(told.exception)])
    assert isinstance(told.exception, TftraceError)


def test_a_curve_of_fit(monkeypatch) -> None:
    quick(monkeypatch)
    curve = api.estimate_batches(two_dense(), lambda batch: [(batch, 10)], [1, 4], phase="fit")
    assert [one.phase for one in curve.estimates] == ["fit", "fit"]
    dear = replace(MACHINE, predict_variable_us=steady(500.0))
    monkeypatch.setattr(api, "this_machine", lambda say, full: dear)
    # four weights, the optimizer's iterations and learning rate, and two numbers of the loss
    told = api.estimate(two_dense(), [(4, 10)], phase="fit")
    assert told.total.ms == pytest.approx(40 + 2 + 0.5 * 8, abs=1.1)
