"""Estimates from kernels that are timed alone: which they are, whose, and what they add up to."""

import json
from dataclasses import replace
from typing import ClassVar

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers
from machine_by_hand import MACHINE, steady

import tftrace
from tftrace import cache
from tftrace.counts.flow import flow_of
from tftrace.counts.traffic import FREE
from tftrace.estimation.alone import estimate_alone
from tftrace.estimation.network import CALIBRATION, TIMED_ALONE
from tftrace.estimation.pieces import Beside, pieces_of, worth_timing_beside
from tftrace.graph.kernel_types import plain_type
from tftrace.machine import sampling
from tftrace.machine.bench import alone
from tftrace.machine.bench.alone import Operand, Unit, seconds_alone
from tftrace.machine.bench.timing import Measured
from tftrace.machine.setting import Setting
from tftrace.tracer.graphs.optimized import kernels_of
from tftrace.tracer.graphs.programs import program_of, trace_call
from tftrace.tracer.graphs.units import units_of

HERE = Setting("cpu", 2, (), None, False, "cpu", "2.21", (0, 0))


def pieces(model, *shape):
    graph, recording = trace_call(model, [shape])
    kernels, _ = kernels_of(graph)
    found = units_of(kernels, flow_of(kernels.program))
    program = program_of(graph, recording)
    return program, kernels.program, found, list(recording.sites.values())


def types_of(kernels, unit):
    nodes = kernels.functions[kernels.root].nodes
    return sorted(plain_type(nodes[name].type) for name in unit.names)


def dense(units):
    return keras.Sequential(
        [keras.Input((10,)), layers.Dense(units, name="d"), layers.Softmax(name="s")]
    )


def test_kernels_add_up_layer_by_layer() -> None:
    program, kernels, found, sites = pieces(dense(4), 8, 10)
    seconds = {"MatMul": 0.002, "Softmax": 0.0005}
    times = {unit.digest: steady(seconds[types_of(kernels, unit)[0]]) for unit in found.units}
    told = estimate_alone(program, kernels, found.units, found.left, times, sites, MACHINE, 8, 3)
    # 30 ms for the call, for each batch 1 ms and 2 + 0.5 ms of kernels
    assert told.total.ms == pytest.approx(30 + 3 * (1 + 2 + 0.5))
    assert told.total.low_ms < told.total.ms < told.total.high_ms
    # 8 x 10 x 4 multiply-accumulates at 50e9 a second
    assert told.total.mac_only_ms == pytest.approx(3 * 320 / 50e6)
    rows = told.layers.set_index("type")
    assert rows.loc["Dense", "ms"] == pytest.approx(2)
    assert rows.loc["Softmax", "ms"] == pytest.approx(0.5)
    assert (told.basis, told.unknown) == (TIMED_ALONE, ())


def test_what_was_not_timed_is_unknown_and_so_is_its_layer() -> None:
    program, kernels, found, sites = pieces(dense(4), 8, 10)
    times = {u.digest: steady(0.001) for u in found.units if types_of(kernels, u) == ["MatMul"]}
    told = estimate_alone(program, kernels, found.units, found.left, times, sites, MACHINE, 8)
    assert told.unknown == ("Softmax",)
    rows = told.layers.set_index("type")
    assert pd.isna(rows.loc["Softmax", "ms"])
    assert rows.loc["Dense", "ms"] == pytest.approx(1)


class Compact(layers.Layer):
    """Keeps what is positive: how many numbers that are is up to the data."""

    def call(self, x):
        kept = tf.boolean_mask(x, x > 0)
        return tf.reduce_sum(kept) * tf.ones_like(x)


def test_what_depends_on_the_data_is_left() -> None:
    model = keras.Sequential([keras.Input((10,)), Compact(name="c"), layers.Dense(2, name="d")])
    program, kernels, found, sites = pieces(model, 8, 10)
    assert found.left
    times = {unit.digest: steady(0.001) for unit in found.units}
    told = estimate_alone(program, kernels, found.units, found.left, times, sites, MACHINE, 8)
    rows = told.layers.set_index("type")
    assert pd.isna(rows.loc["Compact", "ms"])
    assert rows.loc["Dense", "ms"] == pytest.approx(1)
    assert "Where" in told.unknown


