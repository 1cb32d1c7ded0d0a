"""The canary: fails when a Keras release takes a private attribute away; and what happens then."""

import keras
import numpy as np
import pytest
from networks import BUILDERS, normal

import tftrace
from tftrace.folding.fold import fold
from tftrace.tracer import keras_model, keras_private

tf_keras = pytest.importorskip("tf_keras")
layers = keras.layers


def functional(lib=keras):
    a, b = lib.Input((4,), name="a"), lib.Input((2,), name="b")
    outputs = {"s": lib.layers.Dense(1, name="s")(a), "r": lib.layers.Dense(2, name="r")(b)}
    return lib.Model({"a": a, "b": b}, outputs, name="m")


def foldable():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, name="conv"),
            layers.BatchNormalization(name="bn"),
            layers.Lambda(lambda x: x * 2, output_shape=(6, 6, 4), name="twice"),
        ],
        name="m",
    )


def test_what_is_used_is_there():
    model, old = functional(), functional(tf_keras)
    assert set(model._inputs_struct) == set(old._nested_inputs) == {"a", "b"}
    assert set(model._outputs_struct) == {"s", "r"}
    assert {n.operation.name for nodes in model._nodes_by_depth.values() for n in nodes} >= {"s"}
    assert model.inputs[0]._keras_history.operation.name in ("a", "b")
    for each in (model, old):
        assert "_jit_compile" in vars(each)
        found = each._flatten_layers(include_self=False, recursive=True)
        assert {layer.name for layer in found} == {"a", "b", "s", "r"}
    assert foldable()._functional is not None
    assert foldable().layers[-1]._output_shape == (6, 6, 4)


def test_the_methods_of_an_optimizer_that_have_a_name():
    methods = keras_private.optimizer_methods(keras.optimizers.SGD())
    assert set(methods) == {
        *keras_private._OF_OPTIMIZER, keras_private.OVERWRITES, keras_private.APPLIES
    }  # fmt: skip
    assert keras_private.CLIPS in methods


def test_a_hidden_part_of_the_optimizer_is_the_optimizer_s(monkeypatch):
    from tftrace.tracer.graphs import watching

    monkeypatch.setattr(watching, "optimizer_methods", lambda _: {})
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)], name="m")
    model.compile(keras.optimizers.SGD(clipvalue=1.0), "mse")
    found = tftrace.profile(
        model, normal(40, 4), normal(40, 2), phase="fit", repeats=0, calibrate=False, all_ops=True
    )
    assert "clipping" not in set(found.wall["component"])
    clipped = found.ops[found.ops["op_type"].isin(["Minimum", "Maximum"])]
    assert {"optimizer"} == set(clipped["phase"]) == set(clipped["component"])


class Heard(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.heard.append("hook")


def test_a_list_of_callbacks_goes_through_itself_for_every_hook():
    heard = Heard.heard = []
    every = keras.callbacks.CallbackList([Heard(), Heard()])
    own = every.callbacks

    def begin(callback):
        heard.append("begin")
        return True

    back = keras_private.callbacks_told(every, begin, lambda _: heard.append("end"))
    every.on_epoch_begin(0)
    assert heard == ["begin", "hook", "end"] * 2
    back()
    assert every.callbacks is own
    every.on_epoch_begin(1)
    assert heard[6:] == ["hook"] * 2


def test_hidden_callbacks_are_known_together(monkeypatch, tmp_path):
    from tftrace.tracer import fit_clock

    assert keras_private.callbacks_told(object(), lambda _: True, lambda _: None) is None
    monkeypatch.setattr(fit_clock, "callbacks_told", lambda *_: None)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)], name="m")
    model.compile("sgd", "mse")
    Heard.heard = []
    with tftrace.trace(tmp_path) as tracing:
        model.fit(normal(40, 4), normal(40, 1), callbacks=[Heard()], verbose=0)
    table = tracing.epochs[0]
    assert "Heard" not in set(table["part"])
    together = table[table["part"] == "CallbackList"]
    assert together["note"].str.contains("does not show which").all()
    assert list(table.loc[table["part"] == "train steps", "calls"]) == [2]


