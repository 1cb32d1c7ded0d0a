"""Promises held against what was saved, with savings and kernels made up."""

from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest

from tftrace.advice import advise as module
from tftrace.advice.advise import advise
from tftrace.advice.attempts import Attempt
from tftrace.advice.promises import kept, kernels_by_type, promised
from tftrace.advice.recipe import Recipe
from tftrace.advice.trials import Trial
from tftrace.comparison.ratio import Ratio

BASE = Trial("as it is", "", Recipe(), ms=100.0)
NOW = {"MatMul": 50.0, "Mul": 20.0, "AddV2": 10.0, "Relu": 1.0}


def trial(ratio: float, low: float, high: float, promised_ms: float | None) -> Trial:
    found = Ratio(ratio, low, high, 0.95, 9, (9, 9))
    return Trial("fold", "", Recipe(fold=True), 100 * ratio, found, promised_ms)


def never() -> dict[str, float]:
    raise AssertionError("nothing needs to be explained")


def test_a_promise_within_30_percent_is_kept() -> None:
    """100 ms times 1 - 0.6 are 40."""
    for promised_ms in (28.1, 51.9):
        told = kept(BASE, trial(0.6, 0.55, 0.7, promised_ms), NOW, never)
        assert (told.saved_ms, told.why) == (pytest.approx(40), None)
        assert (told.low_ms, told.high_ms) == pytest.approx((30, 45))


def test_a_promise_inside_the_interval_is_chance() -> None:
    told = kept(BASE, trial(0.6, 0.4, 0.9, 15.0), NOW, never)
    assert told.why == "no more than chance explains"


def test_kernels_that_changed_are_named() -> None:
    """Mul and AddV2 went, 30 ms; MatMul is 12 faster; Relu, at 2 of 27 ms apart, is not told."""
    then = {"MatMul": 38.0, "Relu": 3.0}
    told = kept(BASE, trial(0.6, 0.55, 0.62, 13.0), NOW, lambda: then)
    assert told.why == "kernels -40.0 ms in all: Mul -20.0, MatMul -12.0, AddV2 -10.0"


def test_where_no_kernel_changed_it_is_not_theirs() -> None:
    told = kept(BASE, trial(0.6, 0.55, 0.62, 13.0), NOW, lambda: NOW)
    assert told.why == "kernels +0.000 ms in all"


def test_a_way_that_cannot_be_traced_says_so() -> None:
    told = kept(BASE, trial(0.6, 0.55, 0.62, 13.0), NOW, lambda: None)
    assert told.why == "not known: this way cannot be traced"


def test_nothing_promised_or_nothing_measured() -> None:
    assert kept(BASE, trial(0.6, 0.5, 0.7, None), NOW, never) is None
    assert kept(BASE, Trial("fold", "", Recipe(), promised_ms=3.0), NOW, never) is None


def test_promises_are_of_all_the_data() -> None:
    way = Attempt("fold", Recipe(), "", ("unfused batch norm",))
    findings = [
        {"kind": "unfused batch norm", "saving_ms": 3.0},
        {"kind": "unfused batch norm", "saving_ms": 2.0},
        {"kind": "unfused batch norm", "saving_ms": None},
        {"kind": "predict overhead", "saving_ms": 7.0},
    ]
    assert promised(way, findings, 4.0) == 20.0
    assert promised(Attempt("x", Recipe(), ""), findings, 4.0) is None
    ops = pd.DataFrame({"op_type": ["_FusedMatMul", "MatMul", "Mul"], "wall_ms": [1.0, 2.0, 4.0]})
    assert kernels_by_type(SimpleNamespace(ops=ops), 2.0) == {"MatMul": 6.0, "Mul": 8.0}


def test_a_trace_of_the_first_batches_is_scaled(monkeypatch) -> None:
    real = module.profile
    monkeypatch.setattr(module, "profile", lambda *a, **k: real(*a, **k, trace_batches=1))
    given = keras.Input((8, 8, 2))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(given))
    model = keras.Model(given, x)
    data = np.ones((40, 8, 8, 2), np.float32)
    seen = []
    monkeypatch.setattr(module, "what_if", lambda *arguments: None)
    monkeypatch.setattr(
        module, "promised", lambda way, findings, passes: seen.append(passes) or 1.0
    )
    advise(lambda: model, data, batch_size=8, dry=True)
    assert set(seen) == {5.0}
