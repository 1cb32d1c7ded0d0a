"""A piece of an optimized graph as a graph of its own, with placeholders for what it reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import tensorflow as tf
from tensorflow.core.framework.graph_pb2 import GraphDef

from tftrace.counts.buffers import HANDLES, Kernel, overwritten
from tftrace.counts.flow import Flow
from tftrace.graph import Edge, FlatOp
from tftrace.graph.kernel_types import plain_type
from tftrace.graph.types import LOOPS
from tftrace.machine.bench.alone import Operand, Unit, rename_functions

STORED = ("Const", "ReadVariableOp", "VarHandleOp")
"""Where weights come from."""
EMPTY_LISTS = ("TensorListReserve", "EmptyTensorList")
"""Cost nothing, and may begin several loops: each gets its own."""

_INDEXES = ("Gather", "GatherV2", "ResourceGather")
"""Look up rows of their first input, which their second one names."""
_SHAPES = {
    **dict.fromkeys(("Fill", "Conv2DBackpropInput", "DepthwiseConv2dNativeBackpropInput"), 0),
    **dict.fromkeys(("Conv3DBackpropInputV2", "AvgPoolGrad", "AvgPool3DGrad"), 0),
    **dict.fromkeys(("BroadcastTo", "Conv2DBackpropFilter", "Conv3DBackpropFilterV2"), 1),
    "DepthwiseConv2dNativeBackpropFilter": 1,
}
"""Which input says what shape the result has."""
_CURVES = frozenset(
    (
        *("Elu", "Erf", "Erfc", "Exp", "Expm1", "Log", "Log1p", "Pow", "Selu", "Sigmoid"),
        *("Softmax", "Softplus", "Square", "Sqrt", "Tanh"),
    )
)
"""Take as long as their numbers decide, of which their own result has others."""


@dataclass(frozen=True)
class Origin:
    """The graph that pieces are cut out of: a GraphDef, and the same followed."""

    definition: Any
    flow: Flow

    @cached_property
    def nodes(self) -> Mapping[str, Any]:
        """Of the root graph, by name."""
        return {node.name: node for node in self.definition.node}

    @cached_property
    def functions(self) -> Mapping[str, Any]:
        """By name."""
        return {function.signature.name: function for function in self.definition.library.function}

    @cached_property
    def readers(self) -> Mapping[Edge, int]:
        """How many read each tensor, under whatever name."""
        flow = self.flow
        found = Counter(flow.behind_views(edge) for op in flow.ops.values() for edge in op.inputs)
        found.update(flow.behind_views(edge) for edge in flow.outputs)
        return found

    def stored(self, edge: Edge) -> bool:
        """Whether it is a weight."""
        producer = self.flow.ops.get(self.flow.behind_views(edge).name)
        return producer is not None and producer.node.type in STORED


@dataclass
class _Made:
    """The piece's graph so far, its operands, and the name of what stands for each tensor."""

    definition: Any = field(default_factory=GraphDef)
    operands: list[Operand] = field(default_factory=list)
    given: dict[Edge, str] = field(default_factory=dict)

    def copy(self, node: Any, inputs: Sequence[str]) -> str:
        name = f"a{len(self.definition.node)}"
        copied = self.definition.node.add()
        copied.CopyFrom(node)
        copied.name = name
        copied.input[:] = inputs
        # What it was to be beside is not in this graph.
        copied.attr.pop("_class", None)
        return name

    def constant(self, value: object, kind: Any, shape: Sequence[int]) -> str:
        name = f"a{len(self.definition.node)}"
        node = self.definition.node.add(name=name, op="Const")
        node.attr["dtype"].type = kind.as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, kind, shape))
        return name

    def placeholder(self, kind: Any, shape: Sequence[int] = ()) -> str:
        name = f"a{len(self.definition.node)}"
        node = self.definition.node.add(name=name, op="Placeholder")
        node.attr["dtype"].type = kind.as_datatype_enum
        node.attr["shape"].shape.CopyFrom(tf.TensorShape(shape).as_proto())
        return name


