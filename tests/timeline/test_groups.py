"""Grouping by several columns against a dictionary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tftrace.timeline.arithmetic.groups import grouped

values = st.sampled_from([-1, 0, 1, 2, 7, 2**31 - 1])


@given(st.lists(st.tuples(values, values, st.booleans()), max_size=30))
def test_equals_a_dictionary(entries):
    expected: dict[tuple[int, ...], list[int]] = {}
    for i, entry in enumerate(entries):
        expected.setdefault(tuple(map(int, entry)), []).append(i)
    first, second, third = zip(*entries, strict=True) if entries else ((), (), ())
    found = grouped(np.array(first, np.int32), np.array(second, np.int32), np.array(third, bool))
    assert [(key, members.tolist()) for key, members in found] == list(expected.items())


@pytest.mark.parametrize("kinds", [1, 300, 70_000])
def test_many_kinds(kinds):
    column = np.random.default_rng(0).permutation(np.arange(200_000) % kinds)
    found = grouped(column)
    assert sorted(key[0] for key, _ in found) == list(range(kinds))
    assert all((column[members] == key[0]).all() for key, members in found[:50])