class Python(layers.Layer):
    """Runs Python of the user's, which nobody asked for."""

    ran: ClassVar[list[int]] = []

    def call(self, x):
        def double(value):
            self.ran.append(1)
            return 2 * value

        return tf.ensure_shape(tf.numpy_function(double, [x], tf.float32), x.shape)

    def compute_output_shape(self, shape):
        return shape


class Halved(layers.Layer):
    """Turns until the numbers are small."""

    def call(self, x):
        return tf.while_loop(lambda y: tf.reduce_max(y) > 1, lambda y: (y / 2,), [x])[0]


class Chosen(layers.Layer):
    """One of two branches."""

    def call(self, x):
        return tf.cond(tf.reduce_max(x) > 1, lambda: tf.matmul(x, tf.transpose(x)) @ x, lambda: x)


@pytest.mark.parametrize("layer", [Python, Halved, Chosen])
def test_what_must_not_run_on_made_up_data_is_left(layer) -> None:
    """A user's Python may do anything, and a loop that the data end may never end."""
    model = keras.Sequential([keras.Input((10,)), layer(name="c"), layers.Dense(2, name="d")])
    program, kernels, found, sites = pieces(model, 8, 10)
    times = {unit.digest: steady(0.001) for unit in found.units}
    told = estimate_alone(program, kernels, found.units, found.left, times, sites, MACHINE, 8)
    rows = told.layers.set_index("type")
    assert pd.isna(rows.loc[layer.__name__, "ms"])
    assert rows.loc["Dense", "ms"] >= 1
    for unit in found.units:
        seconds_alone(unit)
    assert Python.ran == []


def test_a_product_in_a_type_without_a_peak_has_a_time_but_no_share_of_multiplications() -> None:
    model = keras.Sequential([keras.Input((10,)), layers.Dense(4, dtype="float64")])
    program, kernels, found, sites = pieces(model, 8, 10)
    times = {unit.digest: steady(0.001) for unit in found.units}
    told = estimate_alone(program, kernels, found.units, found.left, times, sites, MACHINE, 8)
    assert told.total.mac_only_ms is None
    rows = told.layers.set_index("type")
    assert rows.loc["Dense", "ms"] >= 1
    assert pd.isna(rows.loc["Dense", "mac_only_ms"])
    assert json.loads(json.dumps(told.to_dict(), allow_nan=False))["total"]["mac_only_ms"] is None


def with_norm():
    return keras.Sequential(
        [
            keras.Input((16, 16, 4)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Activation("silu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def attention():
    x = given = keras.Input((12, 16))
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 8)(x, x))
    return keras.Model(given, layers.Dense(16, activation="gelu")(x))


def dilated():
    return keras.Sequential(
        [keras.Input((24, 4)), layers.Conv1D(8, 3, dilation_rate=2, padding="causal")]
    )


@pytest.mark.kernels
@pytest.mark.parametrize("build", [with_norm, attention, dilated])
def test_the_kernels_timed_are_those_that_run(build) -> None:
    model = build()
    shape = (4, *model.input_shape[1:])
    _, kernels, found, _ = pieces(model, *shape)
    assert not found.left
    x = np.ones(shape, "float32")
    ops = tftrace.profile(model, x, batch_size=4, repeats=0, warmup=0, calibrate=False).ops
    ran = ops[(ops["component"] == "layers") & (ops["calls"] > 0) & ~ops["op_type"].isin(FREE)]
    timed = sorted(kind for unit in found.units for kind in types_of(kernels, unit))
    # One kernel of oneDNN does both.
    swish = {"Swish": ["Sigmoid", "Mul"]}
    seen = [
        part
        for kind in map(plain_type, ran["op_type"])
        for part in swish.get(kind.removeprefix("_Mkl"), [kind])
    ]
    assert timed == sorted(seen)


def grouped():
    return keras.Sequential([keras.Input((8, 8, 8)), layers.Conv2D(8, 3, groups=4)])


def text():
    given = keras.Input((6,), dtype="int32")
    return keras.Model(given, layers.Bidirectional(layers.LSTM(4))(layers.Embedding(50, 8)(given)))


def recurrent():
    stack = [layers.GRU(4, return_sequences=True), layers.SimpleRNN(3)]
    return keras.Sequential([keras.Input((5, 3)), *stack])


def transposed():
    return keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2DTranspose(4, 3, strides=2), layers.UpSampling2D()]
    )


