"""TensorFlow's graphs as plain data, held against graphs built by hand."""

import keras
import pytest
import tensorflow as tf

from tftrace.graph import TensorSpec, flatten
from tftrace.tracer.graphs.programs import input_specs, trace_model

layers = keras.layers


def nodes_of_type(program, kind):
    return [n for g in program.functions.values() for n in g.nodes.values() if n.type == kind]


def test_a_convolution_with_its_shapes_attributes_and_owner():
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(5, 3, strides=2, name="c")], name="m"
    )
    program, sites = trace_model(model, [(2, 8, 8, 3)])
    (conv,) = nodes_of_type(program, "Conv2D")
    assert conv.outputs == (TensorSpec("float32", (2, 3, 3, 5)),)
    assert conv.attrs["strides"] == [1, 2, 2, 1]
    assert conv.attrs["padding"] == "VALID"
    assert conv.owner == "m/c"
    assert [s.name for s in sites] == ["m", "c"]


def test_inputs_and_outputs_of_the_root_are_the_models():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    program, _ = trace_model(model, [(2, 4)])
    root = program.functions[program.root]
    first = root.nodes[root.inputs[0]]
    assert first.outputs[0] == TensorSpec("float32", (2, 4))
    (output,) = root.outputs
    assert root.nodes[output.name].outputs[output.output] == TensorSpec("float32", (2, 3))


def test_a_loop_brings_its_condition_and_body():
    model = keras.Sequential([keras.Input((7, 4)), layers.SimpleRNN(3, name="rnn")], name="m")
    program, _ = trace_model(model, [(2, 7, 4)])
    (loop,) = nodes_of_type(program, "While") or nodes_of_type(program, "StatelessWhile")
    for part in ("cond", "body"):
        assert loop.attrs[part] in program.functions
    inside = [op for op in flatten(program) if "/body/" in op.key and op.node.type == "MatMul"]
    assert [op.times for op in inside] == [7, 7]
    assert all(op.owner.startswith("m/rnn/") for op in inside)


def test_a_call_brings_its_function():
    class Calling(layers.Layer):
        def call(self, x):
            return tf.function(lambda y: tf.math.erf(y))(x)

    model = keras.Sequential([keras.Input((4,)), Calling(name="calling")], name="m")
    program, _ = trace_model(model, [(2, 4)])
    (erf,) = [op for op in flatten(program) if op.node.type == "Erf"]
    assert (erf.owner, erf.times, erf.live) == ("m/calling", 1, True)


def test_small_whole_numbers_are_known_and_large_tables_are_not_kept():
    class Constants(layers.Layer):
        def call(self, x):
            return tf.reshape(x, (-1, 2)) + tf.fill((1000, 1), 1.0)[: tf.size(x) // 2]

    model = keras.Sequential([keras.Input((4,)), Constants()])
    program, _ = trace_model(model, [(500, 4)])
    constants = {str(n.value) for n in nodes_of_type(program, "Const")}
    assert "[-1, 2]" in constants
    assert not any(
        n.value is not None and (n.outputs[0].size or 0) > 64
        for n in nodes_of_type(program, "Const")
    )


def test_shapes_are_the_models_own_at_batch_one_by_default():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    assert tuple(input_specs(model, None).shape) == (1, 4)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(2, 4), (2, 4)], "has 1 inputs, 2 shapes"),
        ([(2, 4, 1)], "has shape"),
        ([(2, 5)], "has shape"),
        ([(None, 4)], "leaves its size open"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes, message):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    with pytest.raises(ValueError, match=message):
        input_specs(model, shapes)


def test_an_open_size_must_be_given():
    model = keras.Sequential([keras.Input((None, 4)), layers.Dense(3)])
    with pytest.raises(ValueError, match="open"):
        input_specs(model, None)
    assert tuple(input_specs(model, [(2, 9, 4)]).shape) == (2, 9, 4)


def test_a_subclassed_model_needs_its_shapes():
    class Sub(keras.Model):
        def call(self, x):
            return keras.ops.exp(x)

    with pytest.raises(ValueError, match="declares no inputs"):
        trace_model(Sub())
    program, _ = trace_model(Sub(), [(2, 3)])
    assert nodes_of_type(program, "Exp")
