"""Which call made which operation: watched, not guessed from names."""

import keras
import pytest
import tensorflow as tf
from keras import layers, ops

from tftrace.tracer.graphs.watching import call_classes, record_calls


def traced(model, *shapes, training=False):
    """The recording of one trace of ``model`` and its graph."""
    specs = [tf.TensorSpec((2, *shape)) for shape in shapes]
    argument = specs[0] if len(specs) == 1 else specs
    with record_calls(model) as recording:
        function = tf.function(lambda x: model(x, training=training))
        graph = function.get_concrete_function(argument).graph
    return recording, graph


def owners_of_type(recording, graph, kind):
    """Owners of the operations of a type, in order of creation."""
    owners = recording.owners(graph)
    return [owners.get(op.name) for op in graph.get_operations() if op.type == kind]


def test_a_sequential_models_layers_are_its_call_sites_in_order():
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, name="a"), layers.ReLU(name="b")], name="m"
    )
    recording, graph = traced(model, (4,))
    assert [s.path for s in recording.sites.values() if s.type != "Functional"] == [
        "m",
        *[p for p in recording.sites if p.endswith("/a")],
        *[p for p in recording.sites if p.endswith("/b")],
    ]
    (owner,) = owners_of_type(recording, graph, "MatMul")
    assert recording.sites[owner].name == "a"
    (owner,) = owners_of_type(recording, graph, "Relu")
    assert recording.sites[owner].name == "b"


def test_names_that_a_second_trace_changes_do_not_matter():
    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(2, 1, name="conv2d")(x)
    y = layers.Conv2D(5, 3, name="conv2d_1")(y)
    model = keras.Model(x, y, name="m")
    recording, graph = traced(model, (8, 8, 3))
    owners = recording.owners(graph)
    found = {
        op.outputs[0].shape[-1]: owners[op.name]
        for op in graph.get_operations()
        if op.type == "Conv2D"
    }
    assert found == {2: "m/conv2d", 5: "m/conv2d_1"}


def test_a_shared_layer_has_a_site_per_call_and_its_weights_count_once():
    x = keras.Input((4,))
    shared = layers.Dense(4, name="d")
    model = keras.Model(x, shared(shared(x)), name="m")
    recording, graph = traced(model, (4,))
    assert owners_of_type(recording, graph, "MatMul") == ["m/d", "m/d#2"]
    first, second = recording.sites["m/d"], recording.sites["m/d#2"]
    assert (first.call, second.call) == (1, 2)
    assert (first.params, second.params) == (20, 0)


def test_different_layers_of_one_name_under_different_parents_stay_apart():
    def block(name):
        x = keras.Input((4,))
        return keras.Model(x, layers.Dense(4, name="same")(x), name=name)

    x = keras.Input((4,))
    model = keras.Model(x, block("right")(block("left")(x)), name="m")
    recording, graph = traced(model, (4,))
    assert owners_of_type(recording, graph, "MatMul") == ["m/left/same", "m/right/same"]
    assert recording.sites["m/left/same"].depth == 2
    assert recording.sites["m/left/same"].parent == "m/left"


def test_keras_operations_in_a_functional_model_own_their_graph_operations():
    x = keras.Input((4,))
    model = keras.Model(x, ops.add(ops.matmul(x, ops.transpose(x)), 1.0), name="m")
    recording, graph = traced(model, (4,))
    (matmul,) = owners_of_type(recording, graph, "MatMul")
    assert recording.sites[matmul].type == "Matmul"


class Own(keras.Model):
    """A subclassed model with operations of its own."""

    def __init__(self):
        super().__init__(name="own")
        self.dense = layers.Dense(3, name="inner")

    def call(self, x):
        return tf.math.cumsum(self.dense(tf.math.erf(x)))


def test_operations_of_a_subclassed_models_call_belong_to_the_model():
    recording, graph = traced(Own(), (4,))
    assert owners_of_type(recording, graph, "Erf") == ["own"]
    assert owners_of_type(recording, graph, "MatMul") == ["own/inner"]
    assert owners_of_type(recording, graph, "Cumsum") == ["own"]


def test_operations_in_a_loops_body_belong_to_the_layer():
    model = keras.Sequential([keras.Input((5, 4)), layers.SimpleRNN(3, name="rnn")], name="m")
    recording, graph = traced(model, (5, 4))
    bodies = [g for g in recording._graphs if g is not graph]
    owners = {
        recording.owners(g).get(op.name)
        for g in bodies
        for op in g.get_operations()
        if op.type == "MatMul"
    }
    assert owners
    assert all(owner.startswith("m/rnn/") for owner in owners)


def test_params_sum_to_the_models_own_count():
    x = keras.Input((16, 16, 3))
    y = layers.BatchNormalization()(layers.SeparableConv2D(4, 3)(x))
    y = layers.Dense(2)(layers.GlobalAveragePooling2D()(y))
    model = keras.Model(x, y)
    recording, _ = traced(model, (16, 16, 3))
    assert sum(s.params for s in recording.sites.values()) == model.count_params()


def test_output_shapes_leave_the_batch_open():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="a")], name="m")
    recording, _ = traced(model, (4,))
    (site,) = (s for s in recording.sites.values() if s.name == "a")
    assert site.output_shape == [None, 3]


def test_another_model_called_meanwhile_is_not_recorded():
    mine = keras.Sequential([keras.Input((4,)), layers.Dense(3)], name="mine")
    other = keras.Sequential([keras.Input((4,)), layers.Dense(3)], name="other")
    with record_calls(mine) as recording:
        tf.function(other).get_concrete_function(tf.TensorSpec((2, 4)))
    assert recording.sites == {}
    assert recording.roots == []


def test_eager_calls_are_not_recorded():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    with record_calls(model) as recording:
        model(tf.zeros((2, 4)))
    assert recording.sites == {}


def test_the_classes_are_put_back_also_after_an_exception():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    before = {cls: cls.__dict__["__call__"] for cls in call_classes(model)}
    assert before
    with pytest.raises(ZeroDivisionError), record_calls(model):
        1 / sum(cls.__dict__["__call__"] is call for cls, call in before.items())
    assert all(cls.__dict__["__call__"] is call for cls, call in before.items())


class Failing(layers.Layer):
    """A layer whose first call raises after it made an operation."""

    def __init__(self):
        super().__init__(name="failing")
        self.calls = 0

    def call(self, x):
        self.calls += 1
        y = tf.math.erf(x)
        if self.calls == 2:
            raise ValueError("no")
        return y


def test_a_layer_that_raises_leaves_the_stack_clean():
    failing = Failing()
    x = keras.Input((4,))
    model = keras.Model(x, layers.Dense(2, name="after")(failing(x)), name="m")
    with record_calls(model) as recording:
        with pytest.raises(ValueError, match="no"):
            tf.function(model).get_concrete_function(tf.TensorSpec((2, 4)))
        graph = tf.function(model).get_concrete_function(tf.TensorSpec((2, 4))).graph
    assert owners_of_type(recording, graph, "Erf") == ["m/failing"]
    assert owners_of_type(recording, graph, "MatMul") == ["m/after"]
