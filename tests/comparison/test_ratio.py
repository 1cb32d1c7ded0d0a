"""Interleaved timing and the ratio's interval."""

import numpy as np
import pytest

from tftrace.comparison.ratio import interleave, ratio_of


def test_both_sides_run_in_turn_and_the_order_alternates():
    ran = []
    a, b = interleave(lambda: ran.append("a"), lambda: ran.append("b"), pairs=3, warmup=1)
    assert "".join(ran) == "ab" + "ab" + "ba" + "ab"
    assert len(a) == len(b) == 3
    assert min(a + b) >= 0


def test_ratio_is_that_of_the_medians():
    found = ratio_of([10, 10, 100], [20, 20, 20])
    assert found.ratio == 2.0
    assert found.pairs == 3


def test_a_clear_difference_is_resolved():
    noise = np.random.default_rng(0).normal(0, 0.1, 30)
    found = ratio_of(10 + noise, 15 + noise)
    assert found.resolvable
    assert found.low < found.ratio < found.high
    assert 1.4 < found.low < found.high < 1.6


def test_equal_sides_are_not_resolved():
    random = np.random.default_rng(1)
    found = ratio_of(random.normal(10, 1, 30), random.normal(10, 1, 30))
    assert not found.resolvable


def test_drift_that_hits_pairs_alike_does_not_widen_the_ratio_of_each():
    """Pairs are resampled together: a machine that slows to a third still shows B = 2 A."""
    speed = np.linspace(1, 3, 21)
    found = ratio_of(10 * speed, 20 * speed)
    assert found.low == found.high == pytest.approx(2.0)


@pytest.mark.parametrize(("a", "b"), [([], []), ([1.0], [1.0, 2.0])])
def test_lists_that_are_no_pairs_are_refused(a, b):
    with pytest.raises(ValueError, match="at least one"):
        ratio_of(a, b)
