"""Inlining, by hand: keys, owners, times, inputs and liveness."""

import pytest
from by_hand import counting_loop, edge, graph, op, program

from tftrace.graph import flatten
from tftrace.graph.flatten import flat_name


def flat(found):
    return {o.key: o for o in flatten(found)}


def keys(found):
    return [o.key for o in flatten(found)]


@pytest.mark.parametrize(
    ("executed", "key"),
    [
        ("m/dense/MatMul", "m/dense/MatMul"),
        ("m/lstm/while/body/_1/m/lstm/while/MatMul", "m/lstm/while/body/m/lstm/while/MatMul"),
        ("w/cond/_12/w/Less", "w/cond/w/Less"),
        ("c/then/_0/c/Mul", "c/then/c/Mul"),
        ("c/else/_7/c/Mul", "c/else/c/Mul"),
        ("c/branch3/_7/c/Mul", "c/branch3/c/Mul"),
        ("a/while/body/_1/b/while/body/_9/c", "a/while/body/b/while/body/c"),
        # Not lowered bodies: a user's own names stay.
        ("m/body/_x/MatMul", "m/body/_x/MatMul"),
        ("m/somebody/_1/MatMul", "m/somebody/_1/MatMul"),
    ],
)
def test_numbers_of_inlined_bodies_are_dropped(executed, key):
    assert flat_name(executed) == key


def calling(owner=None, inner_owner=None):
    """root: y = erf(x); z = f(y); w = tanh(z), with f(a) = exp(relu(a))."""
    root = graph(
        "root",
        [
            op("x", "Placeholder"),
            op("y", "Erf", "x"),
            op("z", "PartitionedCall", "y", f="f", owner=owner),
            op("w", "Tanh", "z"),
        ],
        ("x",),
        ("w",),
    )
    f = graph(
        "f",
        [
            op("a", "Placeholder"),
            op("r", "Relu", "a", owner=inner_owner),
            op("e", "Exp", "r", owner=inner_owner),
            op("unused", "Log", "a"),
        ],
        ("a",),
        ("e",),
    )
    return program(root, f)


def test_a_call_is_an_operation_before_its_body():
    assert keys(calling()) == ["x", "y", "z", "z/a", "z/r", "z/e", "z/unused", "w"]


def test_inputs_pass_the_borders_of_a_call():
    found = flat(calling())
    assert found["z/r"].inputs == (edge("y"),)
    assert found["w"].inputs == (edge("z/e"),)
    assert found["z/e"].inputs == (edge("z/r"),)


def test_what_nothing_needs_is_not_live():
    found = flat(calling())
    assert {k for k, o in found.items() if not o.live} == {"z/unused"}


def test_side_effects_keep_an_operation_alive():
    root = graph(
        "root",
        [op("x", "Placeholder"), op("p", "Print", "x"), op("q", "Exp", "x", controls=["p"])],
        ("x",),
        ("x",),
        controls=("q",),
    )
    assert all(o.live for o in flatten(program(root)))


def test_a_body_of_a_dead_call_is_dead():
    root = graph(
        "root", [op("x", "Placeholder"), op("z", "PartitionedCall", "x", f="f")], ("x",), ("x",)
    )
    f = graph("f", [op("a", "Placeholder"), op("e", "Exp", "a")], ("a",), ("e",))
    assert not flat(program(root, f))["z/e"].live


@pytest.mark.parametrize(
    ("call", "body", "expected"),
    [
        (None, "m/dense", "m/dense"),
        ("m/outer", None, "m/outer"),
        ("m/outer", "m/outer/inner", "m/outer/inner"),
        # Traced for one layer, called again for another: the caller is right.
        ("m/other", "m/outer", "m/other"),
        # A common beginning is no ancestry.
        ("m/conv", "m/conv_1", "m/conv"),
    ],
)
def test_the_deeper_owner_counts_within_its_own_call(call, body, expected):
    assert flat(calling(call, body))["z/e"].owner == expected


