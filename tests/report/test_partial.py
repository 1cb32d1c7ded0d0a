"""A traced pass over part of the data is told as such wherever its tables are shown."""

import io
import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tftrace.cli import app
from tftrace.comparison.compare import compare_runs
from tftrace.report.html.run import render_page
from tftrace.report.terminal.compare import print_comparison

# 70 samples in batches of 32 are 3 steps; one batch is traced.
TOLD = "only the first 1 of 3 steps (32 of 70 samples) were traced"


@pytest.fixture(scope="module")
def partial(run_of):
    return run_of("small", trace_batches=1)


def test_reports_for_every_eye_say_so(partial):
    assert TOLD in " ".join(str(partial).split())
    assert TOLD in render_page(partial)
    assert TOLD in partial._repr_html_()


def test_a_whole_trace_says_nothing(run_of):
    assert run_of("small").warnings == []


def test_files_and_exports_say_so(partial, tmp_path):
    assert TOLD in partial.to_dict()["warnings"][0]
    done = CliRunner().invoke(app, ["export", str(partial.folder), "-o", str(tmp_path / "csv")])
    assert TOLD in done.output
    report = ["report", str(partial.folder), "--json", str(tmp_path / "r.json"), "--quiet"]
    assert CliRunner().invoke(app, report).exit_code == 0
    assert TOLD in json.loads((tmp_path / "r.json").read_text())["warnings"][0]


def test_a_comparison_and_a_check_say_so(partial, run_of, tmp_path):
    output = io.StringIO()
    print_comparison(compare_runs(partial, run_of("small")), Console(file=output, width=200))
    assert f"A: {TOLD}" in output.getvalue()
    assert "B: only" not in output.getvalue()
    budget = tmp_path / "budget.toml"
    budget.write_text("[counts]\nparams = 1000000\n")
    done = CliRunner().invoke(app, ["check", str(partial.folder), "--budget", str(budget)])
    assert TOLD in " ".join(done.output.split())