@pytest.mark.kernels
@pytest.mark.parametrize(
    "build", [with_norm, attention, dilated, grouped, text, recurrent, transposed]
)
def test_every_kernel_runs_alone(build, monkeypatch) -> None:
    monkeypatch.setattr(alone, "measure_seconds", lambda run, **_: (run(), steady(0.001))[1])
    model = build()
    _, kernels, found, _ = pieces(model, 2, *model.input_shape[1:])
    assert found.left == []
    for unit in found.units:
        assert seconds_alone(unit).best > 0, types_of(kernels, unit)


def test_what_tensorflow_does_not_take_is_not_timed() -> None:
    x, w = scaled().operands
    broken = replace(scaled(), operands=(x, replace(w, shape=(3,))))
    with pytest.raises(alone.NotTimedError):
        seconds_alone(broken)


def test_each_batch_of_a_curve_says_what_it_waits_for(monkeypatch) -> None:
    from tftrace.api import estimate as api

    def told(model, shapes, progress, **_):
        progress("timing")
        raise StopIteration

    monkeypatch.setattr(api, "estimate", told)
    said: list[str] = []
    with pytest.raises(StopIteration):
        api.estimate_batches(dense(4), lambda batch: [(batch, 10)], [1, 2], progress=said.append)
    assert said == ["batch 1", "timing"]


def test_two_directions_are_two_loops_and_each_time_is_its_own_layers() -> None:
    program, kernels, found, sites = pieces(text(), 2, 6)
    loops = [unit for unit in found.units if "While" in types_of(kernels, unit)]
    assert len(loops) == 2
    seconds = {loops[0].digest: steady(0.001), loops[1].digest: steady(0.004)}
    times = {unit.digest: steady(0.0) for unit in found.units} | seconds
    told = estimate_alone(program, kernels, found.units, found.left, times, sites, MACHINE, 2)
    rows = told.layers
    for name in ("forward", "backward"):
        ms = rows.loc[rows["path"].str.contains(f"{name}_lstm"), "ms"].sum()
        # No more than the machinery of a loop, which both share, is another's.
        assert min(abs(ms - 1), abs(ms - 4)) < 0.05
    assert rows["ms"].sum() == pytest.approx(5)


def test_equal_kernels_are_timed_once() -> None:
    stack = [layers.Dense(10, name=f"d{i}") for i in range(4)]
    _, _, found, _ = pieces(keras.Sequential([keras.Input((10,)), *stack]), 8, 10)
    assert (len(found.units), len({unit.digest for unit in found.units})) == (4, 1)


def scaled(overwrites: int | None = None) -> Unit:
    """Two million numbers times as many weights."""
    shape = (2_000_000,)
    definition = tf.compat.v1.GraphDef()
    for name in ("x", "w"):
        node = definition.node.add(name=name, op="Placeholder")
        node.attr["dtype"].type = tf.float32.as_datatype_enum
        node.attr["shape"].shape.CopyFrom(tf.TensorShape(shape).as_proto())
    product = definition.node.add(name="y", op="Mul", input=["x", "w"])
    product.attr["T"].type = tf.float32.as_datatype_enum
    operands = Operand("x", "float32", shape), Operand("w", "float32", shape, weight=True)
    return Unit(("y",), definition.SerializeToString(), operands, ("y",), overwrites)


def test_links_follow_one_another_and_read_weights_in_turn() -> None:
    chain, placeholders = alone._linked(scaled(), 3, [1, 2])
    assert placeholders == ["x/0", "w/0", "w/1"]
    inputs = {node.name: list(node.input) for node in chain.node if node.op == "Mul"}
    assert inputs == {
        "0.0/y": ["x/0", "w/0"],
        "0.1/y": ["x/0", "w/1", "^0.0/y"],
        "0.2/y": ["x/0", "w/0", "^0.1/y"],
    }


def test_lanes_run_beside_one_another_and_end_together() -> None:
    chain, _ = alone._linked(scaled(), 2, [1, 3], 2)
    inputs = {node.name: list(node.input) for node in chain.node if node.op != "Placeholder"}
    assert inputs == {
        "0.0/y": ["x/0", "w/0"],
        "1.0/y": ["x/0", "w/1"],
        "0.1/y": ["x/0", "w/2", "^0.0/y"],
        "1.1/y": ["x/0", "w/0", "^1.0/y"],
        "end": ["^0.1/y", "^1.1/y"],
    }


