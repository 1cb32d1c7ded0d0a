"""Shapes that a trace leaves open although the batch is given: counts derived by hand."""

import keras
import pytest
import tensorflow as tf

import tftrace
from tftrace.graph import TensorSpec, flatten
from tftrace.tracer.graphs.programs import trace_model

layers = keras.layers


class Layer(layers.Layer):
    """A layer of one's own with a square kernel, from a function of input and kernel."""

    def __init__(self, function, **options):
        super().__init__(**options)
        self.function = function

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], shape[-1]))

    def call(self, x):
        return self.function(x, self.kernel)


def network(function, *shape, after=None):
    inputs = keras.Input(shape)
    outputs = Layer(function, name="own")(inputs)
    return keras.Model(inputs, outputs if after is None else after(outputs))


def macs(model, shape):
    layers = tftrace.count(model, input_shapes=[shape]).layers
    return layers.set_index("name")["macs"].to_dict()


class Decoder(keras.Model):
    """Twenty turns of a GRU cell of 64 over 100 classes, its state of any batch."""

    def __init__(self):
        super().__init__()
        self.cell = layers.GRUCell(64, name="cell")
        self.out = layers.Dense(100, name="out")

    def build(self, _):
        self.cell.build((None, 100))
        self.out.build((None, 64))
        self.built = True

    def call(self, x):
        def turn(i, state, token):
            y, new = self.cell(token, [state])
            return i + 1, new[0], tf.nn.softmax(self.out(y))

        state = tf.zeros((tf.shape(x)[0], 64))
        shapes = (tf.TensorShape([]), tf.TensorShape([None, 64]), tf.TensorShape([None, 100]))
        return tf.while_loop(lambda i, *_: i < 20, turn, (0, state, x), shapes)[2]


@pytest.mark.parametrize("batch", [1, 3])
def test_a_loop_with_shape_invariants(batch):
    model = Decoder()
    model.build((None, 100))
    # 20 turns: three gates of 64 from 100 + 64 inputs, then 64 x 100.
    counts = tftrace.count(model, input_shapes=[(batch, 100)])
    assert counts.totals["macs"] == 20 * (3 * 64 * 164 + 64 * 100) == 757_760
    assert counts.totals["bytes_executed"] is not None


def test_what_a_loop_really_changes_stays_open():
    def growing(x, w):
        shapes = (tf.TensorShape([]), tf.TensorShape([None, 8]))

        def turn(i, y):
            return i + 1, tf.concat([y, tf.matmul(y, w)], 0)

        return tf.while_loop(lambda i, _: i < 3, turn, (0, x), shapes)[1]

    counts = tftrace.count(network(growing, 8), input_shapes=[(2, 8)])
    assert counts.totals["macs"] is None
    assert "not known" in counts.layers.set_index("name").loc["own", "note"]


def test_text_is_as_many_rows_as_strings():
    vectorize = layers.TextVectorization(max_tokens=50, output_sequence_length=12)
    vectorize.adapt(["a b c d"])
    inputs = keras.Input((), dtype="string")
    outputs = layers.Dense(2048, name="heavy")(layers.Embedding(50, 64)(vectorize(inputs)))
    model = keras.Model(inputs, outputs)
    assert macs(model, (5,))["heavy"] == 12 * 64 * 2048 == 1_572_864


def test_a_saved_model_traced_for_any_batch(tmp_path):
    first, second = keras.Input((32,), name="first"), keras.Input((16,), name="second")
    hidden = layers.Concatenate()([layers.Dense(256)(first), layers.Dense(256)(second)])
    model = keras.Model([first, second], layers.Dense(25)(hidden))
    model.export(tmp_path / "saved", verbose=False)
    again = layers.TFSMLayer(tmp_path / "saved", call_endpoint="serve", name="again")
    inputs = [keras.Input((32,)), keras.Input((16,))]
    counts = tftrace.count(keras.Model(inputs, again(inputs)), input_shapes=[(4, 32), (4, 16)])
    assert counts.totals["macs"] == 256 * (32 + 16) + 512 * 25 == 25_088


def test_one_function_called_with_two_shapes():
    @tf.function(input_signature=[tf.TensorSpec((None, 8)), tf.TensorSpec((8, 8))])
    def product(x, w):
        return tf.matmul(x, w)

    model = network(lambda x, w: product(product(tf.concat([x, x, x], 0), w)[:2], w), 8)
    program, _ = trace_model(model, [(2, 8)])
    found = [op.node.outputs[0] for op in flatten(program) if op.node.type == "MatMul"]
    assert found == [TensorSpec("float32", (6, 8)), TensorSpec("float32", (2, 8))]
    # Three times the batch, then the batch.
    assert macs(model, (2, 8))["own"] == (3 + 1) * 64


def test_what_is_stacked_in_a_loop_has_the_shape_of_its_items():
    def collected(x, w):
        items = tf.TensorArray("float32", 5, element_shape=(None, 8))
        shapes = (tf.TensorShape([]), tf.TensorShape([None, 8]), tf.TensorShape(None))

        def turn(i, y, items):
            y = tf.matmul(y, w)
            return i + 1, y, items.write(i, y)

        items = tf.while_loop(lambda i, *_: i < 5, turn, (0, x, items), shapes)[2]
        return tf.transpose(items.stack(), (1, 0, 2))

    found = macs(network(collected, 8, after=layers.Dense(4, name="after")), (2, 8))
    assert found["own"] == 5 * 64
    assert found["after"] == 5 * 8 * 4


def test_what_a_map_gives_has_the_shape_of_its_results():
    @tf.function(input_signature=[tf.TensorSpec((None, 3, 8)), tf.TensorSpec((8, 8))])
    def mapped(x, w):
        return tf.map_fn(lambda row: tf.matmul(row, w), x)

    found = macs(network(mapped, 3, 8, after=layers.Dense(4, name="after")), (2, 3, 8))
    assert found["after"] == 3 * 8 * 4


def test_behind_a_branch_is_what_both_sides_agree_on():
    def chosen(x, w):
        @tf.function(input_signature=[tf.TensorSpec((None, 8))])
        def either(x):
            return tf.cond(tf.reduce_sum(x) > 0, lambda: tf.exp(x), lambda: -x)

        return either(x)

    found = macs(network(chosen, 8, after=layers.Dense(4, name="after")), (2, 8))
    assert found["after"] == 8 * 4


def test_functions_keep_their_names_where_nothing_is_open():
    program, _ = trace_model(network(lambda x, w: tf.matmul(x, w), 8), [(2, 8)])
    assert list(program.functions) == [program.root]


def test_rows_of_ragged_text_split_by_row_splits():
    def counted(x, w):
        ragged = tf.RaggedTensor.from_row_splits(tf.reshape(x, (-1,)), tf.range(5, dtype="int64"))
        return tf.matmul(ragged.to_tensor(shape=(None, 8)), w)

    # Four rows for two samples, padded to eight.
    assert macs(network(counted, 8), (2, 8))["own"] == 2 * 64
