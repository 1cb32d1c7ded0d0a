"""Models that are not Keras 3's own layers: Keras 2, and transformers from keras-hub."""

import pytest
from counting import BATCH, count_model


@pytest.fixture
def keras2():
    return pytest.importorskip("tf_keras")


def sequential(keras2, shape, *layers):
    return keras2.Sequential([keras2.layers.Input(shape), *layers])


def test_fused_batch_norm_of_keras_2(keras2):
    model = sequential(
        keras2,
        (32, 32, 3),
        keras2.layers.Conv2D(32, 3, padding="same"),
        keras2.layers.BatchNormalization(),
    )
    counts = count_model(model, (BATCH, 32, 32, 3))
    norm = counts.layers.set_index("type").loc["BatchNormalization"]
    assert norm.mults == 32_768
    # The kernel computes scale and shift of 32 channels each time.
    assert norm.mults_executed == 32_768 + 2 * 32 / BATCH
    # One pass over the activation, four vectors a batch.
    assert norm.bytes == norm.bytes_executed == 2 * 131_072 + 4 * 128 / BATCH
    assert counts.totals["macs"] == 884_736


@pytest.mark.parametrize(
    ("name", "gates", "products"), [("SimpleRNN", 1, 0), ("LSTM", 4, 3), ("GRU", 3, 3)]
)
def test_loops_of_keras_2(keras2, name, gates, products):
    model = sequential(keras2, (7, 3), getattr(keras2.layers, name)(5))
    totals = count_model(model, (BATCH, 7, 3)).totals
    assert totals["macs"] == 7 * gates * 5 * (3 + 5)
    assert totals["mults"] == totals["macs"] + 7 * products * 5


def test_bidirectional_of_keras_2(keras2):
    model = sequential(keras2, (7, 3), keras2.layers.Bidirectional(keras2.layers.LSTM(5)))
    assert count_model(model, (BATCH, 7, 3)).totals["macs"] == 2 * 7 * 4 * 5 * 8


# 2 layers of width 16 with 2 heads, 32 in the feed-forward part, 12 tokens. Per layer four
# projections, scores and weighted values, two dense layers.
TOKENS, WIDTH, HIDDEN = 12, 16, 32
BLOCK = 4 * TOKENS * WIDTH**2 + 2 * TOKENS**2 * WIDTH + 2 * TOKENS * WIDTH * HIDDEN
SMALL = {
    "vocabulary_size": 100,
    "num_layers": 2,
    "hidden_dim": WIDTH,
    "intermediate_dim": HIDDEN,
}


@pytest.fixture
def hub():
    return pytest.importorskip("keras_hub")


def test_bert(hub):
    model = hub.models.BertBackbone(num_heads=2, max_sequence_length=TOKENS, **SMALL)
    counts = count_model(model, *[(BATCH, TOKENS)] * 3)
    assert counts.totals["macs"] == 2 * BLOCK + WIDTH**2  # and a dense layer on one token
    assert not counts.coverage.unknown


def test_gpt2(hub):
    model = hub.models.GPT2Backbone(num_heads=2, max_sequence_length=TOKENS, **SMALL)
    counts = count_model(model, *[(BATCH, TOKENS)] * 2)
    assert counts.totals["macs"] == 2 * BLOCK
    assert not counts.coverage.unknown


def test_llama(hub):
    model = hub.models.LlamaBackbone(num_query_heads=4, num_key_value_heads=2, **SMALL)
    counts = count_model(model, *[(BATCH, TOKENS)] * 2)
    # Keys and values of half the width; a third, gating dense layer; rotary tables from
    # constants, made before the first batch.
    block = BLOCK - TOKENS * WIDTH**2 + TOKENS * WIDTH * HIDDEN
    assert counts.totals["macs"] == 2 * block
    assert counts.totals["macs_executed"] == counts.totals["macs"]
    assert not counts.coverage.unknown