def test_a_kernel_that_writes_over_its_input_goes_on_from_its_result() -> None:
    chain, _ = alone._linked(scaled(overwrites=0), 2, [1, 1])
    assert list(chain.node[-2].input) == ["0.0/y", "w/0", "^0.0/y"]


def test_weights_are_no_longer_in_a_cache_when_their_turn_comes() -> None:
    """8 MB each: six of them are 48 MB; a chain of three has no use for more than three."""
    x, w = scaled().operands
    assert len(alone._copies(x, 0, 96)) == 1
    assert len(alone._copies(w, 0, 96)) == alone._BEYOND_CACHE // 8_000_000
    assert len(alone._copies(w, 0, 3)) == 3
    assert len(alone._copies(replace(w, shape=(8,)), 0, 96)) == 1


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("TFTRACE_CACHE_DIR", str(tmp_path / "own"))
    cache.warn_once.cache_clear()
    return tmp_path / "own"


def counting(monkeypatch, *answers: Measured) -> list[Unit]:
    """What was timed; the answers in turn, the last one again and again."""
    timed: list[Unit] = []

    def answer(unit: Unit, lanes: int) -> Measured:
        timed.append(unit)
        return answers[min(len(timed), len(answers)) - 1]

    monkeypatch.setattr(sampling, "seconds_alone", answer)
    return timed


def test_a_time_is_kept_for_its_setting(kept, monkeypatch) -> None:
    timed = counting(monkeypatch, steady(1.0))
    said: list[str] = []
    first = sampling.time_units([scaled(), scaled()], HERE, said.append)
    again = sampling.time_units([scaled()], HERE, said.append)
    assert first == again == {scaled().digest: replace(steady(1.0), n=10)}
    assert len(timed) == 2  # one round, and another when all have had one
    assert [word.split(",")[0] for word in said] == ["timing 1 kernels of this model"]
    sampling.time_units([scaled()], replace(HERE, onednn=True))
    assert len(timed) == 4
    sampling.forget_units(HERE)
    sampling.time_units([scaled()], HERE)
    assert len(timed) == 6


def test_a_time_beside_others_is_kept_apart_from_that_alone(kept, monkeypatch) -> None:
    counting(monkeypatch, steady(1.0), steady(1.0), steady(1.5))
    said: list[str] = []
    alone_ = sampling.time_units([scaled()], HERE)
    beside = sampling.time_units([scaled()], HERE, said.append, lanes=2)
    assert [found[scaled().digest].median for found in (alone_, beside)] == [1.0, 1.5]
    assert said[0].startswith("timing 1 kernels of this model, 2 runs of each side by side,")
    assert sampling.time_units([scaled()], HERE) == alone_


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"a": 1}'])
def test_damaged_times_are_measured_anew(kept, monkeypatch, caplog, content) -> None:
    timed = counting(monkeypatch, steady(1.0))
    sampling.time_units([scaled()], HERE)
    (file,) = kept.iterdir()
    file.write_bytes(content)
    assert sampling.time_units([scaled()], HERE)[scaled().digest].median == 1.0
    assert len(timed) == 4
    assert "kept times of single kernels are not used" in caplog.text


def test_times_that_cannot_be_kept_are_not_lost(kept, monkeypatch, caplog) -> None:
    counting(monkeypatch, steady(1.0))
    kept.write_text("a file where the folder should be")
    assert sampling.time_units([scaled()], HERE)[scaled().digest].median == 1.0
    assert "are not kept" in caplog.text


def test_what_two_rounds_disagree_by_is_the_spread(kept, monkeypatch) -> None:
    counting(monkeypatch, steady(2.0), steady(1.0))
    found = sampling.time_units([scaled()], HERE)[scaled().digest]
    assert found == Measured(best=1.0, median=1.5, iqr=1.0, n=10)


@pytest.mark.parametrize(
    ("now", "holds"), [(1.15, True), (1.25, False), (0.87, True), (0.8, False)]
)
def test_kept_times_are_tried_again(kept, monkeypatch, now, holds) -> None:
    timed = counting(monkeypatch, steady(1.0), steady(1.0), steady(now))
    assert sampling.still_hold([scaled()], HERE)
    assert timed == []
    sampling.time_units([scaled()], HERE)
    assert sampling.still_hold([scaled()], HERE) is holds
    assert len(timed) == 3


def test_what_takes_next_to_nothing_need_not_hold(kept, monkeypatch) -> None:
    counting(monkeypatch, steady(3e-5), steady(3e-5), steady(9e-5), steady(1.1e-4))
    sampling.time_units([scaled()], HERE)
    assert sampling.still_hold([scaled()], HERE)
    assert not sampling.still_hold([scaled()], HERE)


