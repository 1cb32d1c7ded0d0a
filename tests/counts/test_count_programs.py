"""Programs built by hand: what depends on what, what crosses a layer's border, how often."""

import pytest

from tftrace.counts import Counts, count_program
from tftrace.counts.boundary import boundary_bytes
from tftrace.counts.count import FOLDED_NOTE, NEUTRAL_NOTE, PARAMETER_NOTE
from tftrace.counts.dependence import Dependence, dependences
from tftrace.counts.flow import flow_of
from tftrace.graph import Edge, Graph, Node, Program, TensorSpec

VECTOR = TensorSpec("float32", (4,))
SCALAR = TensorSpec("int32", ())
HANDLE = TensorSpec("resource", ())
FLAG = TensorSpec("bool", ())


def node(name, op_type, *inputs, out=VECTOR, owner="m/a", value=None, controls=(), **attrs):
    edges = tuple(edge if isinstance(edge, Edge) else Edge(edge, 0) for edge in inputs)
    outputs = tuple(out) if isinstance(out, list) else (out,)
    return Node(name, op_type, edges, controls, outputs, attrs, value, owner)


def graph(name, nodes, inputs, outputs, controls=()):
    edges = tuple(edge if isinstance(edge, Edge) else Edge(edge, 0) for edge in outputs)
    return Graph(name, {n.name: n for n in nodes}, tuple(inputs), edges, tuple(controls))


def program(*graphs):
    return Program(graphs[0].name, {g.name: g for g in graphs})


X = node("x", "Placeholder", owner=None)
W = node("w", "Placeholder", out=HANDLE)
READ = node("read", "ReadVariableOp", "w")
ONE = node("one", "Const", out=TensorSpec("float32", ()), value=1.0)


def simple(*nodes, outputs, controls=()):
    return program(graph("root", (X, W, READ, ONE, *nodes), ("x", "w"), outputs, controls))


def by_key(counts):
    return {count.key: count for count in counts}


def test_arithmetic_on_parameters_is_executed_and_not_needed():
    counts = by_key(
        count_program(
            simple(node("v", "Square", "read"), node("y", "Mul", "x", "v"), outputs=["y"])
        )
    )
    assert counts["v"].depends_on is Dependence.PARAMETER
    assert (counts["v"].work.mults, counts["v"].needed.mults) == (4, 0)
    assert counts["v"].note == PARAMETER_NOTE
    assert (counts["y"].work.mults, counts["y"].needed.mults) == (4, 4)


def test_constants_are_folded_and_neutral_factors_removed():
    table = node("table", "Const")
    counts = by_key(
        count_program(
            simple(
                table,
                node("squared", "Square", "table"),
                node("same", "Mul", "one", "x"),
                node("y", "Mul", "same", "squared"),
                outputs=["y"],
            )
        )
    )
    assert counts["squared"].work.mults == 0
    assert counts["squared"].note == FOLDED_NOTE
    assert counts["same"].work.mults == 0
    assert counts["same"].note == NEUTRAL_NOTE
    assert counts["y"].work.mults == 4


def test_a_factor_of_one_that_broadcasts_is_not_neutral():
    wide = TensorSpec("float32", (3, 4))
    ones = node("ones", "Const", out=TensorSpec("float32", (3, 1)), value=[[1.0]] * 3)
    counts = by_key(
        count_program(simple(ones, node("y", "Mul", "x", "ones", out=wide), outputs=["y"]))
    )
    assert counts["y"].work.mults == 12


def test_dead_operations_count_nothing():
    counts = by_key(
        count_program(simple(node("dead", "Square", "x"), node("y", "Relu", "x"), outputs=["y"]))
    )
    assert not counts["dead"].live
    assert counts["dead"].times == 0
    assert counts["dead"].work.mults == 0


def test_the_shape_of_data_is_no_data():
    flow = flow_of(
        simple(
            node("shape", "Shape", "x", out=TensorSpec("int32", (1,))),
            node("filled", "Fill", "shape", "one"),
            node("y", "Mul", "filled", "read"),
            outputs=["y"],
        )
    )
    levels = dependences(flow)
    assert levels["shape"] is Dependence.CONSTANT
    assert levels["y"] is Dependence.PARAMETER


