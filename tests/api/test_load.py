"""`load` opens runs of tftrace and traces of other programs, and says what it cannot."""

import gzip
import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from traces import write_trace
from typer.testing import CliRunner

import tftrace
from tftrace.api.load import load, load_run
from tftrace.cli import app
from tftrace.errors import TftraceError

PLANES = {"/host:CPU": {"tf_Compute": [("m/a/Relu:Relu", 0, 40, {})]}}


def test_a_folder_of_several_hosts_says_which_was_taken(tmp_path: Path):
    run = tmp_path / "plugins" / "profile" / "one"
    run.mkdir(parents=True)
    for number, host in enumerate(("b", "c", "a")):
        trace = write_trace(run / f"{host}.xplane.pb", PLANES)
        os.utime(trace, ns=(number, number))
    profile = tftrace.load(tmp_path)
    assert profile.model["name"] == "a"
    (told,) = profile.warnings
    assert "3 hosts (a, b, c); this is a" in told
    assert tftrace.load(run / "b.xplane.pb").warnings == []


def test_a_run_of_tftrace_on_several_hosts_says_so_too(run_of, tmp_path: Path):
    folder = run_of("small").save(tmp_path)
    for file in list(folder.iterdir()):
        host, _, kind = file.name.partition(".")
        shutil.copy(file, folder / f"{host}2.{kind}")
    (told,) = tftrace.load(folder).warnings
    assert "2 hosts" in told
    assert not tftrace.load(next(folder.glob("*.tftrace.json"))).warnings


def test_a_capture_under_way_is_no_trace(tmp_path: Path):
    (tmp_path / ".scratch").mkdir()
    write_trace(tmp_path / ".scratch" / "vm.xplane.pb", PLANES)
    with pytest.raises(TftraceError, match="no trace"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["vm.xplane.pb.gz", "vm.trace.json.gz", "trace.json.gz"])
@pytest.mark.parametrize("in_folder", [False, True])
def test_files_made_from_traces_get_a_word(name: str, in_folder: bool, tmp_path: Path):
    trace = write_trace(tmp_path / "vm.xplane.pb", PLANES)
    other = tmp_path / "made" / name
    other.parent.mkdir()
    other.write_bytes(gzip.compress(trace.read_bytes()))
    given = other.parent if in_folder else other
    with pytest.raises(TftraceError, match=r"give the \.xplane\.pb"):
        load(given)
    found = CliRunner().invoke(app, ["report", str(given)])
    assert found.exit_code != 0
    assert isinstance(found.exception, SystemExit | TftraceError)


def test_an_empty_file_and_a_folder_named_like_a_trace_are_refused_in_words(tmp_path: Path):
    (tmp_path / "vm.xplane.pb").write_bytes(b"")
    with pytest.raises(TftraceError, match=r"vm\.xplane\.pb"):
        str(load(tmp_path))
    folder = tmp_path / "folder"
    (folder / "x.xplane.pb").mkdir(parents=True)
    with pytest.raises(TftraceError, match="no trace"):
        load(folder)
    with pytest.raises(TftraceError, match="no trace"):
        load(folder / "x.xplane.pb")


def test_a_missing_path_is_refused(tmp_path: Path):
    with pytest.raises(TftraceError, match=r"at .*nowhere"):
        load(tmp_path / "nowhere")


def test_a_run_of_tftrace_can_be_matched_by_name(run_of, tmp_path: Path):
    run = run_of("mission", repeats=3)
    sites = run.layers.iloc[1:]
    layers = [
        {"class_name": kind, "config": {"name": name}}
        for kind, name in zip(sites["type"], sites["name"], strict=True)
    ]
    config = {"class_name": "Functional", "config": {"name": "net", "layers": layers}}
    model = tmp_path / "model.keras"
    with zipfile.ZipFile(model, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    matched = load(run.folder, model)
    assert matched.window == "as tftrace marked it; read like a trace from elsewhere"
    assert len(matched.steps) == len(run.steps)
    assert matched.steps["samples"].isna().all()
    assert matched.window_ms == pytest.approx(run.window_ms)
    assert matched.wall["wall_ms"].sum() == pytest.approx(run.window_ms)
    assert "matched by name" in str(matched)
    json.dumps(matched.to_dict(), allow_nan=False)


def test_what_needs_a_run_refuses_a_trace(tmp_path: Path):
    trace = write_trace(tmp_path / "vm.xplane.pb", PLANES)
    for path in (trace, tmp_path):
        with pytest.raises(TftraceError, match="no run of tftrace"):
            load_run(path)


@pytest.fixture(scope="module")
def eager(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three products that Python executed one by one, and a session in which nothing ran."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("eager")
    a = tf.ones((64, 64))
    tf.matmul(a, a)
    with tf.profiler.experimental.Profile(str(folder / "products")):
        for _ in range(3):
            tf.matmul(a, a)
    with tf.profiler.experimental.Profile(str(folder / "nothing")):
        pass
    return folder


def test_operations_that_python_executed_one_by_one_are_rows(eager: Path):
    profile = load(eager / "products")
    row = profile.ops.set_index("op").loc["EagerLocalExecute: MatMul"]
    assert (row["op_type"], row["calls"], row["component"]) == ("MatMul", 3, "ops")
    assert row["wall_ms"] > 0
    assert "EagerLocalExecute: MatMul" in str(profile)


def test_a_session_in_which_nothing_ran_says_so(eager: Path):
    result = CliRunner().invoke(app, ["report", str(eager / "nothing")])
    assert result.exit_code == 0
    assert "nothing was recorded" in result.output


def test_a_call_that_launched_its_work_or_ran_a_function_is_no_row(tmp_path: Path):
    launch = {"correlation_id": 1}
    planes = {
        "/host:CPU": {
            "python3": [
                ("EagerLocalExecute: MatMul", 0, 20, {}),
                ("cuLaunchKernel", 5, 8, launch),
                ("EagerLocalExecute: Relu", 20, 30, {}),
                ("m/Relu:Relu", 22, 28, {}),
                ("EagerLocalExecute: __inference_f_7", 30, 50, {}),
                ("EagerLocalExecute: Cast", 50, 60, {}),
            ]
        },
        "/device:GPU:0": {
            "Stream #1(Compute)": [("gemm", 10, 18, launch | {"tf_op": "MatMul:MatMul"})]
        },
    }
    profile = load(write_trace(tmp_path / "eager.xplane.pb", planes))
    rows = profile.ops.set_index(["op", "device"])["wall_ms"].to_dict()
    assert rows == {
        ("MatMul", "/device:GPU:0"): pytest.approx(0.008),
        ("m/Relu", "/host:CPU"): pytest.approx(0.006),
        ("EagerLocalExecute: Cast", "/host:CPU"): pytest.approx(0.010),
    }
    wall = profile.wall.set_index(["device", "component"])["wall_ms"]
    assert wall["/host:CPU", "launches of device work"] == pytest.approx(0.003)
