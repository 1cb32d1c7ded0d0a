"""What ways are estimated to take: on which batches, of which models, and how it is shown."""

import io

import keras
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from tftrace.advice import what_if as module
from tftrace.advice.advise import Advice
from tftrace.advice.recipe import Recipe
from tftrace.advice.trials import Trial
from tftrace.advice.what_if import what_if
from tftrace.errors import TftraceError
from tftrace.estimation.kernels import Estimate
from tftrace.estimation.network import NetworkEstimate
from tftrace.report.advise import advice_parts
from tftrace.report.terminal.parts.draw import draw
from tftrace.tracer.keras_model import jit_compiled

X = np.zeros((20, 6), np.float32)


def quiet(words: str) -> None:
    pass


def load():
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])


@pytest.fixture
def asked(monkeypatch):
    """What was estimated: shapes, batches and whether by XLA; the answer is 3 to 5 ms."""
    found = []

    def estimate(model, shapes, batches, progress):
        found.append((shapes, batches, jit_compiled(model)))
        total = Estimate(ms=4.0, low_ms=3.0, high_ms=5.0, mac_only_ms=1.0)
        return NetworkEstimate(total, pd.DataFrame(), shapes[0][0], batches, unknown)

    unknown: tuple[str, ...] = ()
    monkeypatch.setattr(module, "estimate", estimate)
    return found


@pytest.mark.parametrize(
    ("recipe", "shape", "batches", "jit"),
    [
        (Recipe(8), (8, 6), 2.5, False),
        (Recipe(32), (20, 6), 1, False),
        (Recipe(10, jit=True), (10, 6), 2, True),
    ],
)
def test_a_smaller_last_batch_is_a_part_of_one(asked, recipe, shape, batches, jit) -> None:
    assert what_if(recipe, load, X, quiet).ms == 4.0
    assert asked == [([shape], batches, jit)]


def test_the_model_is_given_back(asked) -> None:
    model = load()
    what_if(Recipe(8, jit=True), lambda: model, X, quiet)
    assert not jit_compiled(model)


@pytest.mark.parametrize(
    "recipe", [Recipe(function=True), Recipe(freeze=True), Recipe(intra_op_threads=1)]
)
def test_what_is_not_estimated_says_why(asked, recipe) -> None:
    with pytest.raises(TftraceError, match=r"^not estimated: "):
        what_if(recipe, load, X, quiet)
    assert asked == []


def test_a_predict_of_its_own_is_not_known(asked) -> None:
    class Own(keras.Sequential):
        def predict(self, x):
            return x

    with pytest.raises(TftraceError, match="predict of its own"):
        what_if(Recipe(8), lambda: Own([keras.Input((6,)), keras.layers.Dense(3)]), X, quiet)


def test_an_input_that_is_left_out_has_no_shape(asked) -> None:
    def two():
        given = [keras.Input((6,)), keras.Input((6,), optional=True)]
        return keras.Model(given, keras.layers.Dense(3)(given[0]))

    with pytest.raises(TftraceError, match="an input is left out"):
        what_if(Recipe(8), two, [X, None], quiet)


def test_a_bound_is_no_estimate(monkeypatch) -> None:
    total = Estimate(ms=4.0, low_ms=3.0, high_ms=5.0, mac_only_ms=1.0)
    part = NetworkEstimate(total, pd.DataFrame(), 8, 1, ("Where",))
    monkeypatch.setattr(module, "estimate", lambda *a, **k: part)
    with pytest.raises(TftraceError, match="not estimated: Where cannot be timed alone"):
        what_if(Recipe(8), load, X, quiet)


def shown(base: Estimate | None) -> list[str]:
    half = Estimate(ms=2.0, low_ms=1.5, high_ms=2.5, mac_only_ms=None)
    trials = [
        Trial("frozen weights", "", Recipe(), reason="not estimated: as yet"),
        Trial("fold", "how to fold", Recipe(), promised_ms=1.0, estimate=half),
    ]
    advice = Advice(Trial("as it is", "", Recipe(), estimate=base), trials, None, None, None, 0, [])
    output = io.StringIO()
    draw(advice_parts(advice), Console(file=output, width=100))
    return [" ".join(line.split()) for line in output.getvalue().splitlines()]


def test_the_table_of_a_dry_run() -> None:
    lines = shown(Estimate(ms=4.0, low_ms=3.0, high_ms=5.0, mac_only_ms=None))
    assert "as it is 4.00 3.00 to 5.00" in lines
    assert "fold 2.00 1.50 to 2.50 0.50 -1.00" in lines
    assert "frozen weights" in lines
    assert "frozen weights: not estimated: as yet" in lines
    assert "fold: how to fold" in lines
    assert "fold 2.00 1.50 to 2.50 -1.00" in shown(None)