class Hidden:
    """An object without those of its attributes."""

    def __init__(self, inner, *names):
        self._inner, self._names = inner, names

    def __getattr__(self, name):
        if name in self._names:
            raise AttributeError(name)
        return getattr(self._inner, name)


def test_where_it_is_hidden_the_answer_is_none():
    model = functional()
    assert keras_private.inputs_structure(Hidden(model, "_inputs_struct")) is None
    assert keras_private.nodes_by_depth(Hidden(model, "_nodes_by_depth")) is None
    assert keras_private.functional_of_sequential(Hidden(foldable(), "_functional")) is None
    assert keras_private.layer_of_input(Hidden(model.inputs[0], "_keras_history")) is None
    assert keras_private.lambda_output_shape(Hidden(foldable().layers[-1], "_output_shape")) is None


def test_hidden_outputs_are_taken_as_they_come():
    one = Hidden(foldable(), "_outputs_struct")
    assert keras_private.outputs_structure(one) is one.outputs[0]
    several = Hidden(functional(), "_outputs_struct")
    assert keras_private.outputs_structure(several) == several.outputs


class Block(layers.Layer):
    """Keeps layers in lists and mappings, and those keep others."""

    def __init__(self, lib=keras):
        super().__init__(name="block")
        self.many = [layers.Dense(1, name="first"), {"x": layers.Dense(1, name="second")}]
        self.wrapper = layers.TimeDistributed(layers.Dense(1, name="inner"), name="wrapper")


def test_hidden_layers_are_found_in_the_attributes(monkeypatch):
    block = Block()
    expected = {layer.name for layer in keras_private.layers_within(block)}
    assert expected == {"first", "second", "wrapper", "inner"}
    monkeypatch.delattr(layers.Layer, "_flatten_layers")
    assert {layer.name for layer in keras_private.layers_within(block)} == expected


def test_a_hidden_jit_setting_keeps_a_run_from_nothing(monkeypatch):
    monkeypatch.setattr(keras_model, "jit_setting", lambda _: {})
    model, data = BUILDERS["small"]()
    profile = tftrace.profile(model, data, repeats=0, calibrate=False)
    assert profile.run["jit"] is False


def test_without_the_structure_inputs_go_by_their_order(monkeypatch):
    from tftrace.tracer.data import inputs
    from tftrace.tracer.graphs import programs

    for module in (inputs, programs):
        monkeypatch.setattr(module, "inputs_structure", lambda _: None)
    a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b")
    model = keras.Model([a, b], layers.Concatenate(name="c")([a, layers.Dense(3, name="d")(b)]))
    profile = tftrace.profile(model, [normal(40, 4), normal(40, 2)], repeats=0, calibrate=False)
    assert profile.layers.set_index("name")["macs"]["d"] == 6


def test_a_model_whose_graph_is_hidden_is_not_folded(monkeypatch):
    from tftrace.folding import graph

    assert fold(foldable()).folded
    monkeypatch.setattr(graph, "nodes_by_depth", lambda _: None)
    result = fold(foldable())
    assert result.folded == []
    assert [kept.layer for kept in result.kept] == ["bn"]


def test_a_fold_does_without_what_says_how_inputs_and_outputs_are_given(monkeypatch):
    from tftrace.folding import rebuild

    x = normal(6, 8, 8, 3)
    monkeypatch.setattr(rebuild, "inputs_structure", lambda _: None)
    monkeypatch.setattr(rebuild, "layer_of_input", lambda _: None)
    monkeypatch.setattr(
        rebuild, "outputs_structure", lambda f: f.outputs[0] if len(f.outputs) == 1 else f.outputs
    )
    start = keras.Input((8, 8, 3), name="x")
    y = layers.BatchNormalization(name="bn")(layers.Conv2D(4, 3, name="conv")(start))
    model = keras.Model(start, y, name="m")
    folded = fold(model).model
    assert [layer.name for layer in folded.layers] == ["x", "conv"]
    np.testing.assert_allclose(folded(x), model(x), atol=1e-5)
