"""Interval algorithms against definitions spelled out instant by instant."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tftrace.timeline.arithmetic.intervals import (
    concurrent_shares,
    enclosing,
    nesting_parent,
    pair_regions,
    self_segments,
    self_time,
    thread_pool_roots,
    union_length,
)

small = st.integers(0, 12)
interval = st.tuples(st.integers(0, 2), small, small).map(lambda t: (t[0], min(t[1:]), max(t[1:])))
interval_lists = st.lists(interval, max_size=12)
properties = settings(max_examples=300, deadline=None)


def columns(rows, width=3):
    return np.array(rows, dtype=np.int64).reshape(-1, width).T


@st.composite
def nested(draw, depth=3):
    """Properly nested intervals on two lines, shuffled."""
    rows = []

    def fill(line, low, high, level):
        at = low
        while level and at < high and draw(st.booleans()):
            start = draw(st.integers(at, high))
            end = draw(st.integers(start, high))
            rows.append((line, start, end))
            fill(line, start, end, level - 1)
            at = end

    for line in (0, 1):
        fill(line, 0, 20, depth)
    return draw(st.permutations(rows))


def innermost(rows, line, instant):
    """The interval that owns the time from `instant` to `instant + 1` on a line."""
    active = [
        (start, -end, i)
        for i, (on, start, end) in enumerate(rows)
        if on == line and start <= instant < end
    ]
    return max(active)[2] if active else -1


@properties
@given(rows=interval_lists)
def test_union_is_the_number_of_covered_instants(rows):
    _, start, end = columns(rows)
    covered = {t for _, s, e in rows for t in range(s, e)}
    assert union_length(start, end) == len(covered)


@properties
@given(rows=interval_lists)
def test_every_instant_is_shared_equally(rows):
    _, start, end = columns(rows)
    shares = concurrent_shares(start, end)
    expected = [
        sum(1 / sum(s <= t < e for _, s, e in rows) for t in range(first, last))
        for _, first, last in rows
    ]
    np.testing.assert_allclose(shares, expected, atol=1e-9)
    assert shares.sum() == pytest.approx(union_length(start, end))


def test_shares_of_a_long_trace_are_exact_to_a_picosecond():
    # An hour in picoseconds, two threads, a pause in between.
    step = 3_600_000_000
    start = np.arange(1_000_000, dtype=np.int64) * step
    shares = concurrent_shares(np.concatenate([start, start]), np.tile(start + 1_000_001, 2))
    np.testing.assert_allclose(shares, 500_000.5, atol=1)


@properties
@given(rows=st.one_of(interval_lists, nested()))
def test_segments_give_each_instant_to_the_innermost(rows):
    line, start, end = columns(rows)
    segments = self_segments(line, start, end)
    got = {
        (rows[owner][0], t): owner
        for owner, s, e in zip(*(column.tolist() for column in segments), strict=True)
        for t in range(s, e)
    }
    expected = {
        (on, t): innermost(rows, on, t)
        for on in range(3)
        for t in range(21)
        if innermost(rows, on, t) >= 0
    }
    assert got == expected
    assert (segments.end > segments.start).all()
    assert (segments.end - segments.start).sum() == len(expected)  # no instant twice
    keys = [(rows[o][0], s) for o, s in zip(segments.owner, segments.start, strict=True)]
    assert all(a < b for a, b in pairwise(keys))


@properties
@given(rows=nested())
def test_self_time_is_the_duration_without_the_children(rows):
    line, start, end = columns(rows)
    expected = end - start
    for child, parent in enumerate(nesting_parent(line, start, end)):
        if parent >= 0:
            expected[parent] -= end[child] - start[child]
    assert self_time(line, start, end).tolist() == expected.tolist()


@properties
@given(rows=st.one_of(interval_lists, nested()))
def test_the_parent_is_the_innermost_container(rows):
    line, start, end = columns(rows)
    order = sorted(range(len(rows)), key=lambda i: (rows[i][0], rows[i][1], -rows[i][2], i))
    expected = [-1] * len(rows)
    for place, child in enumerate(order):
        for other in order[:place]:  # the last that fits is the innermost
            if rows[other][0] == rows[child][0] and rows[other][2] >= rows[child][2]:
                expected[child] = other
    assert nesting_parent(line, start, end).tolist() == expected


@properties
@given(rows=st.one_of(interval_lists, nested()), points=st.lists(st.tuples(small, small)))
def test_enclosing_is_the_innermost_at_the_point(rows, points):
    points = [(on % 4, t) for on, t in points]
    point_line, point_time = columns(points, 2)
    found = enclosing(point_line, point_time, *columns(rows))
    assert found.tolist() == [innermost(rows, on, t) for on, t in points]


@properties
@given(
    events=st.lists(st.tuples(st.integers(0, 1), st.booleans()), max_size=14),
    ties=st.booleans(),
)
def test_regions_close_like_brackets(events, ties):
    line, opens = columns(events, 2)
    time = np.arange(len(events)) // (2 if ties else 1)
    expected = {}
    for on in (0, 1):
        stack = []
        mine = [i for i, e in enumerate(events) if e[0] == on]
        for i in mine:
            if events[i][1]:
                stack.append(i)
            elif stack:
                expected[stack.pop()] = time[i]
        expected.update(dict.fromkeys(stack, time[mine[-1]] if mine else None))
    regions = pair_regions(line, time, opens)
    assert dict(zip(regions.opening.tolist(), regions.end.tolist(), strict=True)) == expected
    assert regions.line.tolist() == [events[i][0] for i in regions.opening]
    assert regions.start.tolist() == [time[i] for i in regions.opening]


def reference_roots(records, regions, ops):
    """Follow every region back, one step at a time."""

    def root(region, seen):
        _, start, _, identity = regions[region]
        same = sorted((t, i) for i, (_, t, number) in enumerate(records) if number == identity)
        if not same or region in seen:
            return -1
        earlier = [pair for pair in same if pair[0] <= start]
        on, when, _ = records[(earlier[-1] if earlier else same[0])[1]]
        op = innermost(ops, on, when)
        outer = innermost([r[:3] for r in regions], on, when)
        if op >= 0 and (outer < 0 or ops[op][1] >= regions[outer][1]):
            return op
        return root(outer, seen | {region}) if outer >= 0 else -1

    return [root(region, frozenset()) for region in range(len(regions))]


@properties
@given(
    records=st.lists(st.tuples(st.integers(0, 2), small, st.integers(0, 5)), max_size=8),
    regions=st.lists(
        st.tuples(interval, st.integers(0, 5)).map(lambda t: (*t[0], t[1])), max_size=8
    ),
    ops=st.lists(interval, max_size=5),
)
def test_roots_are_found_by_following_the_chain(records, regions, ops):
    roots = thread_pool_roots(columns(records), columns(regions, 4), columns(ops))
    assert roots.tolist() == reference_roots(records, regions, ops)


def test_a_chain_over_three_threads():
    ops = [(0, 0, 100), (0, 200, 300)]
    records = [
        (0, 10, 71),  # in op 0
        (1, 25, 72),  # in the region of 71
        (2, 35, 73),  # in the region of 72
        (0, 150, 74),  # in no op
        (0, 210, 71),  # the id again, in op 1
    ]
    regions = [
        (1, 20, 30, 71),
        (2, 32, 40, 72),
        (3, 50, 60, 73),
        (3, 160, 170, 74),
        (1, 220, 230, 71),
    ]
    roots = thread_pool_roots(columns(records), columns(regions, 4), columns(ops))
    assert roots.tolist() == [0, 0, 0, -1, 1]


def test_an_op_that_runs_inside_a_region_is_the_root_of_what_it_enqueues():
    ops = [(0, 0, 100), (1, 22, 28)]
    records = [(0, 10, 71), (1, 25, 72)]
    regions = [(1, 20, 30, 71), (2, 32, 40, 72)]
    roots = thread_pool_roots(columns(records), columns(regions, 4), columns(ops))
    assert roots.tolist() == [0, 1]


def test_nothing_at_all():
    none = np.empty(0, np.int64)
    assert union_length(none, none) == 0
    assert concurrent_shares(none, none).tolist() == []
    assert [c.tolist() for c in self_segments(none, none, none)] == [[], [], []]
    assert nesting_parent(none, none, none).tolist() == []
    assert enclosing([0], [1], none, none, none).tolist() == [-1]
    assert thread_pool_roots([none] * 3, [none] * 4, [none] * 3).tolist() == []


def test_inputs_may_be_lists_or_read_only():
    start = np.broadcast_to(np.int64(3), 2)
    assert union_length(start, [5, 9]) == 6
    assert self_time([0, 0], start, [5, 9]).tolist() == [2, 4]


@pytest.mark.parametrize(
    "call",
    [
        lambda: union_length([1, 2], [3]),
        lambda: concurrent_shares([1], [3, 4]),
        lambda: self_segments([0], [1, 2], [3, 4]),
        lambda: enclosing([0, 0], [1], [0], [1], [2]),
        lambda: pair_regions([0], [1], [True, False]),
        lambda: thread_pool_roots(([0], [1], [1, 2]), ([0], [1], [2], [3]), ([0], [1], [2])),
    ],
)
def test_different_lengths_are_refused(call):
    with pytest.raises(ValueError, match="different lengths"):
        call()
