"""Damaged manifests: every reader of a run reads them, or refuses them in one line."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutated_manifests import mutated, read_all
from runs_by_hand import machine

OLD = Path(__file__).parent.parent / "runs" / "version_0_1_0"
COUNT = 1500 if os.environ.get("TFTRACE_ROBUSTNESS") == "1" else 60
PRIMITIVE = {
    **{"op": "m/d/MatMul", "op_type": "_MklMatMul", "kernel_calls": 2, "primitive": "matmul"},
    **{"role": "compute", "implementation": "jit", "layout": "ab", "problem": "4x8:8x4"},
    **{"attributes": "", "variable": None, "calls": 2, "busy_ms": 0.5},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run that has all that a manifest can have."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    shutil.copytree(OLD, folder)
    path = next(folder.glob("*.json"))
    data = json.loads(path.read_text())
    data["roofs"] = machine().to_dict()
    data["onednn"] = {"version": "3", "isa": "avx2", "samples": 4, "steps": 1}
    data["onednn"]["primitives"] = [PRIMITIVE]
    data["onednn"]["unjoined"] = [{"reason": "none", "calls": 1, "busy_ms": 0.1}]
    data["latency"]["without_autotuner"] = passes_of(data["latency"])
    path.write_text(json.dumps(data))
    assert read_all(folder, folder.parent) == ""
    return folder


def passes_of(latency: dict) -> dict:
    return {k: latency[k] for k in ("median_ms", "iqr_ms", "min_ms", "n", "all_ms", "warning")}


@settings(
    max_examples=COUNT,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32))
def test_a_damaged_manifest_is_read_or_refused(run, tmp_path_factory, seed):
    scratch = tmp_path_factory.getbasetemp() / "mutated"
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(run, scratch / "run")
    path = next((scratch / "run").glob("*.json"))
    path.write_text(json.dumps(mutated(json.loads(path.read_text()), seed)))
    refused = read_all(scratch / "run", scratch)
    # Whatever else is raised is a fault. What is refused is refused with the file's name.
    assert not refused or str(path) in refused or "vm.xplane.pb" in refused


def changed(run: Path, tmp_path: Path, change) -> str:
    shutil.copytree(run, tmp_path / "run")
    path = next((tmp_path / "run").glob("*.json"))
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    return read_all(tmp_path / "run", tmp_path)


def test_loops_in_a_graph_that_should_have_none(run, tmp_path):
    def change(data):
        for function in data["functions"]:
            count = len(function["ops"]["key"])
            function["ops"]["inputs"] = [[i, (i + 1) % count] for i in range(count)]
            names = function["kernels"]["name"]
            function["kernels"]["inputs"] = [names for _ in names]

    assert changed(run, tmp_path, change) == ""


def test_a_traced_pass_without_a_time_is_read(run, tmp_path):
    def change(data):
        data["latency"]["traced_ms"] = None

    assert changed(run, tmp_path, change) == ""


@pytest.mark.parametrize(
    ("way", "value", "words"),
    [
        (("roofs", "conv_gmacs", "best"), 0, "roofs: .*rate"),
        (("roofs", "conv_gmacs", "best"), "fast", "roofs: .*conv_gmacs.best"),
        (("roofs", "conv_gmacs"), {}, "roofs: .*conv_gmacs"),
        (("roofs", "bandwidth_gb"), [], "roofs: .*bandwidth_gb"),
        (("roofs", "matmul_gmacs"), {}, "roofs: .*float32"),
        (("roofs", "schema"), 99, "roofs: .*schema 99"),
        (("roofs",), {}, "roofs"),
        (("run", "samples"), 0, "run.samples"),
        (("run", "trace", "steps"), None, "run.trace.steps"),
        (("functions",), [], "functions: there is none"),
        (("latency", "n"), None, "latency: a median without n"),
        (("latency", "all_ms"), [], "latency: a median without n"),
        (("latency", "min_ms"), None, "latency: a median without n"),
        (("functions", 0, "ops", "work", 0), {"macs": "many"}, r"functions\[0\]\.ops\.work"),
    ],
)
def test_values_that_no_run_has_are_refused_with_their_field(run, tmp_path, way, value, words):
    def change(data):
        for step in way[:-1]:
            data = data[step]
        data[way[-1]] = value

    assert re.search(rf"vm\.tftrace\.json is damaged: {words}", changed(run, tmp_path, change))
