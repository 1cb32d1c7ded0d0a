"""Every private API of TensorFlow that tftrace uses, each with what to do when it is gone.

``tests/tracer/test_tf_private.py`` is the canary: it fails when a TensorFlow release closes one.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from tftrace.undo import MEASURING

log = logging.getLogger("tftrace")

_LEVEL_SYMBOL = "_ZN3tsl8profiler8internal13g_trace_levelE"
_STATS_SYMBOLS = (
    "_ZN3tsl24CPUAllocatorStatsEnabledEv",
    "_ZN3tsl23EnableCPUAllocatorStatsEv",
    "_ZN3tsl24DisableCPUAllocatorStatsEv",
)
_ONEDNN_SYMBOL = "_ZN10tensorflow12IsMKLEnabledEv"
_NO_GRADIENTS = "this TensorFlow hides whose gradient is computed: backward is the model's own row"
_WHILE_TRACING = 2
_ALL_OPS = 3


class GraphCollection:
    """The optimized graphs of every function first run inside ``collect_graphs``."""

    def __init__(self) -> None:
        self.functions: list[tuple[Any, Any]] = []
        """(graph before, graph after optimization) as GraphDefs, in order of first run."""


@contextmanager
def collect_graphs() -> Iterator[GraphCollection]:
    """Collect what the graph optimizer makes of each function first run inside.

    Yields an object that is filled on exit. Where the API is gone it stays empty, and kernels
    are then matched to traced operations by name alone.
    """
    collection = GraphCollection()
    context = _eager_context()
    if context is None:
        yield collection
        return
    with MEASURING.undone(context.disable_graph_collection):
        context.enable_graph_collection()
        yield collection
        metadata = context.export_run_metadata()
        collection.functions = [
            (f.pre_optimization_graph, f.post_optimization_graph) for f in metadata.function_graphs
        ]


def _eager_context() -> Any:
    try:
        from tensorflow.python.eager import context as eager
    except ImportError:
        log.warning("this TensorFlow hides its optimized graphs; fused kernels keep their names")
        return None
    context = eager.context()
    context.ensure_initialized()
    wanted = ("enable_graph_collection", "export_run_metadata", "disable_graph_collection")
    if not all(hasattr(context, name) for name in wanted):
        log.warning("this TensorFlow hides its optimized graphs; fused kernels keep their names")
        return None
    return context


def function_graph(graph: Any, name: str) -> Any:
    """The FuncGraph of function ``name`` known to ``graph``, or None when it has none.

    A function that exists only as a definition (loaded from a SavedModel) is rebuilt from it.
    """
    lookup = getattr(graph, "_get_function", None)
    function = lookup(name) if lookup is not None else None
    if function is not None and getattr(function, "graph", None) is not None:
        return function.graph
    for definition in graph.as_graph_def().library.function:
        if definition.signature.name == name:
            from tensorflow.python.framework import function_def_to_graph

            # What it calls itself is looked up in the graph around it, and goes along.
            with graph.as_default():
                return function_def_to_graph.function_def_to_graph(
                    definition, include_library_functions=True
                )
    return None


_NOT_ALLOCATED = "InfeedDequeue"
"""Has type and shape as a placeholder has them, and a value that nobody knows. For each placeholder
the optimizer would make a tensor of that size, and end the process where there is no room."""
_BY_XLA = "_XlaMustCompile"
"""Marks functions, and calls of them, that ``jit_compile=True`` asks for."""


def optimized_graph(graph: Any) -> Any:
    """What TensorFlow's graph optimizer makes of a FuncGraph on a CPU, without running it.

    Loops and choices stay operations that call functions, where the runtime would make switches and
    merges of them.

    Handles of variables become operations that say what the variables are.

    Returns: a GraphDef, whose other placeholders and fetched operations keep their names; None
        where the optimizer is hidden.
    """
    try:
        from tensorflow.core.protobuf.config_pb2 import ConfigProto
        from tensorflow.core.protobuf.meta_graph_pb2 import CollectionDef, MetaGraphDef
        from tensorflow.python.grappler.tf_optimizer import OptimizeGraph
    except ImportError:
        return None
    given = MetaGraphDef(graph_def=graph.as_graph_def())
    definition = given.graph_def
    own = _compiled_whole(definition)
    functions = (f for f in definition.library.function if f.signature.name not in own)
    for node in [*definition.node, *(node for f in functions for node in f.node_def)]:
        # Kernels are fused only where it is known what runs them.
        node.device = "/job:localhost/replica:0/task:0/device:CPU:0"
        node.attr.pop("_lower_using_switch_merge", None)
    handles = {tensor.op.name: tensor for tensor in graph.inputs if tensor.dtype == tf.resource}
    for node in definition.node:
        if node.op == "Placeholder":
            node.op = _NOT_ALLOCATED
        if (kind := _variable(handles.get(node.name))) is not None:
            node.op = "VarHandleOp"
            node.attr.clear()
            node.attr["dtype"].type = kind.dtype
            node.attr["shape"].shape.CopyFrom(kind.shape)
            node.attr["shared_name"].s = node.name.encode()
    wanted = [*(t.name for t in graph.outputs), *(op.name for op in graph.control_outputs)]
    given.collection_def["train_op"].CopyFrom(
        CollectionDef(node_list=CollectionDef.NodeList(value=wanted))
    )
    optimized = OptimizeGraph(ConfigProto(), given, verbose=False)
    for node in optimized.node:
        if node.op == _NOT_ALLOCATED:
            node.op = "Placeholder"
    return optimized


def _compiled_whole(definition: Any) -> set[str]:
    """Names of the functions that XLA compiles as they are: it does not know fused kernels."""
    functions = {function.signature.name: function for function in definition.library.function}
    nodes = [*definition.node, *(node for f in functions.values() for node in f.node_def)]
    # Asking a map of protobuf for what it does not have adds it.
    pending = [name for name, f in functions.items() if _BY_XLA in f.attr and f.attr[_BY_XLA].b]
    pending += [
        node.attr["f"].func.name
        for node in nodes
        if _BY_XLA in node.attr and node.attr[_BY_XLA].b and "f" in node.attr
    ]
    found: set[str] = set()
    while pending:
        name = pending.pop()
        if name in functions and name not in found:
            found.add(name)
            values = (value for node in functions[name].node_def for value in node.attr.values())
            pending += [f.name for v in values for f in (v.func, *v.list.func) if f.name]
    return found


def _variable(handle: Any) -> Any:
    """Shape and type of the variable that a handle in a graph refers to; None if not known."""
    if handle is None:
        return None
    try:
        from tensorflow.python.ops.handle_data_util import get_resource_handle_data
    except ImportError:
        return None
    data = get_resource_handle_data(handle)
    return data.shape_and_type[0] if data.is_set and len(data.shape_and_type) == 1 else None


def concrete_functions(function: Any) -> list[tuple[str, Any]]:
    """(name, FuncGraph) of every trace of a ``tf.function``, oldest first; [] when hidden."""
    lister = getattr(function, "_list_all_concrete_functions", None)
    if lister is None:
        return []
    return [(_text(concrete.name), concrete.graph) for concrete in lister()]


def jit_of(function: Any) -> bool | None:
    """What a ``tf.function`` was told of XLA; None too where that is hidden."""
    told = getattr(function, "_jit_compile", None)
    return None if told is None else bool(told)


def autograph_of(function: Any) -> bool:
    """Whether a ``tf.function`` converts Python's control flow; True, the default, if hidden."""
    return bool(getattr(function, "_autograph", True))


