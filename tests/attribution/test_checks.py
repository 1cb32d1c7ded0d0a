"""Self-checks: silent on a real run, and each finds a run that was broken by hand."""

from dataclasses import replace

import pytest

from tftrace.attribution.checks import checks
from tftrace.attribution.rows import OUTSIDE_LAYERS


@pytest.fixture
def join(run_of):
    """A join of the test's own, with everything computed."""
    import tftrace

    found = tftrace.load(run_of("small", all_ops=True).folder)._join
    assert [check.fault for check in checks(found)] == [None] * 5
    return found


def faults(join) -> dict[str, str]:
    return {check.name: check.fault for check in checks(join) if check.fault}


def first_of_the_model(join) -> int:
    return next(i for i, row in enumerate(join.rows) if row.info and "MatMul" in row.type)


def test_a_wall_that_does_not_close(join):
    gaps = dict(join.timeline.gaps)
    gaps[next(iter(gaps))] += 3 * 10**9  # ps
    join.timeline = replace(join.timeline, gaps=gaps)
    assert faults(join) == {
        "the wall's parts sum to it": "the parts of the wall differ from it by 3 ms"
    }


def test_an_execution_without_a_row(join):
    join.row_of = join.row_of.copy()
    join.row_of[:2] = -1
    assert faults(join) == {"every execution counts in a row": "2 executions count in no row"}


def test_more_executions_than_the_graph_has(join):
    at = first_of_the_model(join)
    join.rows[at] = replace(join.rows[at], expected=0)
    (fault,) = faults(join).values()
    assert f"such as {join.rows[at].name}: {len(join.rows[at].executions)} times, 0 exp" in fault


def test_a_kernel_from_nowhere(join):
    at = first_of_the_model(join)
    join.rows[at] = replace(join.rows[at], info=None, component=OUTSIDE_LAYERS)
    assert list(faults(join)) == ["every kernel comes from an op"]


def test_time_that_is_negative_or_given_twice(join):
    own = join.timeline.self.copy()
    own[0] = -1
    join.timeline = replace(join.timeline, self=own)
    assert faults(join) == {
        "no time is given twice on a thread": "1 executions have a negative time of their own"
    }
    own[:] = join.executions.end - join.executions.start
    own[0] *= 10
    join.timeline = replace(join.timeline, self=own)
    assert "more than it was active" in faults(join)["no time is given twice on a thread"]


def test_a_fault_is_a_warning_and_a_field(run_of, monkeypatch):
    import tftrace
    from tftrace.attribution import checks as module

    folder = run_of("small").folder
    assert set(tftrace.load(folder).to_dict()["checks"].values()) == {None}
    monkeypatch.setitem(module._CHECKS, "the wall's parts sum to it", lambda join: "they do not")
    broken = tftrace.load(folder)
    said = "self-check failed: the wall's parts sum to it: they do not"
    assert said in broken.warnings
    assert said in " ".join(str(broken).split())
    assert broken.to_dict()["checks"]["the wall's parts sum to it"] == "they do not"
