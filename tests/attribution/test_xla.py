"""Kernels of XLA, from modules built by hand and from runs whose layers' work is known."""

from pathlib import Path

import numpy as np
import pytest

from tftrace.attribution.function import Function
from tftrace.attribution.graph_names import GraphNames
from tftrace.attribution.hlo.kernels import hlo_kernels
from tftrace.attribution.provenance import KernelNodes, TracedOps
from tftrace.parsers.errors import TraceError
from tftrace.parsers.hlo import HloComputation, HloInstruction, HloModule, parse_hlo

WORK = {"mults": 0, "macs": 0, "flops": 0, "transcendentals": 0, "bytes": 0}


def traced(*ops: tuple[str, str, int, int, dict]) -> GraphNames:
    """A function of (key, type, owner, times, work) operations, all needed."""
    return GraphNames(
        Function(
            name="f",
            batch=2,
            counted_batch=2,
            ops=TracedOps(
                [o[0] for o in ops], [o[1] for o in ops], [[] for _ in ops], [True] * len(ops)
            ),
            owner=[o[2] for o in ops],
            times=[o[3] for o in ops],
            work=[{**WORK, **o[4]} for o in ops],
            out_bytes=[8] * len(ops),
            kernels=KernelNodes([], [], []),
        )
    )


def instruction(number: int, opcode: str, op_name: str = "", *operands: int, **more: object):
    fields = {"name": f"{opcode}.{number}", "dims": (10,), "called": (), **more}
    return HloInstruction(
        id=number, opcode=opcode, op_name=op_name, op_type="", dtype="float32", operands=operands,
        **fields,
    )  # fmt: skip


def module(*computations: tuple[HloInstruction, ...]) -> HloModule:
    """Computation ``i`` of the arguments gets id ``i``; the first is the entry."""
    bodies = {
        i: HloComputation(i, f"c{i}", instructions[-1].id, instructions)
        for i, instructions in enumerate(computations)
    }
    return HloModule("m", 1, 0, bodies)


CALL = ("call", "StatefulPartitionedCall", -1, 1, {})


def test_a_fusion_is_split_by_what_its_instructions_cost_wherever_their_names_point():
    names = traced(
        CALL, ("call/a/Add", "AddV2", 0, 1, {}), ("call/b/Tanh", "Tanh", 1, 1, {"flops": 10**9})
    )
    entry = (
        instruction(1, "parameter"),
        instruction(2, "fusion", "a/Add", 1, called=(1,)),
    )
    fused = (
        instruction(3, "parameter"),
        instruction(4, "constant", "b/Tanh", dims=()),
        instruction(5, "broadcast", "b/Tanh", 4),
        instruction(6, "tanh", "b/Tanh", 3),
        instruction(7, "add", "a/Add", 6, 5),
    )
    info = hlo_kernels(module(entry, fused), names, "call")["fusion.2"]
    assert info.weights == pytest.approx({0: 1 / 11, 1: 10 / 11})
    assert info.layer == 1
    assert info.members == ("call/b/Tanh", "call/a/Add")


def test_a_shared_constant_says_nothing_and_a_nameless_copy_belongs_to_what_it_feeds():
    names = traced(CALL, ("call/a/Pool", "MaxPool", 0, 1, {}), ("call/b/Mul", "Mul", 1, 1, {}))
    entry = (
        instruction(1, "parameter"),
        instruction(2, "constant", "a/Pool", dims=()),
        instruction(3, "copy", "", 1),
        instruction(4, "broadcast", "a/Pool", 2),
        instruction(5, "multiply", "b/Mul", 3, 4),
    )
    infos = hlo_kernels(module(entry), names, "call")
    assert infos["copy.3"].layer == 1
    assert infos["broadcast.4"].layer == 1
    assert infos["copy.3"].work == WORK