def copy_handle_data(source: Any, target: Any) -> None:
    """Tell ``target`` what ``source`` knows of the resource that both refer to.

    Where the API is gone a variable behind a handle keeps the shape of its first trace.
    """
    if source.dtype not in (tf.resource, tf.variant):
        return
    try:
        from tensorflow.python.ops.handle_data_util import copy_handle_data as copy
    except ImportError:
        return
    copy(source, target)


def variable_type(handle: Any) -> Any:
    """Element type (a DType) of the variable that a resource holds.

    Returns: None when it is another resource, a table or an iterator, or the type is hidden.
    """
    data = getattr(handle, "_handle_data", None) if handle.dtype == tf.resource else None
    if data is None or not data.is_set or len(data.shape_and_type) != 1:
        return None
    return tf.dtypes.as_dtype(data.shape_and_type[0].dtype)


def data_specs(graph: Any) -> list[Any] | None:
    """The descriptions of the batches that a predict function of Keras 3 takes as a list.

    Returns: None when they are hidden, or it takes something else.
    """
    arguments, _ = getattr(graph, "structured_input_signature", None) or ((), {})
    return arguments[0] if arguments and isinstance(arguments[0], list) else None


@contextmanager
def gradients_watched(
    made: Callable[[], Any],
    gradient: Callable[[Any, Sequence[Any], Callable[[], Any]], Any],
    otherwise: Any,
) -> Iterator[bool]:
    """See each operation that a tape records in the block, and run its gradient oneself.

    The tape calls one function for the gradient of every recorded operation, and hands it the very
    tuple of attributes that was recorded: its identity tells the operation. What records a
    gradient of its own (`tf.custom_gradient`, the call of a function) gives the tape a function,
    which is wrapped.

    Args:
        made: called when an operation is recorded; what it returns is kept.
        gradient: called with that, the gradients of the operation's results, and what makes
            the gradients of its inputs, whose result it must return.
        otherwise: what stands for the kept where nothing was.

    Yields: False where the API is gone: then nothing is seen.
    """
    doors = _gradient_doors()
    if doors is None:
        yield False
        return
    register, backprop, execute, record = doors
    own, recorded, operation = (
        backprop._gradient_function,
        execute.record_gradient,
        record.record_operation,
    )
    known: dict[int, tuple[Any, Any]] = {}

    def record_gradient(op_name: Any, inputs: Any, attrs: Any, outputs: Any) -> None:
        # Kept, or another tuple may get its identity. There is only one tuple of nothing.
        if attrs:
            known[id(attrs)] = attrs, made()
        recorded(op_name, inputs, attrs, outputs)

    def gradient_function(
        op_name: Any, attrs: Any, count: Any, inputs: Any, outputs: Any, given: Any, *more: Any
    ) -> Any:
        _, kept = known.get(id(attrs), (None, otherwise))
        return gradient(
            kept, given, lambda: own(op_name, attrs, count, inputs, outputs, given, *more)
        )

    def record_operation(
        op_type: Any, outputs: Any, inputs: Any, backward_function: Any, *more: Any, **named: Any
    ) -> None:
        kept = made()

        def watched(*given: Any) -> Any:
            return gradient(kept, given, lambda: backward_function(*given))

        operation(op_type, outputs, inputs, watched, *more, **named)

    def put_back() -> None:
        register(own)
        execute.record_gradient, record.record_operation = recorded, operation

    with MEASURING.undone(put_back):
        register(gradient_function)
        execute.record_gradient = record_gradient
        record.record_operation = record_operation
        yield True


