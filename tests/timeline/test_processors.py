"""No more threads are at work than there are processors."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import normal

import tftrace
from tftrace.timeline.arithmetic.spans import spans
from tftrace.timeline.processors import Threads, clocks

layers = keras.layers
NO_SPANS = np.empty((0, 2), np.int64)


def several(count):
    """Spans of so many threads, one after the other; those of one thread do not overlap."""
    one = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=4)
    return st.lists(one, max_size=count).map(
        lambda threads: np.concatenate(
            [NO_SPANS, *(spans([min(p) for p in t], [max(p) for p in t]) for t in threads)]
        )
    )


@given(several(4), several(4), st.integers(1, 3))
def test_at_no_instant_more_than_the_processors(callers, workers, processors):
    """Every caller may wait where the first worker is at work."""
    callers, workers = callers * 1000, workers * 1000  # the clocks round to whole ticks
    helped = callers[:1]
    run, wait = clocks(Threads(callers, NO_SPANS, helped, workers), processors)
    for now in range(0, 60_000, 1000):
        at, after = (np.array([t]) for t in (now, now + 1000))

        def of(some, now=now):
            return int(((some[:, 0] <= now) & (now < some[:, 1])).sum())

        if not len(callers) + len(workers):
            return
        tick_run, tick_wait = (int((c(after) - c(at))[0]) for c in (run, wait))
        waiting = of(helped)
        running = of(callers) + of(workers) - waiting
        total = running * tick_run + waiting * tick_wait
        assert total <= processors * 1000 + 10
        assert total >= min(processors, running + waiting) * 1000 - 10
        assert running == 0 or tick_run >= tick_wait or waiting == 0


def wide():
    x = keras.Input((48, 48, 8))
    y = layers.Conv2D(32, 3, name="conv")(x)
    y = layers.BatchNormalization(name="bn")(y)
    y = layers.Conv2D(32, 1, name="pointwise")(layers.ReLU(name="relu")(y))
    return keras.Model(x, layers.Dense(8, name="head")(layers.GlobalMaxPooling2D(name="pool")(y)))


@pytest.mark.parametrize("jit", ["off", "on"])
def test_a_run_has_no_more_parallelism_than_the_machine(jit):
    profile = tftrace.profile(wide(), normal(96, 48, 48, 8), repeats=0, calibrate=False, jit=jit)
    cores = profile.machine["usable_cores"] or profile.machine["cores"]
    assert (profile.layers["parallelism"].dropna() <= cores + 1e-6).all()
    assert (
        profile.ops["thread_ms"].dropna() <= cores * profile.ops["busy_ms"].dropna() + 1e-6
    ).all()
    assert profile.ops["thread_ms"].sum() <= cores * profile.wall["wall_ms"].sum()
    assert profile.layers["thread_ms"].sum() > 0