def test_an_operation_made_into_several_kernels_is_counted_once():
    names = traced(CALL, ("call/s", "Softmax", 0, 1, {"flops": 30, "transcendentals": 10}))
    entry = (
        instruction(1, "parameter"),
        instruction(2, "exponential", "s", 1),
        instruction(3, "divide", "s", 2, 1),
    )
    infos = hlo_kernels(module(entry), names, "call")
    assert [infos[n].work["flops"] for n in ("exponential.2", "divide.3")] == [30, 0]


def test_a_computation_without_names_is_of_the_operations_whose_calls_run_it():
    """A random generator's rounds, which XLA writes out nameless: bert with dropout in fit."""
    names = traced(
        CALL,
        ("call/a/Random", "StatelessRandomUniformV2", 0, 1, {"flops": 20}),
        ("call/b/Random", "StatelessRandomUniformV2", 1, 1, {"flops": 20}),
    )
    entry = (
        instruction(1, "call", "a/Random", called=(1,), dims=()),
        instruction(2, "call", "a/Random", called=(2,), dims=()),
        instruction(3, "call", "b/Random", called=(2,), dims=()),
    )
    outer = (
        instruction(11, "fusion", called=(3,)),
        instruction(12, "call", "", 11, called=(4,), dims=()),
    )
    shared = (instruction(21, "xor"),)
    inner = (instruction(31, "xor"), instruction(32, "multiply", "", 31))
    deep = (instruction(41, "add"),)
    infos = hlo_kernels(module(entry, outer, shared, inner, deep), names, "call")
    assert infos["fusion.11"].members == ("call/a/Random",)
    assert infos["fusion.11"].shares == {(0, "forward"): 1.0}
    assert infos["fusion.11"].work["flops"] == 20  # the costliest kernel does what is counted
    assert infos["add.41"].shares == {(0, "forward"): 1.0}
    assert infos["add.41"].work["flops"] == 0
    assert infos["xor.21"].shares == {(0, "forward"): 0.5, (1, "forward"): 0.5}


def test_equal_names_in_two_loop_bodies_are_told_apart_by_the_loops():
    names = traced(
        CALL,
        ("call/l1/while", "While", 0, 1, {}),
        ("call/l1/while/body/while/MatMul", "MatMul", 0, 5, {}),
        ("call/l1/while/cond/while/Less", "Less", 0, 6, {}),
        ("call/l2/while", "While", 1, 1, {}),
        ("call/l2/while/body/while/MatMul", "MatMul", 1, 7, {}),
        ("call/l2/while/cond/while/Less", "Less", 1, 8, {}),
    )
    entry = (
        instruction(1, "parameter"),
        instruction(2, "dot", "while/MatMul", 1),
        instruction(3, "while", "l1/while", 1, called=(1, 2)),
        instruction(4, "while", "l2/while", 2, called=(3, 4)),
    )
    bodies = [
        (instruction(10 + i, "parameter"), instruction(20 + i, opcode, name, 10 + i))
        for i, (opcode, name) in enumerate([("dot", "while/MatMul"), ("compare", "while/Less")] * 2)
    ]
    infos = hlo_kernels(module(entry, *bodies), names, "call")
    assert (infos["dot.20"].layer, infos["dot.20"].times) == (0, 5)
    assert (infos["dot.22"].layer, infos["dot.22"].times) == (1, 7)
    assert (infos["compare.23"].layer, infos["compare.23"].times) == (1, 8)
    # Moved out of its loop the name means either: it is not guessed, the second loop uses it.
    assert infos["dot.2"].layer == 1


def test_what_belongs_to_no_call_of_the_model_stays_outside():
    infos = hlo_kernels(module((instruction(1, "copy"),)), traced(CALL), "call")
    assert infos["copy.1"].layer == -1


def test_a_damaged_module_is_refused():
    with pytest.raises(TraceError, match="damaged"):
        parse_hlo(b"\x0a\xff\xff")