def unit_of(group: Sequence[FlatOp], origin: Origin) -> Unit | None:
    """The operations as a unit; None where one is hidden, or what it reads has an open size.

    Args:
        group: operations of the root graph that are timed together.
    """
    if any(op.node.name not in origin.nodes for op in group):
        return None
    flow, made = origin.flow, _Made()
    names: dict[str, str] = {}
    functions: dict[str, str] = {}
    for op in group:
        inputs = []
        for index, edge in enumerate(op.inputs):
            source = flow.resolve(edge)
            if source.name in names:
                inputs.append(f"{names[source.name]}:{source.output}")
                continue
            if source not in made.given and not _give(made, op, index, origin):
                return None
            inputs.append(made.given[source])
        # What ends a variable's life waits for what adds to it.
        waits = [f"^{names[name]}" for name in op.node.controls if name in names]
        names[op.key] = made.copy(origin.nodes[op.node.name], [*inputs, *waits])
        node = made.definition.node[-1]
        if op.node.type in LOOPS:
            # As the runtime has it, which takes loops apart.
            node.attr["_lower_using_switch_merge"].b = True
        for name in _called(node, origin.functions):
            functions.setdefault(name, f"f{len(functions)}")
    made.definition.library.function.extend(origin.functions[name] for name in functions)
    rename_functions(made.definition, functions)
    read = {flow.resolve(edge).name for op in group for edge in op.inputs}
    return Unit(
        names=tuple(op.key for op in group),
        definition=made.definition.SerializeToString(deterministic=True),
        operands=tuple(made.operands),
        results=tuple(names[op.key] for op in group if op.key not in read),
        overwrites=_overwrites(group[0], made, origin) if len(group) == 1 else None,
    )


def _give(made: _Made, op: FlatOp, index: int, origin: Origin) -> bool:
    """Add what stands for input ``index`` of ``op``; False where that is not known."""
    flow = origin.flow
    source = flow.resolve(op.inputs[index])
    producer = flow.ops.get(source.name)
    kind = None if producer is None else producer.node.type
    if producer is not None and kind == "Const" and producer.node.name in origin.nodes:
        made.given[source] = made.copy(origin.nodes[producer.node.name], ())
        return True
    if producer is not None and kind in EMPTY_LISTS:
        edges = [flow.resolve(edge) for edge in producer.inputs]
        known = all(
            e in made.given or _give(made, producer, i, origin) for i, e in enumerate(edges)
        )
        if known:
            inputs = [made.given[edge] for edge in edges]
            made.given[source] = made.copy(origin.nodes[producer.node.name], inputs)
        return known
    if producer is not None and kind == "VarHandleOp":
        shape = tf.TensorShape(origin.nodes[producer.node.name].attr["shape"].shape)
        if not shape.is_fully_defined():
            return False
        name = made.given[source] = made.placeholder(tf.resource)
        dtype = producer.node.attrs["dtype"]
        made.operands.append(Operand(name, dtype, tuple(shape.as_list()), handle=True))
        return True
    return _give_tensor(made, op, index, origin)


def _give_tensor(made: _Made, op: FlatOp, index: int, origin: Origin) -> bool:
    source, spec = origin.flow.resolve(op.inputs[index]), op.sources[index]
    if spec.size is None or spec.dtype in (*HANDLES, "string") or spec.dtype.startswith("q"):
        return False  # of a quantized number nobody here knows what it stands for
    shape = tuple(int(size or 0) for size in spec.shape or ())
    kind, value = tf.as_dtype(spec.dtype), op.input_values[index]
    result = op.node.outputs[0].shape if op.node.outputs else None
    if value is None and _SHAPES.get(op.node.type) == index and result and None not in result:
        value = result
    if value is not None and (kind.is_integer or kind.is_bool):
        made.given[source] = made.constant(value, kind, shape)
        return True
    rows = op.sources[0].shape if op.node.type in _INDEXES and index == 1 else None
    name = made.given[source] = made.placeholder(kind, shape)
    weight = origin.stored(source)
    below = int(rows[0] or 1) if rows else 1
    made.operands.append(Operand(name, spec.dtype, shape, weight, below=below))
    return True


def _overwrites(op: FlatOp, made: _Made, origin: Origin) -> int | None:
    """Which operand the result may take the place of: nobody else reads it, and it is no weight."""
    if plain_type(op.node.type) in _CURVES:
        return None
    numbers = {operand.name: i for i, operand in enumerate(made.operands)}
    kernel = Kernel(op.node, op.sources, op.input_values, onednn=False, threads=1)
    for index in overwritten(kernel):
        edge = origin.flow.resolve(op.inputs[index])
        alone = origin.readers[origin.flow.behind_views(edge)] == 1 and not origin.stored(edge)
        if alone and made.given[edge] in numbers:
            return numbers[made.given[edge]]
    return None


def _called(node: Any, functions: Mapping[str, Any]) -> Iterator[str]:
    """Functions that a node calls, and those that they call."""
    pending, seen = [node], set()
    while pending:
        for value in pending.pop().attr.values():
            for name in [value.func.name, *(f.name for f in value.list.func)]:
                if name in functions and name not in seen:
                    seen.add(name)
                    pending += functions[name].node_def
                    yield name
