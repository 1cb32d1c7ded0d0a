"""What is kept between processes, in one private folder per user.

Compiled code is loaded from here as it is, so nothing is read that somebody else could have
written: the folder and the file must belong to this user and be writable by nobody else. Where
the system has no owners (Windows), the user's own cache folder is what keeps others out.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import platformdirs

log = logging.getLogger("tftrace")

_PARTIAL = ".partial-"
_ABANDONED_S = 3600.0  # a partial file so old belongs to a process that was killed
_FLAGS = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_BINARY", "O_CLOEXEC"))
_NO_WAITING = getattr(os, "O_NONBLOCK", 0)  # for who writes into a pipe that lies in the place
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


class UnsafeCache(OSError):
    """A cache folder or file that others may have written; the message says which and why."""


def cache_folder() -> Path:
    """`$TFTRACE_CACHE_DIR`, else `tftrace` in the user's cache folder (`$XDG_CACHE_HOME` counts).

    Raises:
        OSError: the user has no home folder.
    """
    if own := os.environ.get("TFTRACE_CACHE_DIR"):
        return Path(own)
    folder = Path(platformdirs.user_cache_dir("tftrace", appauthor=False))
    if not folder.is_absolute():  # `~` that stands for nothing
        raise OSError("this user has no home folder; set TFTRACE_CACHE_DIR")
    return folder


def read_kept(name: str) -> bytes:
    """The file of that name (`a`, or `folder/a`) in the cache folder.

    Raises:
        FileNotFoundError: it was not kept.
        UnsafeCache: others may have written it.
        OSError: it cannot be read.
    """
    path = cache_folder() / name
    for folder in _folders(path):
        _check(folder, os.stat(folder), stat.S_IFDIR)
    opened = os.open(path, os.O_RDONLY | _NO_WAITING | _FLAGS)
    try:
        _check(path, os.fstat(opened), stat.S_IFREG)
        with open(opened, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(opened)


def keep(name: str, content: bytes) -> None:
    """Write that file, so that it is whole or absent whoever reads it and whatever happens.

    Raises:
        UnsafeCache: others may write into its folder.
        OSError: it cannot be written.
    """
    path = cache_folder() / name
    for folder in _folders(path):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check(folder, os.stat(folder), stat.S_IFDIR)
    partial = path.with_name(f"{_PARTIAL}{os.urandom(8).hex()}")
    made = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
    try:
        with open(made, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


@functools.cache
def warn_once(message: str) -> None:
    """Log a warning that would say nothing new the second time."""
    log.warning(message)


def mark_used(name: str) -> None:
    """Note that the file was used just now; `throw_away_old` goes by that."""
    with contextlib.suppress(OSError):  # of a folder that may only be read
        os.utime(cache_folder() / name)


def throw_away_old(folder: str, prefix: str, most: int) -> None:
    """Delete all but the `most` files last used of those that begin so, and abandoned partials."""
    files = sorted(_files(cache_folder() / folder), reverse=True)
    mine = [path for _, path in files if path.name.startswith(prefix)]
    now = time.time()
    abandoned = [
        path for used, path in files if path.name.startswith(_PARTIAL) and now - used > _ABANDONED_S
    ]
    for path in [*mine[most:], *abandoned]:
        with contextlib.suppress(OSError):  # another process was faster
            path.unlink()


def _files(folder: Path) -> Iterator[tuple[float, Path]]:
    """(last use, path) of the files in a folder."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            yield path.lstat().st_mtime, path


def _folders(path: Path) -> list[Path]:
    """The cache folder, and the one in it that a file lies in, if any."""
    base = cache_folder()
    return [base] if path.parent == base else [base, path.parent]


def _check(path: Path, found: os.stat_result, kind: int) -> None:
    if stat.S_IFMT(found.st_mode) != kind:
        raise UnsafeCache(f"{path} is not a {'folder' if kind == stat.S_IFDIR else 'file'}")
    if not hasattr(os, "geteuid"):
        return
    if found.st_uid != os.geteuid():
        raise UnsafeCache(f"{path} belongs to another user")
    if found.st_mode & _OTHERS_MAY_WRITE:
        raise UnsafeCache(f"{path} can be written by others (chmod go-w it, or delete it)")