@pytest.fixture(scope="module")
def profile_of(tmp_path_factory: pytest.TempPathFactory):
    import tftrace

    def measure(model, data: np.ndarray, **options: object):
        out = tmp_path_factory.mktemp("xla")
        return tftrace.profile(model, data, batch_size=32, repeats=0, out=out, **options)

    return measure


@pytest.fixture(scope="module")
def cnn(profile_of):
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((24, 24, 8)),
            layers.Conv2D(64, 5, padding="same", name="heavy"),
            layers.Activation("tanh", name="squash"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(4, name="few"),
        ],
        name="cnn",
    )
    return profile_of(model, np.ones((72, 24, 24, 8), "float32"), jit="on")


@pytest.fixture(scope="module")
def rnn(profile_of):
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((15, 4)),
            layers.LSTM(8, return_sequences=True, name="small"),
            layers.LSTM(96, name="large"),
        ],
        name="rnn",
    )
    return profile_of(model, np.ones((72, 15, 4), "float32"), jit="on")


def test_own_descriptors_read_what_xla_wrote(cnn):
    from tensorflow.compiler.xla.service import hlo_pb2

    from tftrace.parsers import read_hlo_protos

    (path,) = Path(cnn.folder).glob("*.xplane.pb")
    protos = read_hlo_protos(path)
    assert protos
    for data in protos.values():
        theirs, ours = hlo_pb2.HloProto.FromString(data).hlo_module, parse_hlo(data)
        assert (ours.name, ours.id) == (theirs.name, theirs.id)
        assert ours.computations[ours.entry].name == theirs.entry_computation_name
        for expected in theirs.computations:
            found = ours.computations[expected.id]
            assert [
                (i.name, i.opcode, i.op_name, i.op_type, list(i.dims), i.id, list(i.operands))
                for i in found.instructions
            ] == [
                (
                    *(i.name, i.opcode, i.metadata.op_name, i.metadata.op_type),
                    *(list(i.shape.dimensions), i.id, list(i.operand_ids)),
                )
                for i in expected.instructions
            ]


@pytest.mark.parametrize("which", ["cnn", "rnn"])
def test_every_kernel_of_a_compiled_model_is_on_a_layer_and_the_wall_closes(which, request):
    profile = request.getfixturevalue(which)
    kernels = profile.ops[~profile.ops["component"].isin(["input pipeline"])]
    called = kernels["op"] == "StatefulPartitionedCall"
    assert set(kernels[~called]["component"]) == {"layers"}
    assert (kernels["calls"] == kernels["expected_calls"]).all()
    wall = profile.wall.set_index("component")["wall_ms"]
    window = profile._join.window
    assert wall.sum() == pytest.approx((window.end - window.start) / 1e9, rel=1e-3)
    assert wall["layers"] == pytest.approx(profile.layers["wall_ms"].sum(), rel=1e-3)
    assert wall["compilation"] == 0


def test_the_heavy_layer_has_the_time_also_that_of_the_workers(cnn):
    rows = cnn.layers.set_index("name")
    assert rows["wall_ms"].idxmax() == "heavy"
    assert rows["wall_ms"]["heavy"] > 0.5 * rows["wall_ms"].sum()
    (row,) = cnn.ops[cnn.ops["op_type"] == "convolution"].to_dict("records")
    # The event of the kernel ends when its work is handed out; the work does not.
    assert row["busy_ms"] >= row["wall_ms"] * 0.99
    assert cnn.recording["worker_ms_unresolved"] <= 0.02 * cnn.recording["worker_ms"]


def test_members_and_work_of_compiled_kernels_are_those_of_the_graph(cnn):
    macs = cnn.ops.groupby("layer")["macs"].sum()
    assert macs["cnn/heavy"] == 24 * 24 * 5 * 5 * 8 * 64
    assert macs["cnn/few"] == 12 * 12 * 64 * 4
    (squash,) = cnn.ops[cnn.ops["members"].map(lambda m: any("Tanh" in x for x in m))]["layer"]
    assert squash == "cnn/squash"


