"""The walk over a whole trace against the general interval algorithms, and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tftrace.timeline.thread_pool import OP, RECORD, START, STOP, follow_pool

OTHER = 0


def columns(rows):
    """Rows of (kind, line, start, duration, id or None) to the arguments of `follow_pool`."""
    kind, line, start, duration = np.array([row[:4] for row in rows], np.int64).reshape(-1, 4).T
    ids = []
    for wanted in (RECORD, START):
        bearing = [i for i, row in enumerate(rows) if row[0] == wanted and row[4] is not None]
        ids.append((bearing, [rows[i][4] for i in bearing]))
    return kind, line, start, duration, *ids


def test_a_chain_over_three_threads():
    rows = [
        (OP, 0, 0, 100, None),
        (OTHER, 0, 5, 50, None),
        (RECORD, 0, 10, 0, 71),
        (RECORD, 0, 150, 0, 74),  # in no op
        (START, 1, 20, 0, 71),
        (RECORD, 1, 25, 0, 72),
        (STOP, 1, 30, 0, None),
        (STOP, 1, 31, 0, None),  # closes nothing
        (START, 2, 32, 0, 72),
        (STOP, 2, 40, 0, None),
        (START, 2, 160, 0, 74),
        (STOP, 2, 170, 0, None),
        (START, 2, 180, 0, None),  # of nobody, never closed
    ]
    work = follow_pool(*columns(rows))
    assert work.root.tolist() == [0, 0, -1, -1]
    assert work.line.tolist() == [1, 2, 2, 2]
    assert list(zip(work.start.tolist(), work.end.tolist(), strict=True)) == [
        (20, 30),
        (32, 40),
        (160, 170),
        (180, 180),
    ]


def test_the_innermost_op_is_the_root_unless_a_region_lies_within():
    rows = [
        (OP, 0, 0, 100, None),
        (OP, 0, 10, 50, None),
        (RECORD, 0, 20, 0, 1),  # in the inner op
        (RECORD, 0, 70, 0, 2),  # after it, in the outer one
        (START, 0, 80, 0, 1),
        (RECORD, 0, 85, 0, 3),  # in a region that the inner op began
        (OP, 0, 86, 2, None),
        (RECORD, 0, 87, 0, 4),  # in an op within that region
        (STOP, 0, 90, 0, None),
        (START, 1, 91, 0, 2),
        (STOP, 1, 92, 0, None),
        (START, 1, 93, 0, 3),
        (STOP, 1, 94, 0, None),
        (START, 1, 95, 0, 4),
        (STOP, 1, 96, 0, None),
    ]
    assert follow_pool(*columns(rows)).root.tolist() == [1, 0, 1, 2]


@st.composite
def threads(draw):
    """Events of up to three threads in which ops and regions nest, as on a real thread."""
    rows = []

    def fill(line, low, high, depth):
        at = low
        while at < high - 3 and draw(st.booleans()):
            at += draw(st.integers(1, 2))
            kind = draw(st.sampled_from([OP, START, RECORD, RECORD]))
            number = draw(st.one_of(st.none(), st.integers(0, 6), st.integers(0, 6)))
            if kind == RECORD or depth == 0:
                rows.append((RECORD, line, at, 0, number))
                continue
            end = draw(st.integers(at + 1, high - 1))
            if kind == OP:
                rows.append((OP, line, at, end + 1 - at, None))
            else:
                rows.append((START, line, at, 0, number))
            fill(line, at, end, depth - 1)
            if kind == START:
                rows.append((STOP, line, end, 0, None))
            at = end + 1

    for line in range(draw(st.integers(0, 3))):
        fill(line, 0, 40, 3)
    # No two events at one time: which of them came first is not for this test to say.
    return [(kind, line, 4 * at + line, 4 * length, n) for kind, line, at, length, n in rows]


@settings(max_examples=300, deadline=None)
@given(rows=threads(), data=st.data())
def test_equals_the_general_algorithms(rows, data):
    walked = follow_pool(*columns(rows))
    # The same events with lines out of order of time take the other way.
    order = data.draw(st.permutations(range(len(rows))))
    unsorted = sorted(order, key=lambda i: rows[i][1])
    general = follow_pool(*columns([rows[i] for i in unsorted]))
    ops = [i for i, row in enumerate(rows) if row[0] == OP]
    number = [ops.index(i) for i in unsorted if rows[i][0] == OP]
    roots = [number[root] if root >= 0 else -1 for root in general.root.tolist()]
    found = zip(
        general.line.tolist(), general.start.tolist(), general.end.tolist(), roots, strict=True
    )
    assert sorted(zip(*(c.tolist() for c in walked), strict=True)) == sorted(found)


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="different lengths"):
        follow_pool([OP], [0, 0], [1], [1], ([], []), ([], []))
