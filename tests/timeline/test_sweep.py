"""The sweep over all lines against the general interval algorithms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tftrace.timeline.arithmetic.intervals import concurrent_shares, self_segments, self_time
from tftrace.timeline.arithmetic.spans import spans
from tftrace.timeline.arithmetic.sweep import is_ordered, sweep

# (line, start, length): short times, so that bounds coincide; nothing need nest.
intervals = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 25), st.integers(0, 12)), max_size=30
).map(lambda found: sorted(found, key=lambda i: (i[0], i[1], -i[2])))


def columns(found):
    line, start, duration = np.array(found, np.int64).reshape(-1, 3).T
    return line.astype(np.int32), start.copy(), start + duration


@settings(max_examples=600, deadline=None)
@given(intervals, st.data())
def test_equals_the_general_algorithms(found, data):
    line, start, end = columns(found)
    ignored = np.array([data.draw(st.booleans()) for _ in found], bool)
    assert is_ordered(line, start, end)
    swept = sweep(line, start, end, ignored)

    kept = np.flatnonzero(~ignored)
    owner, low, high = self_segments(line[kept], start[kept], end[kept])
    general = concurrent_shares(low, high)
    share = np.bincount(kept[owner], weights=general, minlength=len(found))
    assert swept.share == pytest.approx(share)
    assert swept.covered.tolist() == spans(low, high).tolist()
    assert swept.own[kept].tolist() == self_time(line[kept], start[kept], end[kept]).tolist()
    assert not swept.own[ignored].any()
    assert not swept.share[ignored].any()


def test_concurrent_lines_share_and_a_parent_waits_for_its_child():
    line, start, end = columns([(0, 0, 10), (0, 2, 4), (1, 4, 8)])
    swept = sweep(line, start, end, np.zeros(3, bool))
    assert swept.own.tolist() == [6, 4, 8]
    assert swept.share.tolist() == [2 + 4 / 2, 2 + 2 / 2, 2 / 2 + 4 / 2 + 2]
    assert swept.covered.tolist() == [[0, 12]]


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="different lengths"):
        sweep(
            np.zeros(1, np.int32), np.zeros(2, np.int64), np.zeros(1, np.int64), np.zeros(1, bool)
        )
