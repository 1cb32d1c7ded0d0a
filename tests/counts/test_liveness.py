"""The computed peak: of programs and networks that are worked out by hand."""

import json

import keras
import pytest
import tensorflow as tf
from typer.testing import CliRunner

import tftrace
from tftrace.api.count import memories, memory
from tftrace.cli import app
from tftrace.counts.liveness import peak_of
from tftrace.errors import TftraceError
from tftrace.graph import Edge, Graph, Node, Program, TensorSpec
from tftrace.tracer import tf_private
from tftrace.tracer.setting import setting

KB = TensorSpec("float32", (256,))
INDEX = TensorSpec("int32", ())
LIST = TensorSpec("variant", ())


def op(name, kind, *inputs, spec=KB, value=None, **attrs):
    return Node(name, kind, tuple(Edge(i, 0) for i in inputs), (), (spec,), attrs, value)


def graph(name, nodes, inputs, outputs):
    given = tuple(Edge(o, 0) for o in outputs)
    return Graph(name, {n.name: n for n in nodes}, tuple(inputs), given)


def peak(*nodes, outputs=None, functions=(), onednn=False, **threads):
    """Of operations on the program's argument ``x``."""
    root = graph("root", [op("x", "Placeholder"), *nodes], ["x"], outputs or [nodes[-1].name])
    return peak_of(Program("root", {g.name: g for g in (root, *functions)}), onednn, **threads)


def test_a_chain_holds_two_tensors_at_once():
    found = peak(op("a", "Roll", "x"), op("b", "Roll", "a"), op("c", "Roll", "b"))
    assert found.bytes == 2048
    assert found.held == {"a": 1024, "b": 1024}


def test_what_nobody_else_needs_is_written_over():
    found = peak(op("a", "Roll", "x"), op("b", "Relu", "a"), op("c", "AddV2", "b", "x"))
    assert found.held == {"a": 1024}


@pytest.mark.parametrize(
    "reader",
    [
        op("b", "Relu", "x"),  # the caller's
        op("b", "Mul", "a", "a"),  # needed twice, by one
    ],
)
def test_what_is_needed_elsewhere_is_not_written_over(reader):
    held = peak(op("a", "Roll", "x"), reader, op("c", "Einsum", "a", "b", spec=INDEX)).held
    assert held == {"a": 1024, "b": 1024, "c": 4}


def test_the_last_reader_writes_over_what_it_reads():
    """Of what a makes ready, b and c, the last goes first: b, behind it, has a alone."""
    found = peak(
        op("a", "Roll", "x"), op("b", "Relu", "a"), op("c", "Roll", "a"), op("d", "Add", "b", "c")
    )
    assert found.held == {"a": 1024, "c": 1024}


def test_one_branch_is_followed_before_the_other_begins():
    """Two chains of large tensors that end in small ones: never are both large ones there."""
    small = TensorSpec("float32", (4,))
    nodes = (
        op("a", "Roll", "x", spec=small),
        op("b", "Roll", "a"),
        op("c", "Roll", "a"),
        op("p", "Sum", "b", spec=small),
        op("q", "Sum", "c", spec=small),
        op("d", "Add", "p", "q", spec=small),
    )
    found = peak(*nodes)
    # c, of a; q, of c; b, of a, which p is made of while q is there.
    assert found.bytes == 1024 + 16 + 16
    assert not {"b", "c"} <= set(found.held)
    # On several threads they go on side by side: b and c, of a, and p of b while c waits.
    assert peak(*nodes, inter_op=2).bytes == 2 * 1024 + 16


@pytest.mark.parametrize(
    ("kind", "threads", "batch", "images"),
    [
        ("Conv2DBackpropFilter", 1, 32, 24),  # 7,929,856 elements in the caches / 335,232, up
        ("Conv2DBackpropInput", 1, 32, 1),  # one image has work enough for the thread
        ("Conv2DBackpropInput", 8, 32, 24),
        ("Conv2DBackpropInput", 8, 1, 1),
    ],
)
def test_a_gradient_of_a_convolution_writes_out_windows(kind, threads, batch, images):
    """30 x 30 places, windows of 3 x 3 x 32, 64 filters: columns of 259,200 elements, 335,232 with
    the weights' 18,432 and the gradient's 57,600."""
    weights = TensorSpec("float32", (3, 3, 32, 64))
    image = TensorSpec("float32", (batch, 32, 32, 32))
    gradient = TensorSpec("float32", (batch, 30, 30, 64))
    of_filter = kind.endswith("Filter")
    nodes = [
        op("sizes", "Const", spec=TensorSpec("int32", (4,))),
        op("w", "Placeholder", spec=weights),
        op("g", "Placeholder", spec=gradient),
        op("y", kind, *(("sizes", "sizes") if of_filter else ("sizes", "w")), "g",
           spec=weights if of_filter else image),
    ]  # fmt: skip
    output = nodes[-1].outputs[0].bytes
    found = peak(*nodes, intra_op=threads).bytes
    assert found - output == images * 259_200 * 4
    assert peak(*nodes, onednn=True, intra_op=threads).bytes == output