@pytest.mark.parametrize(
    ("source", "level"),
    [
        (node("z", "Placeholder", owner=None), Dependence.DATA),
        (node("z", "Placeholder", owner="m/a"), Dependence.PARAMETER),
        (node("z", "RandomUniform", "one"), Dependence.DATA),
        (node("z", "IteratorGetNext", "w"), Dependence.DATA),
        (node("z", "VarHandleOp", out=HANDLE), Dependence.PARAMETER),
    ],
    ids=["argument", "captured tensor", "random", "iterator", "variable"],
)
def test_where_data_comes_from(source, level):
    assert dependences(flow_of(simple(source, outputs=["z"])))["z"] is level


def test_a_variable_that_data_is_written_to_is_data():
    flow = flow_of(
        simple(
            node("write", "AssignVariableOp", "w", "x", out=[]),
            node("again", "ReadVariableOp", "w"),
            node("y", "Square", "again"),
            outputs=["y"],
            controls=["write"],
        )
    )
    assert dependences(flow)["y"] is Dependence.DATA


def called(*callee_nodes, outputs):
    """A root that hands ``x`` and the weight to a function and adds up its results."""
    inner = graph(
        "inner",
        (
            node("in_x", "Placeholder", owner=None),
            node("in_w", "Placeholder", out=HANDLE, owner=None),
            node("in_read", "ReadVariableOp", "in_w", owner=None),
            *callee_nodes,
        ),
        ("in_x", "in_w"),
        outputs,
    )
    root = graph(
        "root",
        (
            X,
            W,
            node("call", "PartitionedCall", "x", "w", f="inner", out=[VECTOR] * len(outputs)),
            node("y", "Square", Edge("call", len(outputs) - 1), owner="m/b"),
        ),
        ("x", "w"),
        ["y"],
    )
    return program(root, inner)


def test_a_call_does_nothing_and_its_body_everything():
    counts = by_key(
        count_program(
            called(
                node("square", "Square", "in_read", owner=None),
                node("out", "Mul", "in_x", "square", owner=None),
                outputs=["out"],
            )
        )
    )
    assert counts["call"].work.mults == 0
    assert counts["call/square"].owner == "m/a"
    assert counts["call/square"].depends_on is Dependence.PARAMETER
    assert counts["call/out"].needed.mults == 4
    assert counts["y"].depends_on is Dependence.DATA


def test_what_a_call_returns_untouched_keeps_its_dependence():
    result = called(node("out", "Square", "in_read", owner=None), outputs=["in_x", "out"])
    assert by_key(count_program(result))["y"].depends_on is Dependence.PARAMETER
    swapped = called(node("out", "Square", "in_read", owner=None), outputs=["out", "in_x"])
    assert by_key(count_program(swapped))["y"].depends_on is Dependence.DATA


def loop(limit=3):
    """``for i in range(limit): y = y * read(w)``, entered with ``x``; owner of the loop m/a."""
    arguments = ("i", "y", "h")
    specs = [SCALAR, VECTOR, HANDLE]
    places = [
        node(name, "Placeholder", out=spec, owner=None)
        for name, spec in zip(arguments, specs, strict=True)
    ]
    body = graph(
        "body",
        (
            *places,
            node("step", "Const", out=SCALAR, value=1, owner=None),
            node("next", "AddV2", "i", "step", out=SCALAR, owner=None),
            node("r", "ReadVariableOp", "h", owner=None),
            node("p", "Square", "r", owner="m/a/cell"),
            node("out", "Mul", "y", "p", owner="m/a/cell"),
            node("same", "Identity", "h", out=HANDLE, owner=None),
        ),
        arguments,
        ["next", "out", "same"],
    )
    condition = graph(
        "cond",
        (
            *places,
            node("limit", "Const", out=SCALAR, value=limit, owner=None),
            node("go", "Less", "i", "limit", out=FLAG, owner=None),
        ),
        arguments,
        ["go"],
    )
    root = graph(
        "root",
        (
            X,
            W,
            node("zero", "Const", out=SCALAR, value=0),
            node("while", "While", "zero", "x", "w", out=specs, cond="cond", body="body"),
            node("z", "Relu", Edge("while", 1), owner="m/b"),
        ),
        ("x", "w"),
        ["z"],
    )
    return program(root, body, condition)


