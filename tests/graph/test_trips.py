"""How often a loop turns, against `range`."""

from math import inf

import pytest
from by_hand import counting_loop, graph, op, program
from hypothesis import given
from hypothesis import strategies as st

from tftrace.graph.trips import trip_count
from tftrace.graph.types import Graph


def trips(nodes, condition, body):
    root = graph("root", [op("x", "Placeholder"), *nodes], ("x",), ("loop:1",))
    return trip_count(program(root, condition, body), root, root.nodes["loop"])


@given(st.integers(-5, 5), st.integers(-5, 30), st.integers(1, 7), st.booleans())
def test_the_count_is_that_of_range(start, limit, step, inclusive):
    compare = "LessEqual" if inclusive else "Less"
    expected = len(range(start, limit + inclusive, step))
    assert trips(*counting_loop(limit, start, step, compare)) == (expected, None)


def conjunction(*limits):
    """``i < a and i < b and …``; None is a limit that only the data knows."""
    nodes, condition, body = counting_loop(1)
    tests, names = [], []
    for n, limit in enumerate(limits):
        bound = op(f"b{n}", "Const", value=limit) if limit is not None else op(f"b{n}", "Size", "x")
        tests += [bound, op(f"t{n}", "Less", "i", f"b{n}")]
        names.append(f"t{n}")
    joined = names[0]
    for n, name in enumerate(names[1:]):
        tests.append(op(f"and{n}", "LogicalAnd", joined, name))
        joined = f"and{n}"
    tests.append(op("out", "Identity", joined))
    arguments = [condition.nodes[name] for name in condition.inputs]
    return nodes, graph(condition.name, [*arguments, *tests], ("i", "x"), ("out",)), body


@given(st.lists(st.integers(0, 40), min_size=1, max_size=4))
def test_the_smallest_bound_of_a_conjunction_decides(limits):
    assert trips(*conjunction(*limits)) == (min(limits, default=inf), None)


def test_one_unknown_bound_makes_the_count_unknown():
    count, reason = trips(*conjunction(3, None))
    assert count is None
    assert "depends on data" in reason


def test_a_bound_handed_in_by_the_caller():
    nodes, condition, body = counting_loop(1)
    handed = graph(
        condition.name,
        [
            op("i", "Placeholder"),
            op("x", "Placeholder"),
            op("limit", "Placeholder"),
            op("t", "Less", "i", "limit"),
        ],
        ("i", "x", "limit"),
        ("t",),
    )
    carrying = Graph(
        body.name,
        {**body.nodes, "limit": op("limit", "Placeholder")},
        (*body.inputs, "limit"),
        (*body.outputs, body.outputs[0]._replace(name="limit")),
    )
    first, loop = nodes
    caller = [
        first,
        op("nine", "Const", value=9),
        op("loop", "While", "first", "x", "nine", **loop.attrs),
    ]
    assert trips(caller, handed, carrying) == (9, None)


@pytest.mark.parametrize(
    ("compare", "limit", "step", "turns"),
    [
        ("Greater", -4, -2, 2),
        ("GreaterEqual", -4, -2, 3),
        ("NotEqual", 6, 3, 2),
        ("Equal", 0, 3, 1),
    ],
)
def test_other_comparisons(compare, limit, step, turns):
    """0, -2 are above -4; 0, 3 are not 6; only 0 is 0."""
    assert trips(*counting_loop(limit, step=step, compare=compare)) == (turns, None)


def test_an_integer_counter_wraps_around():
    """2,147,483,646 and 2,147,483,647 are above 0, what follows is not."""
    loop = counting_loop(0, start=2**31 - 2, compare="Greater")
    assert trips(*loop) == (2, None)


@pytest.mark.parametrize(("kind", "step"), [("Mul", 1), ("AddV2", 0), ("SubV9", 1)])
def test_a_loop_that_does_not_end_or_counts_in_unknown_ways_is_unknown(kind, step):
    nodes, condition, body = counting_loop(5, step=step)
    other = {**body.nodes, "next": op("next", kind, "i", "one", dtype="int32")}
    count, reason = trips(nodes, condition, Graph(body.name, other, body.inputs, body.outputs))
    assert count is None
    assert ("depends on data" if kind == "SubV9" else "never ends") in reason


def test_a_start_from_data_is_unknown():
    nodes, condition, body = counting_loop(5)
    nodes[0] = op("first", "ArgMax", "x")
    assert trips(nodes, condition, body)[0] is None


def gradient_of(limit):
    """A loop and one behind it that turns as often as the first one's counter says."""
    first = counting_loop(limit, step=3)
    second, condition, body = counting_loop(1, name="back")
    arguments = [op("i", "Placeholder"), op("x", "Placeholder"), op("n", "Placeholder")]
    turns = graph(condition.name, [*arguments, op("t", "Less", "i", "n")], ("i", "x", "n"), ("t",))
    outputs = [*[f"{e.name}:{e.output}" for e in body.outputs], "n"]
    nodes = [n for n in body.nodes.values() if n.type != "Placeholder"]
    body = graph(body.name, [*arguments, *nodes], ("i", "x", "n"), outputs)
    last = second[-1]
    behind = op("back", "While", *[e.name for e in last.inputs], "loop:0", **last.attrs)
    nodes = [op("x", "Placeholder"), *first[0], *second[:-1], behind]
    root = graph("root", nodes, ("x",), ("back:1",))
    whole = program(root, *first[1:], turns, body)
    return trip_count(whole, root, root.nodes["back"])


def test_the_gradient_of_a_loop_turns_by_the_counter_that_the_loop_leaves():
    assert gradient_of(limit=10) == (12, None)  # 0, 3, 6, 9, and 12 is too large
    count, reason = gradient_of(limit=None)
    assert count is None
    assert "depends on data" in reason


def test_a_missing_function_is_said():
    nodes, _, body = counting_loop(5)
    root = graph("root", [op("x", "Placeholder"), *nodes], ("x",), ("loop:1",))
    count, reason = trip_count(program(root, body), root, root.nodes["loop"])
    assert count is None
    assert "not in the graph" in reason
