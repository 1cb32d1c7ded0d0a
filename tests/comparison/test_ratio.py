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
    found = ratio_of([10, 10, 10, 10, 10, 100], [20] * 6)
    assert found.ratio == 2.0
    assert found.pairs == 6
    assert found.passes == (6, 6)


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


@pytest.mark.parametrize(
    ("a", "b", "paired"),
    [([], [], True), ([1.0] * 6, [1.0] * 7, True), ([1.0] * 5, [1.0] * 5, True),
     ([1.0] * 4, [1.0] * 9, False)],
)  # fmt: skip
def test_too_few_passes_and_lists_that_are_no_pairs_are_refused(a, b, paired):
    with pytest.raises(ValueError, match="ratio_of needs"):
        ratio_of(a, b, paired=paired)


def false_positives(passes: int, paired: bool, drift: float, trials: int = 400) -> float:
    """Share of trials in which two equal sides are told apart."""
    random = np.random.default_rng(passes)
    found = 0
    for _ in range(trials):
        common = random.normal(0, drift, passes)
        a, b = (10 + common + random.normal(0, 1, passes) for _ in "ab")
        found += ratio_of(a, b, paired=paired, resamples=1000).resolvable
    return found / trials


@pytest.mark.parametrize("passes", [6, 7, 11, 15])
@pytest.mark.parametrize("drift", [0.0, 3.0])
def test_equal_sides_are_seldom_told_apart(passes, drift):
    """With three pairs 27 % are; of 400 trials at 5 %, 9 % is four standard errors away."""
    assert false_positives(passes, True, drift) < 0.09


@pytest.mark.parametrize("passes", [5, 7, 15])
def test_equal_sides_that_were_measured_apart_are_seldom_told_apart(passes):
    assert false_positives(passes, False, 0.0) < 0.09


def test_what_was_measured_apart_is_no_pairs():
    """The same drift on both sides narrows the interval of pairs, and of nothing else."""
    speed = np.linspace(1, 3, 21)
    found = ratio_of(10 * speed, 11 * speed[:20], paired=False)
    assert found.pairs is None
    assert found.passes == (21, 20)
    assert found.low < 1 < found.high
    assert found.to_dict()["passes"] == [21, 20]