def test_kernels_count_in_a_check_as_often_as_they_run(kept, monkeypatch) -> None:
    """One of two takes 1.5 s in place of 1: of three runs of it and one of the other, 5.5 for 4."""
    slow, same = scaled(), scaled(0)
    kept_ms = {slow.digest: [1.0, 1.0, 1.5, 1.5], same.digest: [1.0] * 4}
    monkeypatch.setattr(
        sampling, "seconds_alone", lambda unit, lanes: steady(kept_ms[unit.digest].pop(0))
    )
    sampling.time_units([slow, same], HERE)
    assert sampling.still_hold([slow, same, same, same], HERE)
    assert not sampling.still_hold([slow, slow, slow, same], HERE)


def test_some_kernels_are_forgotten_with_their_times_beside_others(kept, monkeypatch) -> None:
    timed = counting(monkeypatch, steady(1.0))
    for lanes in (1, 2):
        sampling.time_units([scaled(), scaled(0)], HERE, lanes=lanes)
    sampling.forget_units(HERE, [scaled()])
    timed.clear()
    for lanes in (1, 2):
        sampling.time_units([scaled(), scaled(0)], HERE, lanes=lanes)
    assert timed == 4 * [scaled()]


def branches():
    given = keras.Input((10,))
    left, right = (layers.Dense(4, activation=a, name=a)(given) for a in ("relu", "tanh"))
    return keras.Model(given, layers.Concatenate(name="c")([left, right]))


def test_branches_run_beside_one_another() -> None:
    """Two kernels of 2 ms, of which two at once take 3: that is 3 ms of the clock, half of each."""
    program, kernels, found, sites = pieces(branches(), 8, 10)
    top = kernels.functions[kernels.root]
    times = {unit.digest: steady(0.0) for unit in found.units}
    products = [u for u in found.units if any("MatMul" in kind for kind in types_of(kernels, u))]
    times |= {unit.digest: steady(0.002) for unit in products}
    two = Beside(2, 2, {})
    ways = pieces_of(top, found.units, found.left, times, steady(0.0))
    assert worth_timing_beside(top, ways, two) == products
    assert worth_timing_beside(top, ways, replace(two, threads=1)) == []
    together = {unit.digest: steady(0.003) for unit in products}
    told = {
        name: estimate_alone(
            *(program, kernels, found.units, found.left, times, sites, MACHINE, 8),
            beside=beside,
        )
        for name, beside in (("together", replace(two, times=together)), ("in turn", two))
    }
    # 30 ms for the call and 1 for the batch
    assert told["in turn"].total.ms == pytest.approx(31 + 4)
    assert told["together"].total.ms == pytest.approx(31 + 3)
    rows = told["together"].layers.set_index("path")["ms"]
    own = [rows[rows.index.str.endswith(name)].item() for name in ("relu", "tanh")]
    assert own == pytest.approx([1.5, 1.5])


def test_a_variable_costs_its_price_with_each_batch() -> None:
    """Two Dense have four."""
    model = keras.Sequential([keras.Input((10,)), layers.Dense(4), layers.Dense(4)])
    program, kernels, found, sites = pieces(model, 8, 10)
    times = {unit.digest: steady(0.0) for unit in found.units}
    dear = replace(MACHINE, predict_variable_us=steady(500.0))
    told = estimate_alone(program, kernels, found.units, found.left, times, sites, dear, 8, 3)
    assert told.total.ms == pytest.approx(30 + 3 * (1 + 4 * 0.5))


def test_a_call_is_measured_before_between_and_after_the_kernels(monkeypatch) -> None:
    """A round of it lasts a second, in which a shared machine may be a third slower."""
    from tftrace.api import estimate as api
    from tftrace.machine.bench import calls

    order: list[str] = []

    def call() -> tuple[Measured, Measured]:
        order.append("call")
        return steady(1.0), steady(90.0)

    def timed(units, setting, progress, lanes=1):
        order.append("kernels")
        return {unit.digest: steady(0.0) for unit in units}

    def still_hold(units, setting):
        order.append("kept")
        return True

    monkeypatch.setattr(api, "this_machine", lambda say, full: MACHINE)
    monkeypatch.setattr(calls, "predict_ms", call)
    monkeypatch.setattr(sampling, "time_units", timed)
    monkeypatch.setattr(sampling, "still_hold", still_hold)
    # The middle of 30, as kept, and four times 90 ms.
    assert api.estimate(dense(4), [(8, 10)]).total.ms == pytest.approx(91)
    assert order == ["call", "kept", "call", "kernels", "call", "kernels", "call"]


