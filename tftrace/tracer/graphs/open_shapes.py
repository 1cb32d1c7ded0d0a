"""Shapes that a trace left open, inferred from those with which it is really called.

A function that was traced for any batch (a SavedModel, an ``input_signature``) keeps its shapes
open whatever it is called with; a loop with shape invariants forgets what its variables were.
Here the program is built once more in a graph that is thrown away, calls inlined and loops
followed until their shapes settle, so that TensorFlow's own rules see what really arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import tensorflow as tf

from tftrace.graph import Graph, Node, Program, TensorSpec
from tftrace.graph.flatten import hands_through
from tftrace.graph.types import BRANCHES, CALLS, LOOPS
from tftrace.tracer.graphs.shape_rules import known_better, narrow
from tftrace.tracer.graphs.tensor_lists import ListShape, made_list, read_shape
from tftrace.tracer.tf_private import copy_handle_data

_LARGE = 4096
_SHAPELESS = ("resource", "variant")

StaticValue = Callable[[Any, tuple[TensorSpec, ...]], Any]


def close_shapes(
    program: Program,
    graphs: Mapping[str, Any],
    static_value: StaticValue,
    batch: Sequence[Any] = (),
) -> Program:
    """``program`` with every shape that follows from those of its arguments.

    A function that is called with several shapes becomes several, named ``function#2`` and so on.
    Unchanged where nothing is open, or where an argument is.

    Args:
        graphs: the FuncGraph of each function of the program.
        static_value: what a node's ``value`` is, from a tensor's operation and its outputs' specs.
        batch: shapes of what the iterator gives, where the function asks one for its data.
    """
    if not _worthwhile(program):
        return program
    with tf.Graph().as_default():
        rebuilt = _Rebuilt(program, graphs, static_value, batch)
        arguments = [_stand_in(tensor) for tensor in graphs[program.root].inputs]
        root, _ = rebuilt.function(program.root, arguments)
    return Program(root, rebuilt.functions)


def _worthwhile(program: Program) -> bool:
    root = program.functions[program.root]
    if any(_open(root.nodes[name]) for name in root.inputs):
        return False
    return any(_open(node) for graph in program.functions.values() for node in graph.nodes.values())


def _in_order(operations: Iterable[Any]) -> Iterator[Any]:
    """The operations, each behind what it takes.

    They stand in the order in which they were made, but a loop gets more inputs when its gradient
    is made.
    """
    entered: set[str] = set()
    done: set[str] = set()
    pending = list(operations)[::-1]
    while pending:
        op = pending.pop()
        if op.name in done:
            continue
        if op.name in entered:  # what it takes has been there meanwhile
            done.add(op.name)
            yield op
        else:
            entered.add(op.name)
            pending += [op, *(t.op for t in op.inputs if t.op.name not in entered)]


def _open(node: Node) -> bool:
    return any(spec.size is None and spec.dtype not in _SHAPELESS for spec in node.outputs)


@dataclass
class _Rebuilt:
    """What is built so far: the refined functions, and what the graph's tensor lists hold."""

    program: Program
    graphs: Mapping[str, Any]
    static_value: StaticValue
    batch: Sequence[Any] = ()
    functions: dict[str, Graph] = field(default_factory=dict)
    lists: dict[str, ListShape] = field(default_factory=dict)

    def function(
        self, name: str, arguments: Sequence[Any], callers: tuple[str, ...] = ()
    ) -> tuple[str, list[Any]]:
        """Build function ``name`` on ``arguments``; the name of its refined graph, its outputs."""
        source = self.program.functions[name]
        made = {place: [tensor] for place, tensor in zip(source.inputs, arguments, strict=False)}
        nodes: dict[str, Node] = {}
        for op in _in_order(self.graphs[name].get_operations()):
            node = source.nodes[op.name]
            if op.name not in made:
                node, made[op.name] = self._build(op, node, made, (*callers, name))
            nodes[op.name] = self._refined(node, made[op.name])
        outputs = [made[edge.name][edge.output] for edge in source.outputs]
        as_made = {op: nodes[op] for op in source.nodes}
        return self._keep(replace(source, nodes=as_made)), outputs

    def _build(
        self, op: Any, node: Node, made: Mapping[str, list[Any]], callers: tuple[str, ...]
    ) -> tuple[Node, list[Any]]:
        """The operation's twin: its node, functions renamed, and its output tensors."""
        called = [str(name) for name in _callees(node)]
        loops_back = any(edge.name not in made for edge in node.inputs)
        if loops_back or set(called) & set(callers):
            return node, [_stand_in(tensor) for tensor in op.outputs]
        inputs = [made[edge.name][edge.output] for edge in node.inputs]
        if called and all(name in self.program.functions for name in called):
            if node.type in LOOPS:
                node, outputs = self._loop(node, inputs, callers)
            else:
                node, outputs = self._branches(node, inputs, called, callers)
        else:
            outputs = self._twin(op, node, inputs)
        given = self.batch if node.type == "IteratorGetNext" else ()
        for new, shape in zip(outputs, given or [t.shape for t in op.outputs], strict=True):
            narrow(new, shape)
        return node, outputs

    def _twin(self, op: Any, node: Node, inputs: Sequence[Any]) -> list[Any]:
        outputs = known_better(node, inputs, _created(op, node, inputs))
        held = [self.lists.get(tensor.name) for tensor in inputs]
        if (found := made_list(op, inputs, held)) is not None:
            self.lists[outputs[0].name] = found
        if (shape := read_shape(op, inputs, held)) is not None:
            narrow(outputs[-1], shape)
        return outputs

    def _branches(
        self, node: Node, inputs: Sequence[Any], called: list[str], callers: tuple[str, ...]
    ) -> tuple[Node, list[Any]]:
        """A call, or a choice: what comes out is what all sides agree on."""
        arguments = inputs[1:] if node.type in BRANCHES else inputs
        built = [self.function(name, arguments, callers) for name in called]
        names = [name for name, _ in built]
        node = _calling(node, names)
        if node.type in CALLS:
            return node, built[0][1]
        sides = zip(*(outputs for _, outputs in built), strict=True)
        return node, [self._either(*tensors) for tensors in sides]

    def _loop(
        self, node: Node, inputs: Sequence[Any], callers: tuple[str, ...]
    ) -> tuple[Node, list[Any]]:
        """A loop's variables are what they enter as and what a turn makes of them."""
        parts = [str(node.attrs["cond"]), str(node.attrs["body"])]
        body = self.program.functions[parts[1]]
        before = dict(self.functions)
        state = [
            tensor if hands_through(body, index) else self._either(tensor)
            for index, tensor in enumerate(inputs)
        ]
        while True:
            built = [self.function(name, state, callers) for name in parts]
            after = [
                old if hands_through(body, index) else self._either(old, new)
                for index, (old, new) in enumerate(zip(state, built[1][1], strict=True))
            ]
            if all(self._alike(old, new) for old, new in zip(state, after, strict=True)):
                return _calling(node, [name for name, _ in built]), state
            # Shapes only ever open, so this ends; what was built on the way is forgotten.
            self.functions = dict(before)
            state = after

    def _either(self, *tensors: Any) -> Any:
        """A tensor of which is known what holds for all of ``tensors``."""
        shape = tensors[0].shape
        for tensor in tensors[1:]:
            shape = shape.most_specific_compatible_shape(tensor.shape)
        result = _stand_in(tensors[0], shape)
        held = [self.lists.get(tensor.name) for tensor in tensors]
        known = [one for one in held if one is not None]
        if known and len(known) == len(held):
            joined = known[0]
            for one in known[1:]:
                joined = joined.join(one)
            self.lists[result.name] = joined
        return result

    def _alike(self, one: Any, other: Any) -> bool:
        same = one.shape.rank == other.shape.rank and str(one.shape) == str(other.shape)
        return same and self._list_text(one) == self._list_text(other)

    def _list_text(self, tensor: Any) -> str:
        # Open shapes are equal to nothing, so they are compared as they are written.
        return str(self.lists.get(tensor.name))

    def _refined(self, node: Node, tensors: Sequence[Any]) -> Node:
        outputs = tuple(
            replace(spec, shape=None if t.shape.rank is None else tuple(t.shape.as_list()))
            for spec, t in zip(node.outputs, tensors, strict=True)
        )
        value = node.value
        if value is None and tensors:
            value = self.static_value(tensors[0], outputs)
        return replace(node, outputs=outputs, value=value)

    def _keep(self, graph: Graph) -> str:
        """Name under which ``graph`` is among the functions; a new one if it is another."""
        name, number = graph.name, 1
        while name in self.functions:
            if self.functions[name].nodes == graph.nodes:
                return name
            number += 1
            name = f"{graph.name}#{number}"
        self.functions[name] = replace(graph, name=name)
        return name