def test_a_function_called_twice_stands_twice():
    root = graph(
        "root",
        [
            op("x", "Placeholder"),
            op("one", "PartitionedCall", "x", f="f", owner="m/a"),
            op("two", "StatefulPartitionedCall", "one", f="f", owner="m/a#2"),
        ],
        ("x",),
        ("two",),
    )
    f = graph("f", [op("a", "Placeholder"), op("e", "Exp", "a", owner="m/a")], ("a",), ("e",))
    found = flat(program(root, f))
    assert found["one/e"].owner == "m/a"
    assert found["two/e"].owner == "m/a#2"
    assert found["two/e"].inputs == (edge("one/e"),)


def test_calls_within_calls():
    root = graph(
        "root", [op("x", "Placeholder"), op("c", "PartitionedCall", "x", f="f")], ("x",), ("c",)
    )
    f = graph("f", [op("a", "Placeholder"), op("d", "PartitionedCall", "a", f="g")], ("a",), ("d",))
    g = graph("g", [op("b", "Placeholder"), op("e", "Exp", "b")], ("b",), ("e",))
    found = flat(program(root, f, g))
    assert found["c/d/e"].inputs == (edge("x"),)
    assert found["c/d/e"].times == 1


def test_recursion_is_refused():
    f = graph("f", [op("a", "Placeholder"), op("c", "PartitionedCall", "a", f="f")], ("a",), ("c",))
    with pytest.raises(ValueError, match="calls itself"):
        list(flatten(program(f)))


def test_a_loop_multiplies_its_body_and_tests_once_more():
    nodes, condition, body = counting_loop(limit=5, work=[op("e", "Exp", "x")], owner="m/rnn")
    root = graph("root", [op("x", "Placeholder"), *nodes], ("x",), ("loop:1",))
    found = flat(program(root, condition, body))
    assert found["loop"].times == 1
    assert found["loop/body/e"].times == 5
    assert found["loop/cond/test"].times == 6
    assert found["loop/body/e"].owner == "m/rnn"


def test_loops_in_loops_multiply():
    inner, inner_cond, inner_body = counting_loop(3, work=[op("e", "Exp", "x")], name="inner")
    outer, outer_cond, outer_body = counting_loop(4, work=inner, name="outer")
    root = graph("root", [op("x", "Placeholder"), *outer], ("x",), ("outer:1",))
    found = flat(program(root, outer_cond, outer_body, inner_cond, inner_body))
    assert found["outer/body/inner"].times == 4
    assert found["outer/body/inner/body/e"].times == 12
    assert found["outer/body/inner/cond/test"].times == 16


def test_an_unknown_length_is_said_and_handed_down():
    nodes, condition, body = counting_loop(None, work=[op("e", "Exp", "x")])
    root = graph("root", [op("x", "Placeholder"), *nodes], ("x",), ("loop:1",))
    found = flat(program(root, condition, body))
    assert found["loop"].times == 1
    assert found["loop/body/e"].times is None
    assert "depends on data" in found["loop/body/e"].reason


def branching(kind, attrs):
    root = graph(
        "root",
        [op("p", "Placeholder"), op("x", "Placeholder"), op("c", kind, "p", "x", **attrs)],
        ("p", "x"),
        ("c",),
    )
    parts = [
        graph(n, [op("a", "Placeholder"), op("e", k, "a")], ("a",), ("e",))
        for n, k in (("f", "Exp"), ("g", "Log"))
    ]
    return program(root, *parts)


@pytest.mark.parametrize(
    ("kind", "attrs", "parts"),
    [
        ("If", {"then_branch": "f", "else_branch": "g"}, ("then", "else")),
        ("StatelessIf", {"then_branch": "f", "else_branch": "g"}, ("then", "else")),
        ("Case", {"branches": ["f", "g"]}, ("branch0", "branch1")),
    ],
)
def test_both_branches_stand_with_unknown_times_and_the_callers_inputs(kind, attrs, parts):
    found = flat(branching(kind, attrs))
    for part, type_ in zip(parts, ("Exp", "Log"), strict=True):
        body = found[f"c/{part}/e"]
        assert body.node.type == type_
        assert body.times is None
        assert "which branch" in body.reason
        assert body.inputs == (edge("x"),)
