"""The pytest mark, in a pytest of its own."""

import os
import re
import subprocess
import sys

import pytest

import tftrace
from tftrace.pytest_plugin import _mark_fault

SUITE = """
import keras, numpy as np, pytest

@pytest.fixture(scope="module")
def model():
    return keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])

X = np.zeros((10, 8), "float32")

@pytest.mark.tftrace(max_ms=1e6, repeats=2)
def test_within(model):
    assert model.predict(X, verbose=0).shape == (10, 4)

@pytest.mark.tftrace(max_ms=1e-6, repeats=2)
def test_too_slow(model):
    model.predict(X, verbose=0)

@pytest.mark.tftrace(budget="budget.toml", repeats=1)
def test_too_many(model):
    model.predict(X, verbose=0)

@pytest.mark.tftrace(repeats=0)
def test_not_timed(model):
    model.predict(X, verbose=0)

@pytest.mark.tftrace(repeats=0)
def test_fails_by_itself(model):
    model.predict(X, verbose=0)
    assert False

@pytest.mark.tftrace(repeats=0)
def test_skips_itself(model):
    model.predict(X, verbose=0)
    pytest.skip("enough")

@pytest.mark.tftrace(max_ms=1)
def test_nothing(model):
    model(X)

@pytest.mark.tftrace(max_ms=1e6, repeats=2)
def test_on_batch(model):
    model.predict_on_batch(X)

@pytest.mark.tftrace(max_ms=1e6, repeats=2)
def test_function(model):
    import tensorflow as tf
    tf.function(model)(X)

def test_unmarked(model):
    model.predict(X, verbose=0)
    assert "predict" not in keras.Model.__dict__
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite")
    (folder / "test_suite.py").write_text(SUITE)
    # 8 x 4 multiplications a sample, one more than allowed.
    (folder / "budget.toml").write_text("[counts]\nmults = 31\n")
    (folder / "kept").mkdir()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_suite.py"]
    environment = os.environ | {"TMPDIR": str(folder / "kept")}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    return done.stdout, folder / "kept"


@pytest.fixture(scope="module")
def outcome(suite):
    return suite[0]


def test_a_limit_that_holds_passes_and_one_that_breaks_fails(outcome):
    assert "4 failed, 5 passed, 1 skipped" in outcome


def test_the_failure_names_limit_and_figure(outcome):
    assert "latency: median_ms" in outcome
    assert "limit 1e-06" in outcome
    assert "the model: mults per sample 32, limit 31" in outcome


def test_a_mark_without_a_predict_is_an_error(outcome):
    assert "marked with tftrace, but no predict, predict_on_batch or tf.function with a model" in (
        " ".join(outcome.split())
    )
    assert "call it in a tf.function" in " ".join(outcome.split())


def test_the_summary_lists_what_was_measured(outcome):
    assert "test_suite.py::test_within: sequential" in outcome
    assert "10 samples" in outcome
    assert re.search(r"test_not_timed: sequential \d+\.\d\d ms \(the traced pass\)", outcome)


def test_the_runs_of_tests_that_fail_are_kept_and_told(suite):
    """Of those that ran anything: `test_nothing` fails too."""
    outcome, kept = suite
    summary = dict(re.findall(r"test_suite.py::(\w+): runs kept: (\S+) ", outcome))
    assert summary.keys() == {"test_too_slow", "test_too_many", "test_fails_by_itself"}
    assert {str(path) for path in kept.glob("tftrace-*")} == set(summary.values())
    for folder in summary.values():
        assert outcome.count(f"runs kept: {folder}") == 2  # beside the failure, and in the summary
        assert tftrace.load(folder).run["samples"] == 10


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"repeats": -1}, "repeats must be a whole number from 0, not -1"),
        ({"repeats": 0, "max_ms": 5}, "max_ms is on the median of the repeats"),
        ({"repeats": 1.5}, "repeats must be"),
        ({"repeats": True}, "repeats must be"),
        ({"max_ms": "5"}, "max_ms must be a number"),
        ({"max_ms": float("nan")}, "max_ms must be a number"),
        ({"max_ms": 0}, "max_ms must be a number"),
        ({"budget": 5}, "budget must be the path"),
        ({"latency": 5}, "unknown arguments .'latency'.; known: budget, max_ms, repeats"),
    ],
)
def test_a_mark_that_means_nothing_says_what_is_wrong(given, fault):
    assert re.search(fault, _mark_fault(pytest.mark.tftrace(**given).mark))
    assert _mark_fault(pytest.mark.tftrace(max_ms=5, repeats=2, budget="b.toml").mark) is None
