"""The page of op types without a formula says what is registered."""

import re

import pytest
import tensorflow as tf
from uncounted import GROUPS, PAGE, op_types, page, uncounted

from tftrace.counts.registry import registered


def test_the_page_is_up_to_date():
    if f"TensorFlow {tf.__version__} " not in PAGE.read_text():
        pytest.skip("the page is about another TensorFlow, which has other types")
    assert PAGE.read_text() == page(), "run python tests/counts/uncounted.py"


def test_no_type_of_the_page_has_a_formula():
    listed = re.findall(r"^`.*`$", PAGE.read_text(), re.MULTILINE)
    names = [name for line in listed for name in re.findall(r"`(\w+)`", line)]
    assert len(names) > 500
    assert not [name for name in names if registered(name)]


def test_every_type_has_a_formula_or_a_group_with_a_reason():
    found = uncounted()
    assert list(found) == [title for title, _, _ in GROUPS]
    counted = [name for name in op_types() if registered(name)]
    assert len(counted) + sum(map(len, found.values())) == len(op_types())
    # What a model may well run and nobody has written: kept short.
    assert len(found["Not written yet"]) < 15
