"""Budgets as pytest marks: ``@pytest.mark.tftrace(max_ms=50)``.

Every ``model.predict`` inside a marked test, and whatever else ``tftrace.trace`` follows, is
measured and traced; the test fails when a limit is broken. Loading this plugin imports neither
TensorFlow nor pandas. The runs of a test that fails are kept, and the report says where.
"""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tftrace.api.profile import Profile

_KEYWORDS = {"max_ms", "budget", "repeats"}
_LINES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Announce the mark."""
    config.addinivalue_line(
        "markers",
        "tftrace(max_ms=None, budget=None, repeats=5): fail when a model.predict inside the test "
        "takes longer than max_ms (median of repeats passes) or breaks the budget (TOML file); "
        "repeats=0 times nothing but the traced pass, for budgets of counts and shares",
    )
    config.stash[_LINES] = []


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """Trace a marked test and check what it ran."""
    mark = pyfuncitem.get_closest_marker("tftrace")
    if mark is None:
        return (yield)
    fault = _mark_fault(mark)
    if fault is not None:
        raise pytest.UsageError(f"tftrace mark: {fault}")
    import shutil
    import tempfile

    import tftrace

    folder, failed = Path(tempfile.mkdtemp(prefix="tftrace-")), True
    try:
        with tftrace.trace(folder, repeats=mark.kwargs.get("repeats", 5)) as tracing:
            outcome = yield
        for reason in tracing.untraced:
            pytest.fail(f"a call of the test could not be traced: {reason}")
        if not tracing.profiles:
            from tftrace.api.tracing import NONE_RAN

            pytest.fail(f"the test is marked with tftrace, but {NONE_RAN}")
        for profile in tracing.profiles:
            _check(pyfuncitem, mark.kwargs, profile)
        failed = False
    except pytest.skip.Exception:
        failed = False
        raise
    finally:
        if failed and any(folder.iterdir()):
            _tell(pyfuncitem, folder)
        else:
            shutil.rmtree(folder)
    return outcome


def _tell(item: pytest.Function, folder: Path) -> None:
    """Say where the runs of a failed test are, beside its failure and in the summary."""
    told = f"runs kept: {folder} (tftrace view {folder})"
    item.add_report_section("call", "tftrace", told)
    item.config.stash[_LINES].append(f"{item.nodeid}: {told}")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """List what the marked tests took, and where the runs of those that failed are."""
    lines = config.stash[_LINES]
    if lines:
        terminalreporter.section("tftrace")
        for line in lines:
            terminalreporter.line(line)


def _mark_fault(mark: pytest.Mark) -> str | None:
    """What is wrong with the arguments of the mark; None when nothing is."""
    unknown = set(mark.kwargs) - _KEYWORDS
    if mark.args or unknown:
        known = ", ".join(sorted(_KEYWORDS))
        return f"unknown arguments {[*mark.args, *sorted(unknown)]}; known: {known}"
    repeats, limit = mark.kwargs.get("repeats", 1), mark.kwargs.get("max_ms", 1)
    if not isinstance(repeats, int) or isinstance(repeats, bool) or repeats < 0:
        return f"repeats must be a whole number from 0, not {repeats!r}"
    if not repeats and "max_ms" in mark.kwargs:
        return "max_ms is on the median of the repeats, of which repeats=0 has none"
    if not isinstance(limit, int | float) or isinstance(limit, bool) or not 0 < limit < math.inf:
        return f"max_ms must be a number of milliseconds above 0, not {limit!r}"
    budget = mark.kwargs.get("budget", "")
    if not isinstance(budget, str | os.PathLike):
        return f"budget must be the path of a TOML file, not {budget!r}"
    return None


def _check(item: pytest.Function, limits: Mapping[str, Any], profile: Profile) -> None:
    from tftrace.budget import check, check_budget, read_budget

    budget: dict[str, Any] = {}
    if "budget" in limits:
        budget = read_budget(Path(item.path).parent / limits["budget"])
    if "max_ms" in limits:
        budget = {**budget, "latency": {**budget.get("latency", {}), "median_ms": limits["max_ms"]}}
    check_budget(budget)
    name, samples = profile.model["name"], profile.run["samples"]
    told = f"{item.nodeid}: {name} {_latency(profile)}, {samples} samples"
    item.config.stash[_LINES].append(told)
    breaches = check(profile, budget)
    if breaches:
        rows = (f"{b.subject}: {b.rule} {_number(b.actual)}, limit {b.limit:g}" for b in breaches)
        pytest.fail("tftrace budget broken\n  " + "\n  ".join(rows), pytrace=False)


def _latency(profile: Profile) -> str:
    """The median; of a test without repeats the traced pass."""
    median = profile.latency["median_ms"]
    if median is None:
        return f"{profile.latency['traced_ms']:.2f} ms (the traced pass)"
    return f"{median:.2f} ms"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"