def _callees(node: Node) -> list[str]:
    """Functions of a call, loop (condition, body) or choice, in the order of their results."""
    if node.type in CALLS:
        return [node.attrs["f"]]
    if node.type in LOOPS:
        return [node.attrs["cond"], node.attrs["body"]]
    if node.type in BRANCHES:
        both = [node.attrs.get("then_branch"), node.attrs.get("else_branch")]
        return list(node.attrs.get("branches") or both)
    return []


def _calling(node: Node, names: list[str]) -> Node:
    """``node`` with other functions, in the order of ``_callees``."""
    if "branches" in node.attrs:
        return replace(node, attrs={**node.attrs, "branches": names})
    keys = {CALLS: ["f"], LOOPS: ["cond", "body"], BRANCHES: ["then_branch", "else_branch"]}
    found = next(keys[kinds] for kinds in keys if node.type in kinds)
    return replace(node, attrs={**node.attrs, **dict(zip(found, names, strict=True))})


def _created(op: Any, node: Node, inputs: Sequence[Any]) -> list[Any]:
    """Outputs of the same operation on ``inputs``, or stand-ins where it cannot be made here."""
    attrs = {k: v for k, v in op.node_def.attr.items() if not k.startswith("_")}
    needs_function = any(v.HasField("func") or v.list.func for v in attrs.values())
    large = node.type == "Const" and (node.outputs[0].size or 0) > _LARGE
    if needs_function or large or node.type == "Placeholder":
        return [_stand_in(tensor) for tensor in op.outputs]
    try:
        dtypes = [tensor.dtype for tensor in op.outputs]
        made = tf.compat.v1.get_default_graph().create_op(
            op.type,
            list(inputs),
            dtypes,
            attrs=attrs,
            op_def=op.op_def,
            name=op.type.lstrip("_"),  # no name begins with the mark of TensorFlow's own types
        )
    except (ValueError, TypeError):
        # Of a type whose shapes TensorFlow refuses (references of version 1): left as traced.
        return [_stand_in(tensor) for tensor in op.outputs]
    return list(made.outputs)


def _stand_in(tensor: Any, shape: Any = None) -> Any:
    """A placeholder that is what is known of ``tensor``, or has another shape."""
    result = tf.compat.v1.placeholder(tensor.dtype, tensor.shape if shape is None else shape)
    copy_handle_data(tensor, result)
    return result
