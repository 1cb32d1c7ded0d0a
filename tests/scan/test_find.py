"""Which traces are found below a path, and what they are called."""

from pathlib import Path

import pytest

fsspec = pytest.importorskip("fsspec")

from tftrace.errors import TftraceError  # noqa: E402
from tftrace.scan.find import find_captures  # noqa: E402


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"12")


def names(*paths: object) -> list[tuple[str, str]]:
    return [(capture.run, capture.host) for capture in find_captures([str(p) for p in paths])]


def test_runs_are_named_as_tensorboard_names_them(tmp_path):
    profiles = tmp_path / "plugins" / "profile"
    nested = tmp_path / "fit" / "plugins" / "profile"
    touch(profiles / "r1" / "h0.xplane.pb", profiles / "r1" / "h1.xplane.pb")
    touch(nested / "r2" / "h.0.xplane.pb", profiles / "r1" / "h0.other.pb")
    assert names(tmp_path) == [("fit/r2", "h.0"), ("r1", "h0"), ("r1", "h1")]
    assert names(profiles) == [("r1", "h0"), ("r1", "h1")]
    assert names(profiles / "r1") == [("r1", "h0"), ("r1", "h1")]
    assert names(profiles / "r1" / "h0.xplane.pb") == [("r1", "h0")]


def test_a_manifest_is_found_beside_its_trace(tmp_path):
    touch(tmp_path / "r" / "a.xplane.pb", tmp_path / "r" / "a.tftrace.json")
    touch(tmp_path / "r" / "b.xplane.pb")
    a, b = find_captures([tmp_path])
    assert (a.url, a.manifest, a.bytes) == (
        str(tmp_path / "r/a.xplane.pb"),
        str(tmp_path / "r/a.tftrace.json"),
        2,
    )
    assert b.manifest is None
    (alone,) = find_captures([tmp_path / "r" / "a.xplane.pb"])
    assert alone.manifest == a.manifest


def test_a_trace_below_two_paths_is_found_once(tmp_path):
    touch(tmp_path / "r" / "a.xplane.pb")
    assert names(tmp_path, tmp_path / "r", f"file://{tmp_path}") == [("r", "a")]


def test_hosts_of_one_run_in_several_folders_come_together(tmp_path):
    touch(tmp_path / "disk0" / "r" / "a.xplane.pb", tmp_path / "disk1" / "r" / "b.xplane.pb")
    assert names(tmp_path / "disk0", tmp_path / "disk1") == [("r", "a"), ("r", "b")]


def test_runs_with_the_same_hosts_are_told_apart_by_their_folders(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    touch(one / "r" / "a.xplane.pb", two / "r" / "a.xplane.pb", two / "s" / "a.xplane.pb")
    assert sorted(names(one, two)) == sorted([(f"{one}/r", "a"), (f"{two}/r", "a"), ("s", "a")])


def test_remote_files_keep_their_protocol():
    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/logs/plugins/profile/r/a.xplane.pb", b"123")
    try:
        (capture,) = find_captures(["memory://bucket/logs"])
    finally:
        memory.rm("/bucket", recursive=True)
    assert capture.url == "memory:///bucket/logs/plugins/profile/r/a.xplane.pb"
    assert (capture.run, capture.host, capture.bytes) == ("r", "a", 3)


def test_a_path_without_traces_is_an_error(tmp_path):
    with pytest.raises(TftraceError, match=r"no trace \(<host>.xplane.pb\) at or below"):
        find_captures([tmp_path / "missing"])
    touch(tmp_path / "r" / "a.xplane.pb")
    with pytest.raises(TftraceError, match="other"):
        find_captures([tmp_path, tmp_path / "other"])


def test_an_unknown_protocol_is_an_error():
    with pytest.raises(TftraceError, match="cannot list nowhere://x"):
        find_captures(["nowhere://x"])
