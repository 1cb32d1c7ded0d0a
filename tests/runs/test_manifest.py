"""The manifest: what is written is read, what is wrong is one line that names the field."""

import json
import shutil
from pathlib import Path

import pytest

import tftrace
from tftrace.errors import TftraceError
from tftrace.runs.manifest import plain, read_manifest, write_manifest

OLD = Path(__file__).with_name("version_0_1_0")
OLD_MANIFEST = next(OLD.glob("*.tftrace.json"))


def written(tmp_path: Path, change) -> Path:
    """A copy of the old manifest, changed."""
    data = json.loads(OLD_MANIFEST.read_text())
    path = tmp_path / "host.tftrace.json"
    path.write_text(json.dumps(data if (new := change(data)) is None else new))
    return path


def test_a_run_of_version_0_1_0_opens(tmp_path):
    shutil.copytree(OLD, tmp_path / "run")
    profile = tftrace.load(tmp_path / "run")
    # By hand: 8 inputs x 4 units, 4 x 2; 6 samples in 2 batches, 3 kernels for each layer at most.
    assert profile.layers["macs"].tolist() == [0, 32, 8]
    assert profile.layers["path"].tolist() == ["tiny", "tiny/hidden", "tiny/logits"]
    assert (profile.layers["wall_ms"][1:] > 0).all()
    assert profile.wall["wall_ms"].sum() > 0
    assert profile.machine["onednn"] is None  # it did not note that yet
    assert profile.latency["n"] == 3
    assert "tiny" in str(profile)


def test_what_is_written_is_read(tmp_path):
    manifest = read_manifest(OLD_MANIFEST)
    write_manifest(tmp_path / "again.tftrace.json", manifest)
    assert read_manifest(tmp_path / "again.tftrace.json") == manifest
    # Nothing of the old file was lost: every key it had has its value.
    again = plain(manifest)
    assert _all_of(json.loads(OLD_MANIFEST.read_text()), again)


def _all_of(old, new) -> bool:
    if isinstance(old, dict):
        return all(key in new and _all_of(value, new[key]) for key, value in old.items())
    if isinstance(old, list):
        return len(old) == len(new) and all(map(_all_of, old, new))
    return old == new


def delete(*way):
    def change(data):
        at = data
        for step in way[:-1]:
            at = at[step]
        del at[way[-1]]

    return change


def put(value, *way):
    def change(data):
        at = data
        for step in way[:-1]:
            at = at[step]
        at[way[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda _: [], "array"),
        (lambda _: {"schema": 1}, "missing"),
        (put(True, "schema"), "schema"),
        (put("1", "schema"), "schema"),
        (put(2, "schema"), "schema 2"),
        (delete("schema"), "schema"),
        (delete("run"), "run"),
        (delete("sites", 0, "path"), "sites[0]"),
        (put(None, "model", "name"), "model.name"),
        (put("many", "run", "samples"), "run.samples"),
        (put(-1, "run", "samples"), "run.samples"),
        (put(0, "run", "batch_size"), "run.batch_size"),
        (put(1.5, "run", "trace", "samples"), "run.trace.samples"),
        (put(10**400, "run", "samples"), "run.samples"),
        (put([], "latency"), "latency"),
        (put("fast", "latency", "median_ms"), "latency.median_ms"),
        (put([1, "x"], "latency", "all_ms"), "latency.all_ms[1]"),
        (put(0, "counting", "batch"), "counting.batch"),
        (put({"m": 3}, "counting", "layers"), "counting.layers[...]"),
        (put([[-7]], "functions", 0, "ops", "inputs"), "functions[0].ops.inputs[0][0]"),
        (put(["a"], "functions", 0, "ops", "key"), "functions[0].ops"),
        (put([], "functions", 0, "kernels", "name"), "functions[0].kernels"),
    ],
)
def test_what_is_wrong_is_one_line_with_file_and_field(tmp_path, change, field):
    path = written(tmp_path, change)
    with pytest.raises(TftraceError) as error:
        read_manifest(path)
    message = str(error.value)
    assert str(path) in message
    assert field in message
    assert "\n" not in message


def test_indices_must_point_somewhere(tmp_path):
    def owner(data):
        data["functions"][0]["ops"]["owner"][0] = 99

    def source(data):
        data["functions"][0]["ops"]["inputs"][0] = [10_000]

    def twice(data):
        data["sites"].append(data["sites"][0])

    for change, field in ((owner, "ops.owner"), (source, "ops.inputs"), (twice, "sites")):
        with pytest.raises(TftraceError, match=field):
            read_manifest(written(tmp_path, change))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"null", b"[" * 200_000, b'{"schema": 1'])
def test_no_json_at_all(tmp_path, content):
    path = tmp_path / "host.tftrace.json"
    path.write_bytes(content)
    with pytest.raises(TftraceError, match="is damaged"):
        read_manifest(path)


def test_a_folder_in_its_place(tmp_path):
    path = tmp_path / "host.tftrace.json"
    path.mkdir()
    with pytest.raises(TftraceError, match="cannot read"):
        read_manifest(path)
