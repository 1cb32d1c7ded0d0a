"""What differs between two runs beside their models is said aloud."""

import io
from types import SimpleNamespace

from rich.console import Console

from tftrace.api.load import load
from tftrace.comparison.compare import compare_runs
from tftrace.comparison.differences import setting_differences
from tftrace.report.terminal.compare import print_comparison


def run(versions=None, **machine):
    return SimpleNamespace(
        versions={"tensorflow": "2.21", "keras": "3.15", "numpy": "2"} | (versions or {}),
        machine={"cpu": "A", "onednn": True, "intra_op_threads": 2, "platform": "linux"} | machine,
    )


def told(a, b):
    return [str(found) for found in setting_differences(a, b)]


def test_like_runs_differ_in_nothing():
    assert told(run(), run(platform="darwin", versions={"numpy": "1"})) == []


def test_onednn_threads_processor_and_versions_are_told():
    other = run(cpu="B", onednn=False, intra_op_threads=1, versions={"tensorflow": "2.20"})
    assert told(run(), other) == [
        "processor: A A, B B",
        "oneDNN: A on, B off",
        "intra-op threads: A 2, B 1",
        "TensorFlow: A 2.21, B 2.20",
    ]


def test_what_only_one_run_knows_is_told_as_unknown():
    assert told(run(onednn=None), run()) == ["oneDNN: A unknown, B on"]
    foreign = SimpleNamespace(machine=None, versions={"tftrace": "0.1.0"})
    assert "processor: A unknown, B A" in told(foreign, run())


def test_a_comparison_prints_them(run_of):
    a, b = (load(run_of("small").folder) for _ in range(2))
    b.machine = {**b.machine, "onednn": not b.machine["onednn"]}
    found = compare_runs(a, b)
    output = io.StringIO()
    print_comparison(found, Console(file=output, width=200))
    on, off = ("on", "off") if a.machine["onednn"] else ("off", "on")
    assert f"beside the models differs oneDNN: A {on}, B {off}" in output.getvalue()
    assert found.to_dict()["differences"] == [{"what": "oneDNN", "a": on, "b": off}]
