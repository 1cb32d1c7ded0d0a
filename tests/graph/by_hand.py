"""Programs written out by hand, a line per operation."""

from tftrace.graph import Edge, Graph, Node, Program, TensorSpec

FLOAT = TensorSpec("float32", (4,))
INDEX = TensorSpec("int32", ())


def edge(text: str) -> Edge:
    """``"x:1"`` is output 1 of x; ``"x"`` its output 0."""
    name, _, output = text.partition(":")
    return Edge(name, int(output or 0))


def op(
    name: str, kind: str, *inputs: str, owner=None, value=None, controls=(), dtype=None, **attrs
) -> Node:
    spec = FLOAT if value is None else INDEX
    spec = TensorSpec(dtype, ()) if dtype else spec
    return Node(
        name,
        kind,
        tuple(edge(i) for i in inputs),
        tuple(controls),
        (spec, spec),
        attrs,
        value,
        owner,
    )


def graph(name: str, nodes, inputs=(), outputs=(), controls=()) -> Graph:
    return Graph(
        name,
        {n.name: n for n in nodes},
        tuple(inputs),
        tuple(edge(o) for o in outputs),
        tuple(controls),
    )


def program(*graphs: Graph) -> Program:
    """The first graph is the root."""
    return Program(graphs[0].name, {g.name: g for g in graphs})


def counting_loop(
    limit=10,
    start=0,
    step=1,
    compare="Less",
    work=(),
    name="loop",
    owner=None,
) -> tuple[list[Node], Graph, Graph]:
    """``for i in range(start, limit, step): work``: the caller's nodes, condition and body.

    ``limit`` None is one that only the data knows. ``work`` reads the loop's second variable
    ``x`` and its last operation gives the next.
    """
    bound = op("bound", "Const", value=limit) if limit is not None else op("bound", "Size", "x")
    condition = graph(
        f"{name}_cond",
        [
            op("i", "Placeholder"),
            op("x", "Placeholder"),
            bound,
            op("test", compare, "i", "bound", dtype="bool"),
        ],
        ("i", "x"),
        ("test",),
    )
    body = graph(
        f"{name}_body",
        [
            op("i", "Placeholder"),
            op("x", "Placeholder"),
            op("one", "Const", value=step),
            op("next", "AddV2", "i", "one", dtype="int32"),
            *work,
        ],
        ("i", "x"),
        ("next", work[-1].name if work else "x"),
    )
    nodes = [
        op("first", "Const", value=start),
        op(name, "While", "first", "x", cond=condition.name, body=body.name, owner=owner),
    ]
    return nodes, condition, body
