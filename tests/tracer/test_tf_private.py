"""The canary: fails when a TensorFlow release shuts a private door; and what happens then."""

import ctypes
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import BUILDERS

import tftrace
from tftrace.graph.kernel_types import KernelType, kernel_type, plain_type
from tftrace.tracer import tf_private
from tftrace.tracer.tf_private import (
    collect_graphs,
    concrete_functions,
    copy_handle_data,
    function_graph,
    record_every_op,
)


def conv_relu():
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Conv2D(8, 3, name="conv"),
            layers.ReLU(name="act"),
        ],
        name="m",
    )


def fused_convolution(profile):
    """The one kernel of `conv_relu` that multiplies."""
    kinds = profile.ops["op_type"].map(kernel_type)
    (kernel,) = profile.ops[kinds == KernelType(("Conv2D",), fused=True)].to_dict("records")
    return kernel


def test_the_doors_are_open():
    from tensorflow.python.eager import context

    for name in ("enable_graph_collection", "export_run_metadata", "disable_graph_collection"):
        assert hasattr(context.context(), name)
    function = tf.function(lambda x: x + 1)
    function(tf.zeros(2))
    assert hasattr(function, "_list_all_concrete_functions")
    traced = function.get_concrete_function(tf.TensorSpec((2,))).graph
    assert tf_private.optimized_graph(traced) is not None
    with tf.Graph().as_default() as graph:
        assert hasattr(graph, "_get_function")
    assert tf_private._framework_library() is not None
    ctypes.c_int.in_dll(tf_private._framework_library(), tf_private._LEVEL_SYMBOL)


@pytest.mark.kernels
def test_graphs_before_and_after_optimisation_are_collected():
    with collect_graphs() as collection:
        tf.function(lambda x: tf.nn.relu(tf.nn.bias_add(x @ x, tf.ones(4))))(tf.ones((4, 4)))
    (found,) = [f for f in collection.functions if any(n.op == "Relu" for n in f[0].node)]
    before, after = ({n.op for n in graph.node} for graph in found)
    assert {"MatMul", "BiasAdd", "Relu"} <= before
    assert "_FusedMatMul" in after


def test_a_graph_is_optimized_without_running_and_says_what_its_variables_are():
    weights = tf.Variable(tf.ones((3, 5)))
    traced = tf.function(lambda x: x @ weights + tf.constant(1.0) * 2.0)
    graph = traced.get_concrete_function(tf.TensorSpec((2, 3))).graph
    nodes = {node.op: node for node in tf_private.optimized_graph(graph).node}
    assert "Mul" not in nodes  # folded
    shape = nodes["VarHandleOp"].attr["shape"].shape
    assert [size.size for size in shape.dim] == [3, 5]


def test_where_the_optimizer_is_hidden_nothing_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow.python.grappler.tf_optimizer", None)
    graph = tf.function(lambda x: x + 1).get_concrete_function(tf.TensorSpec((2,))).graph
    assert tf_private.optimized_graph(graph) is None


def test_collection_ends_also_after_an_exception():
    with pytest.raises(RuntimeError), collect_graphs():
        raise RuntimeError
    from tensorflow.python.eager import context

    # A later collection is possible and holds only what ran inside it.
    with collect_graphs() as collection:
        pass
    assert collection.functions == []
    assert context.context() is not None


def test_concrete_functions_are_named_as_in_the_trace():
    function = tf.function(lambda x: x * 2)
    function(tf.zeros(3))
    ((name, graph),) = concrete_functions(function)
    assert name.startswith("__inference_")
    assert any(op.type == "Mul" for op in graph.get_operations())


def test_a_nested_functions_graph_is_found_and_rebuilt_from_its_definition():
    inner = tf.function(lambda x: tf.math.erf(x))
    outer = tf.function(lambda x: inner(x)).get_concrete_function(tf.TensorSpec((2,)))
    (call,) = (op for op in outer.graph.get_operations() if op.type.endswith("PartitionedCall"))
    name = call.get_attr("f").name
    for graph in (function_graph(outer.graph, name), _rebuilt(outer.graph, name)):
        assert "Erf" in {op.type for op in graph.get_operations()}
    assert function_graph(outer.graph, "no_such_function") is None


def _rebuilt(graph, name):
    """As if TensorFlow hid the function's graph."""

    class Hidden:
        as_graph_def = staticmethod(graph.as_graph_def)
        as_default = staticmethod(graph.as_default)

    return function_graph(Hidden(), name)


def trace_level():
    return ctypes.c_int.in_dll(tf_private._framework_library(), tf_private._LEVEL_SYMBOL).value


def test_the_level_is_left_alone_unless_a_session_runs(tmp_path):
    assert trace_level() == -1
    assert "no profiler session" in record_every_op()
    assert trace_level() == -1
    tf.profiler.experimental.start(str(tmp_path))
    try:
        assert record_every_op() is None
        assert trace_level() == 3
    finally:
        tf.profiler.experimental.stop()
    assert trace_level() == -1