def test_another_element_type_is_not_written_over():
    number = TensorSpec("int32", (256,))
    assert peak(op("a", "Roll", "x"), op("b", "Floor", "a", spec=number)).bytes == 2048


def test_views_are_the_same_memory():
    wide = TensorSpec("float32", (16, 16))
    found = peak(op("a", "Roll", "x"), op("b", "Reshape", "a", spec=wide), op("c", "Roll", "b"))
    assert found.held == {"a": 1024, "c": 1024}


@pytest.mark.parametrize(("rows", "expected"), [((16, 16), 1024), ((64, 4), 2048)])
def test_leading_rows_are_part_of_the_whole_where_they_are_aligned(rows, expected):
    """Rows of 64 bytes, and of 16: those are copied, here all but the first."""
    whole = TensorSpec("float32", rows)
    part = TensorSpec("float32", (rows[0] - 1, rows[1]))
    found = peak(
        op("one", "Const", spec=INDEX, value=[1, 1]),
        op("a", "Roll", "x", spec=whole),
        op("b", "StridedSlice", "a", "one", "one", "one", spec=part),
    )
    assert found.bytes == expected - (16 if expected > 1024 else 0)


def test_onednn_pads_inside_a_convolution_and_notes_where_maxima_were():
    nodes = [
        op("a", "Roll", "x"),
        op("b", "Pad", "a", spec=TensorSpec("float32", (300,))),
        op("c", "_FusedConv2D", "b", padding="VALID"),
        op("d", "MaxPool", "c"),
    ]
    assert peak(*nodes).held == {"a": 1024, "b": 1200}
    assert peak(*nodes, onednn=True).held == {"c": 1024, "d": 1024 + 256}


def loop(turn, start, limit=5):
    """``limit`` turns over a list or tensor that begins as ``start``; None: only data knows."""
    spec = turn.outputs[0]
    bound = op("n", "Const", spec=INDEX, value=limit) if limit else op("n", "Size", "s", spec=INDEX)
    variables = [op("i", "Placeholder", spec=INDEX), op("s", "Placeholder", spec=spec)]
    test = op("go", "Less", "i", "n", spec=TensorSpec("bool", ()))
    count = [op("one", "Const", spec=INDEX, value=1), op("j", "AddV2", "i", "one", spec=INDEX)]
    made = op("new", "Roll", "i") if spec is LIST else op("new", "Const", spec=INDEX, value=0)
    names = ["i", "s"]
    functions = (
        graph("cond", [*variables, bound, test], names, ["go"]),
        graph("body", [*variables, *count, made, turn], names, ["j", turn.name]),
    )
    nodes = [
        op("zero", "Const", spec=INDEX, value=0),
        start,
        Node("loop", "While", (Edge("zero", 0), Edge(start.name, 0)), (), (INDEX, spec), {
            "cond": "cond", "body": "body"}),
    ]  # fmt: skip
    return nodes, functions


def test_a_turn_of_a_loop_holds_what_it_takes_and_what_it_makes():
    nodes, functions = loop(op("t", "Roll", "s"), op("a", "Roll", "x"))
    found = peak(*nodes, functions=functions)
    assert 2048 <= found.bytes <= 2048 + 2 * 4  # and counters
    assert found.held["loop/body/t"] >= 1024