def _gradient_doors() -> tuple[Any, Any, Any, Any] | None:
    """What registers the tape's gradient function; the modules of that and of what records."""
    try:
        from tensorflow.python import pywrap_tfe
        from tensorflow.python.eager import backprop, execute, record
    except ImportError:
        log.warning(_NO_GRADIENTS)
        return None
    register = getattr(pywrap_tfe, "TFE_Py_RegisterGradientFunction", None)
    there = (
        hasattr(backprop, "_gradient_function"),
        hasattr(execute, "record_gradient"),
        hasattr(record, "record_operation"),
    )
    if register is None or not all(there):
        log.warning(_NO_GRADIENTS)
        return None
    return register, backprop, execute, record


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


def profiler_is_open() -> bool | None:
    """Whether a profiler session of this process is open that Python started.

    Returns: None where TensorFlow hides it.
    """
    try:
        from tensorflow.python.profiler import profiler_v2
    except ImportError:
        return None
    missing = object()
    session = getattr(profiler_v2, "_profiler", missing)
    return None if session is missing else session is not None


def record_every_op() -> str | None:
    """Raise the running profiler session to the level at which every kernel is recorded.

    The session's options cannot do it (TensorFlow ignores them), so the process-wide level is
    set: one exported atomic int, -1 when idle and 2 while tracing. TensorFlow resets it when
    the session stops.

    Returns: None on success, else the reason why the level was left alone.
    """
    library = _framework_library()
    if library is None:
        return "TensorFlow's framework library was not found"
    try:
        level = ctypes.c_int.in_dll(library, _LEVEL_SYMBOL)
    except ValueError:
        return "this TensorFlow does not export its trace level"
    if level.value != _WHILE_TRACING:
        return f"the trace level is {level.value}, not {_WHILE_TRACING}: no profiler session runs"
    level.value = _ALL_OPS
    return None


@contextmanager
def allocations_noted() -> Iterator[bool]:
    """Let the plain CPU allocator note in the trace what it hands out inside.

    It does not by default; what oneDNN's allocator hands out is noted anyway. TensorFlow exports
    the functions that turn it on and off for the process, and that say whether it is on.

    Yields: whether it could be turned on.
    """
    library = _framework_library()
    try:
        functions = [library[name] for name in _STATS_SYMBOLS] if library is not None else []
    except AttributeError:
        functions = []
    if not functions:
        yield False
        return
    is_on, on, off = functions
    for function in functions:
        function.restype, function.argtypes = ctypes.c_bool if function is is_on else None, []
    if is_on():
        yield True
        return
    with MEASURING.undone(off):
        on()
        yield True


def onednn_is_on() -> bool | None:
    """Whether TensorFlow uses oneDNN's kernels in this process.

    TensorFlow decides once, when it is loaded, by the variable, the build and the processor, and
    exports the answer as a function. What the variable says later no longer counts.

    Returns: None where that function is not exported.
    """
    library = _framework_library()
    try:
        decided = library[_ONEDNN_SYMBOL] if library is not None else None
    except AttributeError:
        decided = None
    if decided is None:
        return None
    decided.restype = ctypes.c_bool
    decided.argtypes = []
    return bool(decided())


def _framework_library() -> ctypes.CDLL | None:
    from pathlib import Path

    for folder in (Path(tf.sysconfig.get_lib()), Path(tf.__file__).parent):
        for path in sorted(folder.glob("libtensorflow_framework.so*")):
            return ctypes.CDLL(str(path))
    return None