def test_a_loop_counts_its_body_as_often_as_it_turns():
    counts = by_key(count_program(loop()))
    assert counts["while"].work.mults == 0
    assert counts["while/body/out"].times == 3
    assert counts["while/cond/go"].times == 4
    assert counts["while/body/out"].depends_on is Dependence.DATA
    assert counts["while/body/p"].depends_on is Dependence.PARAMETER
    assert counts["while/body/next"].depends_on is Dependence.PARAMETER
    assert counts["while/body/next"].note is None
    assert counts["z"].depends_on is Dependence.DATA


def test_bytes_through_a_loop():
    needed = boundary_bytes(flow_of(loop()))
    # The cell reads and writes a vector in each of three turns, and the weight once.
    assert needed["m/a/cell"] == 3 * (16 + 16) + 16
    # The loop takes x in and hands its last value out.
    assert needed["m/a"] == 16 + 16
    assert needed["m/b"] == 16 + 16


def test_a_branch_on_data_is_null_with_a_reason():
    branch = graph(
        "branch",
        (node("v", "Placeholder", owner=None), node("s", "Square", "v", owner=None)),
        ("v",),
        ["s"],
    )
    root = graph(
        "root",
        (
            X,
            node("p", "IsFinite", "x", out=FLAG),
            node("if", "If", "p", "x", then_branch="branch", else_branch="branch"),
            node("y", "Square", "if"),
        ),
        ("x",),
        ["y"],
    )
    counts = Counts.from_program(program(root, branch), [], 1)
    assert counts.totals["mults"] is None
    assert counts.known["params"] == 0
    # No call site is given, and nothing is lost for it.
    assert list(counts.layers.path) == ["m/a"]
    assert "which branch runs depends on data" in counts.layers.note.iloc[0]
    assert counts.coverage.unknown == {"Square": 2}
    ops = counts.ops.set_index("op")
    assert ops.loc["y", "mults"] == 4
    assert by_key(count_program(program(root, branch)))["y"].depends_on is Dependence.DATA


# --- bytes of a layer -----------------------------------------------------------------------------
def test_inner_tensors_and_second_readings_cost_nothing():
    flow = flow_of(
        simple(
            node("a", "Mul", "x", "read"),
            node("b", "AddV2", "a", "x"),
            node("c", "AddV2", "b", "read"),
            outputs=["c"],
        )
    )
    # x, the weight, c.
    assert boundary_bytes(flow) == {"m/a": 3 * 16}


def test_views_move_nothing_and_hide_nobody():
    square = TensorSpec("float32", (2, 2))
    flow = flow_of(
        simple(
            node("a", "Square", "x"),
            node("shape", "Const", out=TensorSpec("int32", (2,)), owner="m/flat"),
            node("view", "Reshape", "a", "shape", out=square, owner="m/flat"),
            node("b", "Square", "view", out=square, owner="m/b"),
            outputs=["b"],
        )
    )
    assert boundary_bytes(flow) == {"m/a": 32, "m/b": 32}


def test_a_lookup_reads_rows_and_not_the_table():
    rows = TensorSpec("float32", (2, 8))
    ids = node("ids", "Placeholder", out=TensorSpec("int32", (2,)), owner=None)
    axis = node("axis", "Const", out=SCALAR, value=0)
    big = node("big", "ReadVariableOp", "w", out=TensorSpec("float32", (1000, 8)))
    flow = flow_of(
        simple(ids, axis, big, node("y", "GatherV2", "big", "ids", "axis", out=rows), outputs=["y"])
    )
    assert boundary_bytes(flow) == {"m/a": 8 + 64 + 64}


def test_tables_in_the_code_are_traffic_and_numbers_are_not():
    flow = flow_of(
        simple(
            node("table", "Const"),
            node("a", "Mul", "x", "table"),
            node("b", "Mul", "a", "one"),
            outputs=["b"],
        )
    )
    assert boundary_bytes(flow) == {"m/a": 3 * 16}


def test_an_unknown_size_makes_the_layer_null():
    open_ended = TensorSpec("float32", (None,))
    flow = flow_of(simple(node("a", "Relu", "x", out=open_ended), outputs=["a"]))
    assert boundary_bytes(flow) == {"m/a": None}
