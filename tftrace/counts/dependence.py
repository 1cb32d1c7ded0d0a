"""What an operation's result depends on: nothing, the model's parameters, or the data.

That decides what counts. A constant is folded before the first batch. Arithmetic on parameters
alone (a batch norm's ``gamma * rsqrt(variance + epsilon)``, LoRA's ``kernel + A @ B``) runs on
every batch, but could be done once: it is executed and not needed. The rest is the model.
"""

from __future__ import annotations

from collections import defaultdict
from enum import IntEnum

from tftrace.counts.flow import Flow
from tftrace.counts.traffic import HANDLES
from tftrace.graph import Edge, FlatOp
from tftrace.graph.types import CALLS, LOOPS

Point = str | Edge


class Dependence(IntEnum):
    """Ordered: what meets data depends on data."""

    CONSTANT = 0
    PARAMETER = 1
    DATA = 2


# Their result tells of shapes, which are known while the graph is traced.
_SHAPE_ONLY = frozenset(
    ["Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike", "VariableShape"]
)
_FRESH = ("IteratorGetNext", "OptionalGetValue", "Random", "StatelessRandom", "TruncatedNormal")


def dependences(flow: Flow) -> dict[str, Dependence]:
    """Dependence of every operation of the program, by key.

    Data are the root's arguments, a variable that is one included; its placeholders that no layer
    owns, except handles; what an iterator gives; and random numbers. A loop variable changes from
    turn to turn, so it is at least a parameter. A variable that the program assigns from data is
    data.
    """
    levels: dict[Point, Dependence] = dict.fromkeys(flow.carried, Dependence.PARAMETER)
    levels.update((key, _origin(op)) for key, op in flow.ops.items())
    levels.update((key, Dependence.DATA) for key in flow.arguments if key in levels)
    followers = _followers(flow)
    pending = [point for point, level in levels.items() if level]
    while pending:
        point = pending.pop()
        for follower in followers.get(point, ()):
            if levels[follower] < levels[point]:
                levels[follower] = levels[point]
                pending.append(follower)
    return {key: levels[key] for key in flow.ops}


def _origin(op: FlatOp) -> Dependence:
    node = op.node
    if node.type in ("Placeholder", "VarHandleOp", "_Arg", "Arg"):
        handle = not node.outputs or node.outputs[0].dtype in HANDLES
        if op.key != node.name:
            return Dependence.CONSTANT  # an argument: what it stands for decides
        # The function's own arguments stand before the model is called; what appears during
        # a layer's call is a tensor that the trace captured.
        return Dependence.PARAMETER if handle or node.owner else Dependence.DATA
    return Dependence.DATA if node.type.startswith(_FRESH) else Dependence.CONSTANT


def _followers(flow: Flow) -> dict[Point, list[Point]]:
    """For every point, the points that depend on it."""
    followers: dict[Point, list[Point]] = defaultdict(list)

    def point(edge: Edge) -> Point:
        edge = flow.resolve(edge)
        return edge if edge in flow.carried else edge.name

    for key, op in flow.ops.items():
        if op.node.type in _SHAPE_ONLY or op.node.type in CALLS or op.node.type in LOOPS:
            continue
        for edge in (*op.inputs, *flow.results.get(key, ())):
            followers[point(edge)].append(key)
        if op.node.type.startswith(("Assign", "Resource")) and len(op.inputs) > 1:
            target = point(op.inputs[0])
            for edge in op.inputs[1:]:
                followers[point(edge)].append(target)
    for edge, sources in flow.carried.items():
        for source in sources:
            followers[point(source)].append(edge)
    return followers
