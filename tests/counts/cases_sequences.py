"""Recurrent layers and attention."""

import keras
from cases import case
from keras import layers

# --- recurrent: steps * gates * units * (inputs + units) -------------------------------------
case("simple rnn", lambda: layers.SimpleRNN(5), (7, 3), macs=7 * 5 * 8)
# f * c, i * g, o * tanh(c): three products per unit and step.
lstm = {"macs": 7 * 4 * 5 * 8, "mults": 7 * (4 * 5 * 8 + 3 * 5)}
case("lstm", lambda: layers.LSTM(5), (7, 3), **lstm)
case("lstm sequences", lambda: layers.LSTM(5, return_sequences=True), (7, 3), **lstm)
case("lstm backwards", lambda: layers.LSTM(5, go_backwards=True), (7, 3), **lstm)
case(
    "lstm unrolled",
    # The first state is a constant zero, so its product with the recurrent kernel (4 * 5 * 5)
    # needs no data: executed, not needed.
    lambda: layers.LSTM(5, unroll=True),
    (7, 3),
    macs=lstm["macs"] - 100,
    mults=lstm["mults"] - 100,
    macs_executed=lstm["macs"],
    mults_executed=lstm["mults"],
)
case("lstm state", lambda: layers.LSTM(5, return_state=True), (7, 3), **lstm)
case(
    "lstm masked",  # masking compares and chooses
    lambda: keras.Sequential([layers.Masking(), layers.LSTM(5)]),
    (7, 3),
    **lstm,
)
gru = {"macs": 7 * 3 * 5 * 8, "mults": 7 * (3 * 5 * 8 + 3 * 5)}
case("gru", lambda: layers.GRU(5), (7, 3), **gru)
case("gru reset before", lambda: layers.GRU(5, reset_after=False), (7, 3), **gru)
case(
    "bidirectional",
    lambda: layers.Bidirectional(layers.LSTM(5)),
    (7, 3),
    macs=2 * lstm["macs"],
    mults=2 * lstm["mults"],
)
case(
    "bidirectional average",  # (a + b) / 2 of 5 units
    lambda: layers.Bidirectional(layers.GRU(5), merge_mode="ave"),
    (7, 3),
    macs=2 * gru["macs"],
    mults=2 * gru["mults"] + 5,
)
case(
    "stacked cells",
    lambda: layers.RNN([layers.LSTMCell(5), layers.LSTMCell(4)]),
    (7, 3),
    macs=7 * (4 * 5 * (3 + 5) + 4 * 4 * (5 + 4)),
    mults=7 * (4 * 5 * (3 + 5) + 4 * 4 * (5 + 4) + 3 * (5 + 4)),
)
case("rnn of a cell", lambda: layers.RNN(layers.SimpleRNNCell(5)), (7, 3), macs=7 * 5 * 8)
# 3 steps, 6 x 6 positions, 4 gates of 4 filters, windows of 9 over 2 inputs and 4 states.
case(
    "conv lstm",
    lambda: layers.ConvLSTM2D(4, 3, padding="same"),
    (3, 6, 6, 2),
    macs=3 * 36 * 4 * 4 * 9 * (2 + 4),
    mults=3 * 36 * (4 * 4 * 9 * (2 + 4) + 3 * 4),
)
case(
    "conv lstm 1d",
    lambda: layers.ConvLSTM1D(4, 3, padding="same"),
    (3, 6, 2),
    macs=3 * 6 * 4 * 4 * 3 * (2 + 4),
    mults=3 * 6 * (4 * 4 * 3 * (2 + 4) + 3 * 4),
)
case(
    "conv lstm 3d",
    lambda: layers.ConvLSTM3D(4, 3, padding="same"),
    (3, 4, 4, 4, 2),
    macs=3 * 64 * 4 * 4 * 27 * (2 + 4),
    mults=3 * 64 * (4 * 4 * 27 * (2 + 4) + 3 * 4),
)
case(
    "time distributed dense",
    lambda: layers.TimeDistributed(layers.Dense(8)),
    (5, 16),
    macs=5 * 16 * 8,
)
case(
    "time distributed conv",
    lambda: layers.TimeDistributed(layers.Conv2D(4, 3)),
    (5, 8, 8, 3),
    macs=5 * 36 * 4 * 27,
)

# --- attention: 5 queries of 16, 2 heads of 4 -------------------------------------------------
# Projections 4 * 5 * 16 * 8; scores and weighted values 2 * 5 * 5 * 4 each; per score one
# scaling and one division of the softmax.
mha = 4 * 5 * 16 * 8 + 2 * 2 * 5 * 5 * 4
case(
    "self attention",
    lambda: lambda x: layers.MultiHeadAttention(2, 4)(x, x),
    (5, 16),
    macs=mha,
    mults=mha + 2 * 50,
)
case(
    "causal attention",
    lambda: lambda x: layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True),
    (5, 16),
    macs=mha,
    mults=mha + 2 * 50,
)
# 7 keys and values of 12.
cross = 2 * 5 * 16 * 8 + 2 * 7 * 12 * 8 + 2 * 2 * 5 * 7 * 4
case(
    "cross attention",
    lambda: lambda x: layers.MultiHeadAttention(2, 4)(x[0], x[1]),
    (5, 16),
    (7, 12),
    macs=cross,
    mults=cross + 2 * 2 * 5 * 7,
)
# 4 query heads of 4, 2 key heads.
gqa = 2 * 5 * 16 * 16 + 2 * 5 * 16 * 8 + 2 * 4 * 5 * 5 * 4
case(
    "grouped query attention",
    lambda: lambda x: layers.GroupQueryAttention(4, 4, 2)(x, x),
    (5, 16),
    macs=gqa,
    mults=gqa + 2 * 100,
)
case(
    "dot attention",
    lambda: layers.Attention(),
    (5, 8),
    (6, 8),
    macs=2 * 5 * 6 * 8,
    mults=2 * 5 * 6 * 8 + 30,
)
case(
    "additive attention",  # scale * tanh(q + k) over 5 * 6 * 8, then values
    lambda: layers.AdditiveAttention(),
    (5, 8),
    (6, 8),
    macs=5 * 6 * 8,
    mults=2 * 5 * 6 * 8 + 30,
    transcendentals=5 * 6 * 8 + 30,
)
