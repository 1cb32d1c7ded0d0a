"""Loops whose limit is a known shape that TensorFlow did not fold."""

import pytest

from tftrace.graph import Edge, Graph, Node, TensorSpec
from tftrace.graph.trips import trip_count
from tftrace.graph.types import Program

INDEX = TensorSpec("int32", ())
VECTOR = TensorSpec("int32", (1,))


def loop_to_shape(shape, begin, mask=1, tensor=None):
    """``while i < tf.shape(x)[begin]: i += 1``, as tf.function leaves it."""

    def constant(name, value, spec=INDEX):
        return Node(name, "Const", outputs=(spec,), value=value)

    def edges(*names):
        return tuple(Edge(name, 0) for name in names)

    i, limit = (Node(name, "Placeholder", outputs=(INDEX,)) for name in ("i", "limit"))
    less = Node("less", "Less", edges("i", "limit"), outputs=(TensorSpec("bool", ()),))
    step = constant("step", 1)
    up = Node("up", "AddV2", edges("i", "step"), outputs=(INDEX,))
    condition = Graph("cond", {n.name: n for n in (i, limit, less)}, ("i", "limit"), edges("less"))
    body = Graph(
        "body", {n.name: n for n in (i, limit, step, up)}, ("i", "limit"), edges("up", "limit")
    )
    loop = Node("loop", "While", edges("zero", "pick"), attrs={"cond": "cond", "body": "body"})
    nodes = (
        constant("zero", 0),
        *([tensor] if tensor else ()),
        Node("shape", "Shape", edges("x"), outputs=(VECTOR,))
        if tensor
        else constant("shape", shape, TensorSpec("int32", (len(shape or ()),))),
        constant("begin", begin, VECTOR),
        constant("end", None, VECTOR),
        constant("stride", [1], VECTOR),
        Node(
            "pick",
            "StridedSlice",
            edges("shape", "begin", "end", "stride"),
            outputs=(INDEX,),
            attrs={"shrink_axis_mask": mask},
        ),
        loop,
    )
    root = Graph("root", {n.name: n for n in nodes})
    program = Program("root", {g.name: g for g in (root, body, condition)})
    return trip_count(program, root, loop)


@pytest.mark.parametrize(("begin", "turns"), [([0], 7), ([1], 2), ([-1], 3)])
def test_one_dimension_of_a_known_shape_is_a_limit(begin, turns):
    assert loop_to_shape([7, 2, 3], begin) == (turns, None)


@pytest.mark.parametrize(
    ("shape", "begin", "mask"),
    [(None, [0], 1), ([7, 2, 3], None, 1), ([7, 2, 3], [3], 1), ([7, 2, 3], [0], 0)],
    ids=["shape unknown", "index unknown", "index too large", "a slice"],
)
def test_anything_else_is_unknown(shape, begin, mask):
    turns, reason = loop_to_shape(shape, begin, mask)
    assert turns is None
    assert reason == "trip count depends on data (Less)"


@pytest.mark.parametrize(("begin", "turns"), [([0], 7), ([1], None), ([2], 3)])
def test_the_known_part_of_an_open_shape_is_a_limit(begin, turns):
    """Keras 2's recurrent layers: the steps are known, the batch in the middle is not."""
    tensor = Node("x", "Placeholder", outputs=(TensorSpec("float32", (7, None, 3)),))
    assert loop_to_shape(None, begin, tensor=tensor)[0] == turns
