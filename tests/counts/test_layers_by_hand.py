"""Every Keras layer, counted on its own, against a formula derived by hand."""

import cases_elementwise  # noqa: F401  (each adds its cases)
import cases_products  # noqa: F401
import cases_programs  # noqa: F401
import cases_sequences  # noqa: F401
import pandas as pd
import pytest
from cases import CASES
from counting import BATCH, count_model


def test_there_are_enough_and_all_are_different():
    assert len(CASES) >= 80
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_counts_equal_the_formula(case):
    counts = count_model(case.model(), *((BATCH, *shape) for shape in case.shapes))
    expected = {"macs": case.macs, "mults": case.mults, **case.more}
    assert {name: counts.totals[name] for name in expected} == expected
    for name in ("mults", "macs", "bytes"):
        needed, executed = counts.layers[name], counts.layers[f"{name}_executed"]
        assert (needed <= executed).fillna(True).all()
    if case.macs is None:
        reasons = counts.layers.note[counts.layers.macs.isna() | counts.layers.flops.isna()]
        assert len(reasons) > 0
        assert reasons.notna().all()
    else:
        assert not counts.coverage.unknown


def test_a_null_is_null_in_the_table_and_said_in_the_coverage():
    case = next(case for case in CASES if case.name == "python function")
    counts = count_model(case.model(), (BATCH, 8))
    row = counts.layers[counts.layers.type == "Custom"].iloc[0]
    assert row.macs is pd.NA
    assert "no formula for operation type PyFunc" in row.note
    assert counts.coverage.unknown == {"PyFunc": 1}
    assert "not counted: PyFunc (1)" in str(counts.coverage)
