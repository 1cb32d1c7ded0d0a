"""Sets of time against Python's own sets of instants."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tftrace.timeline.arithmetic.spans import intersect, length, overlap, spans, subtract, union

pairs = st.lists(st.tuples(st.integers(-10, 30), st.integers(-2, 8)), max_size=10).map(
    lambda found: [(start, start + size) for start, size in found]
)
properties = settings(max_examples=400, deadline=None)


def made(intervals):
    return spans([s for s, _ in intervals], [e for _, e in intervals])


def instants(intervals):
    return {t for start, end in intervals for t in range(start, end)}


def check(found, expected):
    """The spans are those instants, sorted, disjoint and not touching."""
    rows = found.tolist()
    assert instants(rows) == expected
    assert all(start < end for start, end in rows)
    assert all(a[1] < b[0] for a, b in pairwise(rows))
    assert length(found) == len(expected)


@properties
@given(pairs)
def test_union(intervals):
    check(made(intervals), instants(intervals))


@properties
@given(pairs, pairs)
def test_difference(a, b):
    check(subtract(made(a), made(b)), instants(a) - instants(b))


@properties
@given(pairs, pairs)
def test_intersection(a, b):
    check(intersect(made(a), made(b)), instants(a) & instants(b))


@properties
@given(pairs, pairs)
def test_union_of_two(a, b):
    check(union(made(a), made(b)), instants(a) | instants(b))


@properties
@given(pairs, pairs)
def test_overlap(a, b):
    assert overlap(made(a), made(b)) == len(instants(a) & instants(b))


@properties
@given(pairs, pairs)
def test_a_set_falls_apart_into_what_is_in_the_other_and_what_is_not(a, b):
    one, other = made(a), made(b)
    assert length(one) == length(intersect(one, other)) + length(subtract(one, other))


def test_times_of_a_trace_do_not_overflow():
    day = 86_400 * 10**12  # ps
    assert length(spans([0, day], [day, 2 * day])) == 2 * day
    assert made([]).dtype == np.int64
