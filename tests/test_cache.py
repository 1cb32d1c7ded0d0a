"""What is kept between processes: where, how safely, and how much of it."""

import os
import stat
import time
from pathlib import Path

import pytest

from tftrace import cache


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("TFTRACE_CACHE_DIR", str(tmp_path / "own"))
    return tmp_path / "own"


def test_cache_folder_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TFTRACE_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / ".cache" / "tftrace"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache.cache_folder() == tmp_path / "x" / "tftrace"
    monkeypatch.setenv("TFTRACE_CACHE_DIR", str(tmp_path / "own"))
    assert cache.cache_folder() == tmp_path / "own"


def test_what_was_kept_is_read_again(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        cache.read_kept("a/b")
    cache.keep("a/b", b"first")
    cache.keep("a/b", b"second")
    cache.keep("c", b"third")
    assert cache.read_kept("a/b") == b"second"
    assert cache.read_kept("c") == b"third"
    assert sorted(path.name for path in folder.rglob("*")) == ["a", "b", "c"]


def test_nothing_is_written_through_links(folder: Path, tmp_path: Path) -> None:
    cache.keep("a", b"first")
    (tmp_path / "precious").write_text("precious")
    (folder / "a").unlink()
    (folder / "a").symlink_to(tmp_path / "precious")
    cache.keep("a", b"second")
    assert (tmp_path / "precious").read_text() == "precious"
    assert cache.read_kept("a") == b"second"


def test_nothing_is_written_where_others_may_write(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(cache.UnsafeCache, match="written by others"):
        cache.keep("a", b"")
    assert not list(folder.iterdir())


def test_a_failure_leaves_the_old_file_and_no_partial_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.keep("a", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        cache.keep("a", b"new")
    assert cache.read_kept("a") == b"old"
    assert [path.name for path in folder.iterdir()] == ["a"]


def test_the_least_used_are_thrown_away_and_what_was_abandoned(folder: Path) -> None:
    now = time.time()
    for age, name in enumerate(("m-new", "m-used", "m-old", "other")):
        cache.keep(f"loops/{name}", b"")
        os.utime(folder / "loops" / name, (now - 10 * age - 10,) * 2)
    abandoned = folder / "loops" / ".partial-0"
    abandoned.touch()
    os.utime(abandoned, (now - 10_000,) * 2)
    (folder / "loops" / ".partial-1").touch()
    cache.mark_used("loops/m-used")
    cache.throw_away_old("loops", "m-", 2)
    left = sorted(path.name for path in (folder / "loops").iterdir())
    assert left == [".partial-1", "m-new", "m-used", "other"]


def test_modes_do_not_depend_on_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        cache.keep("a/b", b"")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, *sorted(folder.rglob("*")))]
    assert modes == [0o700, 0o700, 0o600]