def test_noise_widens_the_interval() -> None:
    program, kernels, found, sites = pieces(dense(4), 8, 10)

    def width(iqr: float) -> float:
        times = {u.digest: Measured(0.1, 0.1, iqr, 5) for u in found.units}
        told = estimate_alone(program, kernels, found.units, found.left, times, sites, MACHINE, 8)
        return told.total.high_ms - told.total.low_ms

    assert width(0.1) > 1.5 * width(0.0)


def test_where_the_optimizer_is_hidden_the_calibration_prices(monkeypatch) -> None:
    from tftrace.api import estimate as api
    from tftrace.machine.fits import KernelFit
    from tftrace.tracer.graphs import optimized

    monkeypatch.setattr(optimized, "optimized_graph", lambda graph: None)
    fits = {"MatMul": KernelFit({"calls": 0.001}, 0.0, 0.1, 9)}
    monkeypatch.setattr(api, "this_machine", lambda say, full: replace(MACHINE, kernels=fits))
    told = api.estimate(dense(4), [(8, 10)])
    assert told.basis == CALIBRATION
    assert told.layers.set_index("type").loc["Dense", "ms"] == pytest.approx(1)


def test_an_estimate_does_not_rest_on_kept_times_that_no_longer_hold(kept, monkeypatch) -> None:
    """Kernels of 2 ms each, timed while they took 3: 30 ms for the call, 1 and 4 for the batch."""
    from tftrace.api import estimate as api
    from tftrace.machine.bench import calls

    monkeypatch.setattr(api, "this_machine", lambda say, full: MACHINE)
    monkeypatch.setattr(calls, "predict_ms", lambda: (steady(1.0), steady(30.0)))
    said: list[str] = []
    for seconds in (0.003, 0.002):
        counting(monkeypatch, steady(seconds))
        told = api.estimate(dense(4), [(8, 10)], progress=said.append)
        assert told.total.ms == pytest.approx(31 + 2e3 * seconds)
    assert [word.split(",")[0] for word in said] == [
        "timing 2 kernels of this model",
        "its kernels no longer take the times that were kept",
        "timing 2 kernels of this model",
    ]


@pytest.mark.parametrize("inside", [False, True])
def test_what_xla_compiles_has_no_fused_kernels(inside) -> None:
    """It knows none of them; a function that it calls (a branch's) is compiled with it."""
    given = keras.Input((8, 8, 2))
    conv = layers.Conv2D(4, 3, activation="relu", name="c")

    def either(x):
        return keras.ops.cond(keras.ops.sum(x) > 0, lambda: conv(x), lambda: -conv(x))

    conv.build((None, 8, 8, 2))
    called = layers.Lambda(either, output_shape=(6, 6, 4))(given) if inside else conv(given)
    model = keras.Model(given, called)
    graph, _ = trace_call(model, [(2, 8, 8, 2)], jit=True)
    kernels, reason = kernels_of(graph)
    assert reason is None
    types = {n.type for f in kernels.program.functions.values() for n in f.nodes.values()}
    assert "Conv2D" in types
    assert "_FusedConv2D" not in types
    found = units_of(kernels, flow_of(kernels.program))
    # Which branch runs depends on data.
    assert bool(found.left) == inside
    assert all(seconds_alone(unit).median > 0 for unit in found.units)


def test_functions_inside_functions_are_found() -> None:
    """A branch in a loop's body, to both of which the optimizer gives names of its own."""

    def twice(x):
        def body(turn, x):
            return turn + 1, keras.ops.cond(keras.ops.sum(x) > 0, lambda: x * 2.0, lambda: -x)

        return keras.ops.while_loop(lambda turn, x: turn < 2, body, (0, x))[1]

    given = keras.Input((4,))
    model = keras.Model(given, layers.Lambda(twice, output_shape=(4,))(given))
    kernels, reason = kernels_of(trace_call(model, [(2, 4)])[0])
    assert reason is None
    types = {n.type for f in kernels.program.functions.values() for n in f.nodes.values()}
    assert types & {"If", "StatelessIf"}