def test_a_list_grows_by_a_tensor_per_turn():
    start = op("a", "TensorListReserve", "zero", "five", spec=LIST)
    five = op("five", "Const", spec=INDEX, value=5)
    nodes, functions = loop(op("t", "TensorListSetItem", "s", "i", "new", spec=LIST), start)
    assert 5 * 1024 <= peak(five, *nodes, functions=functions).bytes < 5 * 1024 + 16
    one = op("five", "Const", spec=INDEX, value=1)
    # A list of one: the new tensor is made while the old one is there.
    assert 2 * 1024 <= peak(one, *nodes, functions=functions).bytes < 2 * 1024 + 16


def test_a_loop_of_unknown_length_is_known_where_its_turns_hold_the_same():
    nodes, functions = loop(op("t", "Roll", "s"), op("a", "Roll", "x"), limit=None)
    assert 2048 <= peak(*nodes, functions=functions).bytes <= 2048 + 3 * 4
    start = op("a", "EmptyTensorList", "zero", "zero", spec=LIST)
    nodes, functions = loop(op("t", "TensorListPushBack", "s", "new", spec=LIST), start, None)
    found = peak(*nodes, functions=functions)
    assert found.bytes is None
    assert "trip count depends on data" in found.reason


def test_of_two_branches_the_larger_counts():
    branches = [
        graph(name, [op("x", "Placeholder"), *work], ["x"], ["r"])
        for name, work in (
            ("then", [op("q", "Roll", "x"), op("p", "Roll", "q"), op("r", "Einsum", "q", "p")]),
            ("else", [op("r", "Roll", "x")]),
        )
    ]
    choice = op("if", "If", "x", "x", then_branch="then", else_branch="else")
    assert peak(choice, functions=branches).bytes == 3 * 1024


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (TensorSpec("float32", (None, 4)), "its shape is open"),
        (TensorSpec("string", (4,)), "text has no fixed size"),
    ],
)
def test_what_has_no_known_size_is_unknown_with_the_reason(spec, words):
    found = peak(op("a", "Unique", "x", spec=spec))
    assert found.bytes is None
    assert words in found.reason


def test_a_loop_of_tensorflow_1_is_unknown():
    found = peak(op("m", "Merge", "x", "n"), op("n", "NextIteration", "m"))
    assert found.bytes is None
    assert "TensorFlow 1" in found.reason


def test_constants_are_told_apart():
    found = peak(op("c", "Const"), op("a", "AddV2", "x", "c"))
    assert (found.bytes, found.constants) == (1024, 1024)


MIB = 1 << 20
SAMPLE = 1 << 16
layers = keras.layers


class Turns(layers.Layer):
    """Three turns of a loop, each of which makes a tensor as large as its input."""

    def call(self, x):
        return tf.while_loop(lambda i, _: i < 3, lambda i, t: (i + 1, tf.roll(t, 1, 1)), (0, x))[1]


