"""TensorFlow's graphs as plain data: the tracer's half of the seam with counting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tftrace.graph import Edge, Graph, Node, Program, TensorSpec, flatten
from tftrace.graph.phases import FORWARD
from tftrace.tracer.graphs.call_sites import final_paths
from tftrace.tracer.graphs.open_shapes import close_shapes
from tftrace.tracer.graphs.recorder import ANOTHER_GRAPH, CallSite, Recording
from tftrace.tracer.graphs.scopes import with_scopes
from tftrace.tracer.graphs.watching import record_calls
from tftrace.tracer.keras_model import fixed_batch, is_legacy, layout_of
from tftrace.tracer.keras_private import inputs_structure
from tftrace.tracer.tf_private import function_graph

_SMALL = 64
_NO_WORK = ("Const", "NoOp", "Placeholder", "ReadVariableOp", "VarHandleOp")
_FUNCTION_ATTRS = ("f", "cond", "body", "then_branch", "else_branch", "branches")


def trace_model(
    model: Any, input_shapes: Sequence[Sequence[int | None]] | None = None
) -> tuple[Program, list[CallSite]]:
    """Trace ``model(inputs, training=False)`` without running it.

    Args:
        model: a built Keras model, or a subclassed one when ``input_shapes`` is given.
        input_shapes: one full shape (batch first) per input in the model's order; by default
            the model's own, with batch 1 where it is open.

    Returns: the program and its call sites in execution order.

    Raises:
        ValueError: a shape is missing, has the wrong rank, or leaves a dimension open.
    """
    graph, recording = trace_call(model, input_shapes)
    return program_of(graph, recording), list(recording.sites.values())


def trace_call(
    model: Any, input_shapes: Sequence[Sequence[int | None]] | None = None, jit: bool = False
) -> tuple[Any, Recording]:
    """As `trace_model`: the FuncGraph, and what was seen while it was traced.

    Args:
        jit: as one computation of XLA.
    """
    specs = input_specs(model, input_shapes)
    with record_calls(model) as recording:
        called = one_computation(lambda x: model(x, training=False), jit)
        concrete = tf.function(lambda x: called(x)).get_concrete_function(specs)
    settle(recording, [concrete.graph])
    return concrete.graph, recording


def one_computation(function: Callable[[Any], Any], jit: bool) -> Callable[[Any], Any]:
    """``function``, or where ``jit``, a function that XLA compiles as a whole."""
    return tf.function(function, jit_compile=True, autograph=False) if jit else function


def trace_batch(model: Any, specs: Any) -> Program:
    """Trace what ``predict`` runs on one batch, without running it.

    Args:
        specs: TensorSpecs with the batch, in the structure of the data.
    """
    # What is not labeled comes bare, unless it might be taken for inputs and labels.
    data = (specs,) if isinstance(specs, list | tuple) else specs
    with record_calls(model, "predict_step") as recording:
        concrete = tf.function(_on_batch(model), autograph=False).get_concrete_function(data)
    settle(recording, [concrete.graph])
    return program_of(concrete.graph, recording)


def _on_batch(model: Any) -> Callable[[Any], Any]:
    """The predict function's Python; in Keras 2, whose function takes an iterator, its step."""
    model.make_predict_function()
    function = getattr(model.predict_function, "python_function", None)
    if is_legacy(model) or function is None:
        return lambda data: model.predict_step(data)
    return lambda data: function([data])


def input_specs(model: Any, input_shapes: Sequence[Sequence[int | None]] | None) -> Any:
    """Specs in the structure that the model's call expects: sparse and ragged inputs as such.

    Raises:
        ValueError: as in :func:`trace_model`.
    """
    declared = getattr(model, "inputs", None)
    if not declared:
        if input_shapes is None:
            raise ValueError("the model declares no inputs; give input_shapes")
        dtype = getattr(model, "input_dtype", None) or model.compute_dtype
        specs = [tf.TensorSpec(tuple(shape), dtype) for shape in input_shapes]
        return specs[0] if len(specs) == 1 else specs
    if input_shapes is None:
        input_shapes = [(fixed_batch(model) or 1, *tensor.shape[1:]) for tensor in declared]
    if len(input_shapes) != len(declared):
        raise ValueError(f"the model has {len(declared)} inputs, {len(input_shapes)} shapes given")
    specs = [_spec(t, shape, layout_of(t)) for t, shape in zip(declared, input_shapes, strict=True)]
    structure = inputs_structure(model)
    if structure is None:
        return specs[0] if len(specs) == 1 else specs
    return tf.nest.pack_sequence_as(structure, specs)


