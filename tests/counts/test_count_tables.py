"""The tables that users see: per sample, whole where they can be, null where they must be."""

import keras
import pandas as pd
import pytest
from counting import count_model

from tftrace.counts import rule_text

LAYER_COLUMNS = [
    "path",
    "name",
    "type",
    "call",
    "depth",
    "output_shape",
    "params",
    "mults",
    "macs",
    "flops",
    "transcendentals",
    "bytes",
    "mults_executed",
    "macs_executed",
    "bytes_executed",
    "note",
]
OP_COLUMNS = [
    "op",
    "op_type",
    "layer",
    "calls",
    "mults",
    "macs",
    "flops",
    "transcendentals",
    "bytes",
    "note",
]


@pytest.fixture(scope="module")
def model():
    """The network of the question: convolution, batch norm, dense, on 32 x 32 x 3."""
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(32, 3, padding="same", name="conv"),
            keras.layers.BatchNormalization(name="bn"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(43, name="dense"),
        ]
    )


def rows(counts):
    return counts.layers.set_index("name")


def test_columns(model):
    counts = count_model(model)
    assert list(counts.layers.columns) == LAYER_COLUMNS
    assert list(counts.ops.columns) == OP_COLUMNS


def test_the_table_of_the_question(model):
    counts = count_model(model)
    layers = rows(counts)
    assert layers.loc["conv", "macs"] == 32 * 32 * 32 * 3 * 3 * 3 == 884_736
    assert layers.loc["bn", "mults"] == 32 * 32 * 32 == 32_768
    assert layers.loc["dense", "macs"] == 32_768 * 43 == 1_409_024
    # 0.92 counts one per MAC and the bias, 0.07 two per element, 2.82 two per MAC and no bias.
    assert layers.loc["conv", "macs"] + 32_768 == 917_504
    assert layers.loc["bn", "flops"] == 65_536
    assert 2 * layers.loc["dense", "macs"] == 2_818_048
    assert layers.loc["conv", "flops"] == 1_802_240
    assert layers.loc["dense", "flops"] == 2_818_091
    assert counts.totals["mults"] == 2_326_528
    assert round(100 * 32_768 / counts.totals["mults"], 1) == 1.4


def test_bytes_of_the_unfused_batch_norm(model):
    layers = rows(count_model(model))
    assert layers.loc["bn", "bytes"] == 2 * 131_072 + 4 * 128 == 262_656
    # Two passes of in, vector and out; five small operations on vectors.
    passes = 2 * (2 * 131_072 + 128)
    small = (128 + 4 + 128) + 2 * 128 + 3 * (3 * 128)
    assert layers.loc["bn", "bytes_executed"] == passes + small == 526_212


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_needed_work_per_sample_does_not_depend_on_the_batch(model, batch):
    one, many = rows(count_model(model)), rows(count_model(model, (batch, 32, 32, 3)))
    for name in ("mults", "macs", "flops", "transcendentals", "macs_executed"):
        assert many[name].dtype == "Int64"
        assert many[name].equals(one[name])
    executed = many.loc["bn", "mults_executed"]
    assert executed == pytest.approx(32_768 + 64 / batch)
    weights = 4 * 32
    assert many.loc["bn", "bytes"] == pytest.approx(262_144 + 4 * weights / batch)


def test_one_operation_per_mac(model):
    two, one = count_model(model), count_model(model, flops_per_mac=1)
    assert two.totals["flops"] - one.totals["flops"] == one.totals["macs"]
    assert two.ops.flops.sum() - one.ops.flops.sum() == one.totals["macs"]
    assert "flops: 1 x macs" in one.rule
    assert "flops: 2 x macs" in two.rule
    with pytest.raises(ValueError, match="1 or 2, not 3"):
        rule_text(3)


def test_operations_sum_to_what_the_layers_execute(model):
    counts = count_model(model, (3, 32, 32, 3))
    for name in ("mults", "macs", "bytes"):
        executed = counts.layers[f"{name}_executed"].sum()
        assert counts.ops[name].sum() == pytest.approx(executed)
        assert counts.totals[f"{name}_executed"] == pytest.approx(executed)


def test_coverage_is_said(model):
    coverage = count_model(model).coverage
    assert coverage.unknown == {}
    assert coverage.counted == coverage.total > 20
    assert str(coverage) == f"{coverage.total} of {coverage.total} operations counted"


def test_an_unknown_layer_nulls_the_total_but_not_its_neighbours():
    @keras.saving.register_keras_serializable()
    class Strange(keras.layers.Layer):
        def call(self, x):
            import tensorflow as tf

            return tf.ensure_shape(tf.numpy_function(lambda t: t, [x], x.dtype), x.shape)

        def compute_output_shape(self, shape):
            return shape

    inputs = keras.Input((4,))
    outputs = keras.layers.Dense(3, name="after")(Strange(name="strange")(inputs))
    counts = count_model(keras.Model(inputs, outputs))
    layers = rows(counts)
    assert counts.totals["macs"] is None
    assert counts.known["macs"] == 12
    assert layers.loc["after", "macs"] == 12
    assert layers.loc["strange", "macs"] is pd.NA
    assert layers.loc["strange", "mults_executed"] is pd.NA
    assert counts.totals["params"] == 15


def test_a_batch_of_none_is_refused(model):
    from tftrace.counts import Counts
    from tftrace.tracer.graphs.programs import trace_model

    with pytest.raises(ValueError, match="at least one sample"):
        Counts.from_program(*trace_model(model), 0)