def chain(data):
    two = layers.ZeroPadding1D(SAMPLE // 2, name="two")(data)
    return layers.ZeroPadding1D(SAMPLE, name="four")(two)


def diamond(data):
    two = layers.ZeroPadding1D(SAMPLE // 2, name="two")(data)
    left = layers.ZeroPadding1D(SAMPLE, name="left")(two)
    right = layers.ZeroPadding1D((SAMPLE // 2, SAMPLE + SAMPLE // 2), name="right")(two)
    return layers.Concatenate(name="both")([left, right])


def looped(data):
    return Turns(name="turns")(layers.ZeroPadding1D(SAMPLE // 2, name="two")(data))


def network(build):
    data = keras.Input((SAMPLE, 1))
    return keras.Model(data, layers.GlobalMaxPooling1D(name="end")(build(data)), name="m")


@pytest.mark.parametrize(
    ("build", "mib", "holders"),
    [
        # 1 MiB comes in; 2 are held while 4 are made of them.
        (chain, 6, {("m/four",): 4, ("m/two",): 2}),
        # Two sides of 4 while they are joined; what they were made of is gone.
        (diamond, 16, {("m/both",): 8, ("m/left",): 4, ("m/right",): 4}),
        # A turn takes 2 and makes 2. Which turn is the first to have all its counters beside is up
        # to the order.
        (looped, 4, {("m/turns", "m/two"): 4}),
    ],
)
def test_networks_by_hand(build, mib, holders):
    memory = tftrace.count(network(build), [(4, SAMPLE, 1)]).memory
    counters = memory.activations_bytes - mib * MIB
    assert 0 <= counters < 64
    assert memory.basis == "computed"
    assert (memory.batch, memory.inputs_bytes, memory.weights_bytes) == (4, MIB, 0)
    found = {}
    for path, size in memory.at_peak:
        name = "/".join((path or "").split("/")[:2])
        found[name] = found.get(name, 0) + size // MIB
    assert {names: sum(found.get(n, 0) for n in names) for names in holders} == holders
    assert sum(size for _, size in memory.at_peak) == memory.activations_bytes


def test_the_activations_grow_with_the_batch_and_the_weights_do_not():
    model = keras.Sequential([keras.Input((1024,)), layers.Dense(1024, name="d")], name="m")
    one, eight = (tftrace.count(model, [(n, 1024)]).memory for n in (1, 8))
    assert one.weights_bytes == eight.weights_bytes == 4 * MIB + 4096
    assert (one.activations_bytes, eight.activations_bytes) == (4096, 8 * 4096)
    assert eight.total_bytes == 4 * MIB + 4096 + 2 * 8 * 4096 + eight.constants_bytes


def test_where_the_optimizer_is_hidden_the_graph_is_taken_as_traced(monkeypatch):
    monkeypatch.setattr("tftrace.tracer.graphs.optimized.optimized_graph", lambda _: None)
    memory = tftrace.count(network(chain), [(4, SAMPLE, 1)]).memory
    assert memory.activations_bytes == 6 * MIB
    assert "as traced" in memory.note


def test_on_the_command_line_at_several_sizes(tmp_path):
    keras.Sequential([keras.Input((1024,)), layers.Dense(1024, name="d")]).save(
        tmp_path / "m.keras"
    )
    words = ["count", str(tmp_path / "m.keras"), "--batch", "8,1"]
    done = CliRunner().invoke(app, [*words, "--json", str(tmp_path / "c.json")])
    assert done.exit_code == 0, done.output
    counted = json.loads((tmp_path / "c.json").read_text())
    assert counted["batch"] == 1
    assert [m["batch"] for m in counted["memory"]] == [1, 8]
    assert [m["activations_bytes"] for m in counted["memory"]] == [4096, 8 * 4096]
    assert {m["basis"] for m in counted["memory"]} == {"computed"}
    done = CliRunner().invoke(app, words)
    assert "at the peak of 8 samples: " in done.output
    for text in ("0", "1,x", ""):
        refused = CliRunner().invoke(app, [*words[:-1], text])
        assert isinstance(refused.exception, TftraceError)
        assert "give a size" in str(refused.exception)


def test_a_model_that_takes_one_size_is_not_asked_for_others():
    model = keras.Sequential([keras.Input(batch_shape=(4, 3)), layers.Dense(2)])
    with pytest.raises(TftraceError, match="batches of exactly 4 samples"):
        memories(model, lambda batch: [(batch, 3)], [4, 8])


def test_a_batch_may_be_larger_than_this_machine_s_memory():
    """32 B in, 64 and 4 B out per sample; 161 weights. Nothing of the batch is allocated."""
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16), layers.Dense(1)])
    batch = 2**31 - 1
    found = memory(model, [(batch, 8)])
    assert (found.weights_bytes, found.inputs_bytes) == (644, 32 * batch)
    assert found.activations_bytes == 68 * batch


@pytest.mark.kernels
def test_the_optimizer_makes_of_a_graph_what_it_makes_when_that_runs():
    """Types of kernels, of a network that it fuses and folds; arguments and results apart."""
    model = keras.Sequential(
        [
            keras.Input((16, 16, 4)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.Activation("silu"),
            layers.Flatten(),
            layers.Dense(4, activation="softmax"),
        ]
    )
    traced = tf.function(lambda x: model(x, training=False)).get_concrete_function(
        tf.TensorSpec((2, 16, 16, 4))
    )
    with tf_private.collect_graphs() as collection:
        traced(tf.zeros((2, 16, 16, 4)))
    (ran,) = [after for before, after in collection.functions if len(before.node) > 20]
    apart = ("_Arg", "_Retval", "Placeholder", "VarHandleOp", "Identity", "Const")
    made = tf_private.optimized_graph(traced.graph)
    types = [
        sorted(n.op for n in graph.node if n.op not in apart and not n.op.startswith("_Mkl"))
        for graph in (ran, made)
    ]
    assert any(kind.startswith("_Fused") for kind in types[1])
    if not setting().onednn:
        assert types[0] == types[1]
