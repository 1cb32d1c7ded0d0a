"""Inputs whose size only the data knows: what they cost is unknown, not that of dense ones."""

import keras
import pytest
import tensorflow as tf
from counting import count_model

import tftrace
from tftrace.api.count import full_shapes
from tftrace.counts import OpRecord, count_op
from tftrace.graph import TensorSpec

tf_keras = pytest.importorskip("tf_keras")


@pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_dense_on_a_sparse_input(k):
    """2,708 x 64 = 173,312 would be a dense one; no MatMul runs."""
    x = k.Input((2708,), sparse=True)
    model = k.Model(x, k.layers.Dense(64, name="dense")(x))
    counts = tftrace.count(model)
    assert "MatMul" not in set(counts.ops["op_type"])
    row = counts.layers.set_index("name").loc["dense"]
    assert row.isna()["mults"]
    assert "not known" in row["note"]
    assert counts.totals["mults"] is None
    assert counts.totals["params"] == 2708 * 64 + 64


@pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_a_layer_on_a_ragged_input(k):
    x = k.Input((None, 8), ragged=True)
    model = k.Model(x, k.layers.Lambda(lambda t: t * 2.0, output_shape=(None, 8), name="twice")(x))
    assert full_shapes(model, None, 1) == [(1, None, 8)]
    counts = tftrace.count(model, full_shapes(model, None, 1))
    row = counts.layers.set_index("name").loc["twice"]
    assert row.isna()["mults"]
    assert "not known" in row["note"]


def test_a_constant_sparse_matrix_is_counted():
    """Five of its elements are not zero: five macs for each of 64 columns."""
    places = [[0, 1], [1, 0], [2, 2], [3, 4], [3, 5]]
    matrix = tf.sparse.SparseTensor(places, [1.0, 2.0, 3.0, 4.0, 5.0], (4, 8))

    class Neighbors(keras.layers.Layer):
        def call(self, x):
            return tf.sparse.sparse_dense_matmul(matrix, x[0])[None]

    x = keras.Input((8, 64))
    counts = count_model(keras.Model(x, Neighbors(name="n")(x)))
    assert counts.layers.set_index("name").loc["n", "macs"] == 5 * 64


def test_of_a_sparse_product_with_unknown_elements_the_reason_is_said():
    def spec(*shape, dtype="float32"):
        return TensorSpec(dtype, shape)

    inputs = spec(None, 2, dtype="int64"), spec(None), spec(2, dtype="int64"), spec(8, 64)
    work = count_op(OpRecord("SparseTensorDenseMatMul", inputs, (spec(4, 64),)))
    assert work.macs is None
    assert "number of non-zero elements depends on data" in work.reason


def test_whole_numbers_stay_whole_beside_unknown_ones():
    x = keras.Input((8,))
    y = keras.layers.Lambda(tf.signal.rfft)(keras.layers.Dense(16)(x))
    counts = tftrace.count(keras.Model(x, y))
    assert counts.layers["mults"].isna().any()
    assert str(counts.layers["mults"].dtype) == "Int64"