def test_loop_bodies_run_once_per_step_on_the_right_cell(rnn):
    dots = rnn.ops[rnn.ops["op_type"] == "dot"].groupby("layer")
    # Two products per step, three batches.
    assert dict(dots["calls"].sum()) == {
        "rnn/small/lstm_cell": 2 * 15 * 3,
        "rnn/large/lstm_cell": 2 * 15 * 3,
    }
    assert dict(dots["macs"].sum()) == {
        "rnn/small/lstm_cell": 15 * 4 * 8 * (4 + 8),
        "rnn/large/lstm_cell": 15 * 4 * 96 * (8 + 96),
    }
    wall = dots["wall_ms"].sum()
    assert wall["rnn/large/lstm_cell"] > wall["rnn/small/lstm_cell"]


def test_a_grouped_convolution_compiled_on_its_own_is_its_layers(profile_of):
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((16, 16, 16)),
            layers.Conv2D(16, 1, groups=4, name="light"),
            layers.Conv2D(16, 7, groups=4, padding="same", name="heavy"),
        ],
        name="grouped",
    )
    profile = profile_of(model, np.ones((64, 16, 16, 16), "float32"), jit="off")
    kernels = profile.ops[profile.ops["op_type"] == "convolution"].set_index("layer")
    assert dict(kernels["macs"]) == {
        "grouped/light": 16 * 16 * 16 * 4,
        "grouped/heavy": 16 * 16 * 16 * 4 * 49,
    }
    assert list(kernels["calls"]) == list(kernels["expected_calls"]) == [2, 2]
    assert kernels["wall_ms"]["grouped/heavy"] > 3 * kernels["wall_ms"]["grouped/light"]
    assert kernels["op"].is_unique


def test_one_module_called_from_two_layers_is_told_apart_by_the_calls(profile_of):
    import keras
    import tensorflow as tf

    compiled = tf.function(lambda x, w: tf.tanh(tf.matmul(x, w)), jit_compile=True)

    class Repeat(keras.layers.Layer):
        def __init__(self, times: int, **keywords: object) -> None:
            super().__init__(**keywords)
            self.times = times

        def build(self, shape: tuple) -> None:
            self.w = self.add_weight(shape=(shape[-1], shape[-1]))

        def call(self, x: object) -> object:
            for _ in range(self.times):
                x = compiled(x, self.w.value)
            return x

    model = keras.Sequential(
        [keras.Input((64,)), Repeat(1, name="once"), Repeat(4, name="often")], name="calls"
    )
    profile = profile_of(model, np.ones((96, 64), "float32"), jit="off")
    dots = profile.ops[profile.ops["op_type"] == "dot"]
    assert dict(dots.groupby("layer")["calls"].sum()) == {"calls/once": 3, "calls/often": 12}
    assert set(profile.ops[profile.ops["component"] == "model ops outside layers"]["op"]) == set()


def test_compiling_inside_the_window_is_shown_as_such(tmp_path):
    import keras

    from tftrace import load
    from tftrace.tracer.capture import Options, Predict, capture

    class Shorter(Predict):
        """The traced pass ends in a batch of a size that no pass before it had."""

        def traced(self, x: np.ndarray, marker: object, state: object) -> None:
            super().traced(x[:40], marker, state)

    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.ReLU()], name="late"
    )
    data = np.ones((48, 8, 8, 3), "float32")
    options = Options(batch_size=32, repeats=0, jit="on")
    folder = capture(model, data, options, tmp_path, lambda _: None, predict=Shorter(model, 32))
    profile = load(folder)
    wall = profile.wall.set_index("component")["wall_ms"]
    # Compiling takes tens of milliseconds, two batches of this model fractions of one.
    assert wall["compilation"] > 10 * wall["layers"]
    called = profile.ops.set_index("op")["wall_ms"]["StatefulPartitionedCall"]
    assert called < 0.5 * wall["compilation"]
    window = profile._join.window
    assert wall.sum() == pytest.approx((window.end - window.start) / 1e9, rel=1e-3)
