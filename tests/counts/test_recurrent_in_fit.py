"""Multiply-accumulates of recurrent layers in ``fit``: a loop's gradient turns as the loop does.

Per step of a layer of u units with i inputs and g gates the forward pass has g u (i + u) MACs. Its
gradient has as many for the two kernels, g u u for the state before, and g u i for the inputs where
these need one.
"""

import keras
import numpy as np
import pytest

import tftrace

STEPS, FEATURES, UNITS = 7, 3, 4
GATES = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}


def macs_of(layers, batch):
    keras.backend.clear_session()
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), *layers, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.zeros((2 * batch, STEPS, FEATURES), "float32"), np.zeros((2 * batch, 1), "float32")
    profile = tftrace.profile(
        model, x, y, phase="fit", batch_size=batch, repeats=0, calibrate=False
    )
    rows = profile.layers
    of = rows["path"].str.split("/").str[1]
    return rows.groupby(of)[["macs", "macs_backward"]].sum(min_count=1, skipna=False)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("batch", [3, 8])
def test_a_layer_whose_inputs_are_data_has_no_gradient_for_them(kind, batch):
    found = macs_of([getattr(keras.layers, kind)(UNITS, name="rnn")], batch)
    step = GATES[kind] * UNITS
    assert found.loc["rnn", "macs"] == STEPS * step * (FEATURES + UNITS)
    assert found.loc["rnn", "macs_backward"] == STEPS * step * (FEATURES + 2 * UNITS)


def test_a_layer_behind_another_has_both_and_a_bidirectional_one_each_twice():
    first = keras.layers.LSTM(UNITS, return_sequences=True, name="first")
    both = keras.layers.Bidirectional(keras.layers.GRU(5), name="both")
    found = macs_of([first, both], batch=4)
    assert found.loc["first", "macs_backward"] == STEPS * 4 * UNITS * (FEATURES + 2 * UNITS)
    assert found.loc["both", "macs"] == 2 * STEPS * 3 * 5 * (UNITS + 5)
    assert found.loc["both", "macs_backward"] == 2 * STEPS * 3 * 5 * (2 * UNITS + 2 * 5)
