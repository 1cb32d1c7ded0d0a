"""Bad inputs: exit code 2 and one line, nothing printed, nothing written.

A sample here; all with TFTRACE_ROBUSTNESS=1 (`make robustness`).
"""

import os
import random
import subprocess
import sys

import pytest
from bad_inputs import Case, Outcome, answer, cases, make_files, shortcomings

ALL = os.environ.get("TFTRACE_ROBUSTNESS") == "1"
SAMPLE, PROCESSES = 90, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("bad")
    make_files(made)
    return made


@pytest.fixture(scope="module")
def table(folder) -> list[Case]:
    found = list(cases(folder))
    assert len({case.name for case in found}) == len(found) >= 300
    return found if ALL else random.Random(3).sample(found, SAMPLE)


def test_a_bad_input_is_one_line(folder, table):
    short = {case.name: shortcomings(case, answer(case.arguments, folder)) for case in table}
    assert {name: faults for name, faults in short.items() if faults} == {}


def test_so_it_is_in_a_process_of_its_own(folder, table):
    for case in table[:: len(table) // PROCESSES]:
        command = [sys.executable, "-m", "tftrace", *case.arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        outcome = Outcome(done.returncode, done.stdout, done.stderr, ())
        assert shortcomings(case, outcome) == [], (case.name, done.stderr)


def test_a_fault_of_tftrace_is_called_one(folder, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("in the middle")

    monkeypatch.setattr("tftrace.api.load.open_any", broken)
    outcome = answer(("report", "run"), folder)
    assert outcome.code == 70
    assert outcome.err.startswith("tftrace: a fault of tftrace: ZeroDivisionError: in the middle (")
    assert outcome.err.count("\n") == 1


def test_in_a_scan_a_bad_manifest_costs_itself_only(folder):
    from tftrace.scan.find import find_captures
    from tftrace.scan.read import read_capture

    whole = read_capture(*find_captures([str(folder / "run")]))
    assert whole.layers is not None
    assert len(whole.ops)
    bad = [run for run in sorted((folder / "manifest").iterdir()) if run.name != "folder"]
    assert len(bad) > 40
    for run in bad:
        found = read_capture(*find_captures([str(run)]))
        assert found.layers is None, run.name
        assert found.ops.equals(whole.ops), run.name
        assert "manifest" in found.manifest_error or "tftrace.json" in found.manifest_error, (
            run.name
        )