def _spec(tensor: Any, shape: Sequence[int | None], layout: str) -> tf.TypeSpec:
    declared = tuple(tensor.shape)
    if len(shape) != len(declared):
        raise ValueError(f"input {tensor.name} has shape {declared}, got {tuple(shape)}")
    if layout == "ragged":
        # Rows have lengths of their own, which only the data knows.
        rank = getattr(tensor, "ragged_rank", None) or 1 + max(
            (i for i, size in enumerate(declared[1:]) if size is None), default=0
        )
        rows = (shape[0], *(None for _ in range(rank)), *shape[1 + rank :])
        return tf.RaggedTensorSpec(rows, tensor.dtype, rank)
    if any(d is None for d in shape):
        raise ValueError(f"input {tensor.name} leaves its size open {declared}; give input_shapes")
    if any(d is not None and d != s for d, s in zip(declared, shape, strict=True)):
        raise ValueError(f"input {tensor.name} has shape {declared}, got {tuple(shape)}")
    kind = tf.SparseTensorSpec if layout == "sparse" else tf.TensorSpec
    return kind(tuple(shape), tensor.dtype)


def settle(recording: Recording, graphs: Iterable[Any]) -> None:
    """Give the calls that were noted in inner graphs their final paths (see ``call_sites``).

    Args:
        graphs: outermost FuncGraphs, by which an operation is needed or not.
    """
    if not any(ANOTHER_GRAPH in path for path in recording.sites):
        return
    flat = (op for graph in graphs for op in flatten(_program(graph, recording, None)))
    # A variable is read whether its value is needed or not.
    needed = {
        op.owner for op in flat if op.live and op.owner is not None and op.node.type not in _NO_WORK
    }
    recording.rename(final_paths(recording.sites, needed))


def program_of(
    graph: Any, recording: Recording, root: str | None = None, batch: Sequence[Any] = ()
) -> Program:
    """The FuncGraph ``graph`` and all functions it reaches, with owners from ``recording``.

    Where its arguments' shapes are known, so are all those that follow from them. Inside a
    SavedModel, which has no layers, owners are name scopes, which ``recording`` then has as call
    sites.

    Args:
        batch: shapes of what the iterator gives, where the graph asks one for its data.
    """
    return with_scopes(_program(graph, recording, root, batch), recording)


def _program(
    graph: Any, recording: Recording, root: str | None, batch: Sequence[Any] = ()
) -> Program:
    name = root or graph.name
    functions: dict[str, Graph] = {}
    graphs: dict[str, Any] = {}
    pending: list[tuple[str, Any]] = [(name, graph)]
    while pending:
        function, func_graph = pending.pop()
        if function in functions or func_graph is None:
            continue
        graphs[function] = func_graph
        functions[function] = _convert(
            function, func_graph, recording.owners(func_graph), recording.phases(func_graph)
        )
        for node in functions[function].nodes.values():
            pending += [(f, function_graph(func_graph, f)) for f in _called(node)]
    return close_shapes(Program(name, functions), graphs, _static_value, batch)


def _called(node: Node) -> list[str]:
    called: list[str] = []
    for key in _FUNCTION_ATTRS:
        value = node.attrs.get(key)
        called += value if isinstance(value, list) else [value] if isinstance(value, str) else []
    return called


def _convert(name: str, graph: Any, owners: Mapping[str, str], phases: Mapping[str, str]) -> Graph:
    nodes = {
        op.name: _node(op, owners.get(op.name), phases.get(op.name, FORWARD))
        for op in graph.get_operations()
    }
    captured = {inner.op.name for _, inner in getattr(graph, "captures", ())}
    return Graph(
        name=name,
        nodes=nodes,
        inputs=tuple(t.op.name for t in graph.inputs),
        outputs=tuple(Edge(t.op.name, t.value_index) for t in graph.outputs),
        controls=tuple(op.name for op in graph.control_outputs),
        arguments=frozenset(t.op.name for t in graph.inputs) - captured,
    )


def _node(op: Any, owner: str | None, phase: str) -> Node:
    outputs = tuple(_tensor_spec(t) for t in op.outputs)
    return Node(
        name=op.name,
        type=op.type,
        inputs=tuple(Edge(t.op.name, t.value_index) for t in op.inputs),
        controls=tuple(c.name for c in op.control_inputs),
        outputs=outputs,
        attrs={a.name: _plain(op.get_attr(a.name)) for a in op.op_def.attr if a.name != "value"},
        value=_static_value(op.outputs[0], outputs) if outputs else None,
        owner=owner,
        phase=phase,
    )


def _tensor_spec(tensor: Any) -> TensorSpec:
    shape = tensor.shape
    known = None if shape.rank is None else tuple(shape.as_list())
    return TensorSpec(tensor.dtype.name, known)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, tf.DType):
        return value.name
    if isinstance(value, tf.TensorShape):
        return None if value.rank is None else value.as_list()
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    # NameAttrList names a function; other messages (tensors, shapes) carry nothing to count.
    return getattr(value, "name", None)


def _static_value(tensor: Any, outputs: tuple[TensorSpec, ...]) -> Any:
    """Value of output 0 where it is static, small and numeric, as nested lists."""
    if outputs[0].size is None or outputs[0].size > _SMALL:
        return None
    integral = outputs[0].dtype in ("int32", "int64", "bool")
    if not integral and not (tensor.op.type == "Const" and outputs[0].dtype.startswith("float")):
        return None
    value = tf.get_static_value(tensor)
    return None if value is None else np.asarray(value).tolist()