def test_every_op_says_why_it_cannot(monkeypatch):
    monkeypatch.setattr(tf_private, "_LEVEL_SYMBOL", "no_such_symbol")
    assert "does not export" in record_every_op()
    monkeypatch.setattr(tf_private, "_framework_library", lambda: None)
    assert "not found" in record_every_op()


@pytest.mark.kernels
def test_all_ops_records_every_expected_execution():
    model, data = BUILDERS["recurrent"]()
    profile = tftrace.profile(model, data, repeats=0, calibrate=False, all_ops=True)
    assert profile.run["trace"]["level"] == 3
    loop = profile.ops[profile.ops["op_type"].map(plain_type) == "MatMul"]
    # 12 turns per batch, 3 batches; the cell has two matrix products.
    body = loop[loop["layer"].str.contains("lstm")]
    assert body["calls"].tolist() == body["expected_calls"].tolist()
    assert body["calls"].sum() >= 12 * 3
    assert profile.recording["recorded"] == profile.recording["expected"]


def test_without_the_level_the_run_says_so(monkeypatch):
    monkeypatch.setattr(tf_private, "_LEVEL_SYMBOL", "no_such_symbol")
    model, data = BUILDERS["small"]()
    profile = tftrace.profile(model, data, repeats=0, calibrate=False, all_ops=True)
    assert profile.run["trace"]["level"] == 2
    assert "does not export" in profile.run["trace"]["note"]
    assert "not every kernel could be recorded" in str(profile)


@pytest.mark.kernels
def test_without_optimised_graphs_kernels_are_matched_by_their_own_name(monkeypatch):
    monkeypatch.setattr(tf_private, "_eager_context", lambda: None)
    data = np.zeros((64, 12, 12, 3), "float32")
    profile = tftrace.profile(conv_relu(), data, repeats=0, calibrate=False)
    assert fused_convolution(profile)["layer"] == "m/act"  # the best that a name can say
    assert profile.wall["wall_ms"].sum() > 0


def test_a_context_without_graph_collection_is_noticed(monkeypatch, caplog):
    from tensorflow.python.eager import context

    class Bare:
        def ensure_initialized(self):
            pass

    monkeypatch.setattr(context, "context", Bare)
    with collect_graphs() as collection:
        pass
    assert collection.functions == []
    assert "hides its optimized graphs" in caplog.text


@pytest.mark.kernels
def test_without_the_functions_names_the_run_is_still_attributed(monkeypatch):
    from tftrace.tracer.graphs import functions

    monkeypatch.setattr(functions, "concrete_functions", lambda _: [])
    data = np.zeros((64, 12, 12, 3), "float32")
    profile = tftrace.profile(conv_relu(), data, repeats=0, calibrate=False)
    kernel = fused_convolution(profile)
    assert kernel["layer"] == "m/conv"
    assert kernel["component"] == "layers"


@pytest.mark.parametrize("open_door", [True, False])
def test_a_stand_in_for_a_variable_knows_its_shape(open_door, monkeypatch):
    if not open_door:
        monkeypatch.setitem(sys.modules, "tensorflow.python.ops.handle_data_util", None)
    traced = tf.function(lambda: variable.read_value())
    variable = tf.Variable(tf.zeros((3, 4)))
    (handle,) = traced.get_concrete_function().graph.inputs
    with tf.Graph().as_default():
        stand_in = tf.compat.v1.placeholder(tf.resource, ())
        copy_handle_data(handle, stand_in)
        read = tf.raw_ops.ReadVariableOp(resource=stand_in, dtype="float32")
    assert read.shape.as_list() == [3, 4] if open_door else read.shape.rank is None


def test_the_allocator_can_be_told_to_note():
    with tf_private.allocations_noted() as can:
        assert can
        assert allocations_are_noted()
    assert not allocations_are_noted()


def test_an_allocator_that_notes_already_goes_on():
    with tf_private.allocations_noted():
        with tf_private.allocations_noted() as can:
            assert can
        assert allocations_are_noted()
    assert not allocations_are_noted()


def allocations_are_noted():
    is_on = tf_private._framework_library()[tf_private._STATS_SYMBOLS[0]]
    is_on.restype, is_on.argtypes = ctypes.c_bool, []
    return is_on()


def test_without_its_functions_the_allocator_is_left_alone(monkeypatch):
    monkeypatch.setattr(tf_private, "_STATS_SYMBOLS", ("no", "such", "door"))
    with tf_private.allocations_noted() as can:
        assert not can
    monkeypatch.setattr(tf_private, "_framework_library", lambda: None)
    with tf_private.allocations_noted() as can:
        assert not can
