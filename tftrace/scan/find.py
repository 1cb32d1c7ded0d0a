"""Where the traces of runs and hosts lie, below local folders and remote ones."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tftrace.errors import TftraceError
from tftrace.runs.names import MANIFEST, TRACE

_INSIDE_LOGDIR = "/plugins/profile/"  # where the profiler puts runs; says nothing about them


@dataclass(frozen=True)
class Capture:
    """One host's trace of one run, and where it lies.

    Attributes:
        url: of the trace: a local path, or what fsspec opens, such as `gs://bucket/…`.
        manifest: likewise of tftrace's manifest beside it; None without.
        run: the run's folder, as TensorBoard names runs: below the folder that was searched, and
            without `plugins/profile`.
        host: what the trace's file name begins with.
        bytes: size of the trace; None where the server does not tell.
    """

    url: str
    manifest: str | None
    run: str
    host: str
    bytes: int | None


def find_captures(paths: Sequence[str | os.PathLike[str]]) -> list[Capture]:
    """Every trace at or below the paths, by run and host; each trace once.

    Hosts that kept their traces of one run in different folders come together under that run. Only
    where two folders have the same host of the same run are both runs named with their folder.

    Raises:
        TftraceError: a path has no trace, or cannot be listed.
    """
    roots: dict[str, str] = {}
    found: dict[str, Capture] = {}
    for path in [os.fspath(path) for path in paths]:
        for capture in _below(path):
            roots.setdefault(capture.url, path)
            found.setdefault(capture.url, capture)
    times = Counter((capture.run, capture.host) for capture in found.values())
    twice = {run for (run, _), count in times.items() if count > 1}
    named = [
        replace(capture, run=f"{roots[url].rstrip('/')}/{capture.run}")
        if capture.run in twice
        else capture
        for url, capture in found.items()
    ]
    return sorted(named, key=lambda capture: (capture.run, capture.host))


def _below(path: str) -> list[Capture]:
    """The captures at or below one path."""
    try:
        fs, root, sizes = _list(path)
    # Every protocol has exceptions of its own, and all mean this to the user.
    except Exception as error:
        raise TftraceError(f"cannot list {path}: {error}") from error
    captures = [
        Capture(
            url=_url(fs, file),
            manifest=_url(fs, beside) if (beside := _manifest_of(file)) in sizes else None,
            run=_run_name(root, file),
            host=posixpath.basename(file).removesuffix(TRACE),
            bytes=size,
        )
        for file, size in sizes.items()
        if file.endswith(TRACE) and not _is_hidden(file.removeprefix(root))
    ]
    if not captures:
        raise TftraceError(f"no trace (<host>{TRACE}) at or below {path}")
    return captures


def _list(path: str) -> tuple[Any, str, dict[str, int | None]]:
    """The file system of a path, the folder in it, and the files below with their sizes."""
    import fsspec

    fs, root = fsspec.core.url_to_fs(path)
    if root.endswith(TRACE):
        beside = _manifest_of(root)
        files = [file for file in (root, beside) if fs.exists(file)]
        return fs, posixpath.dirname(root), {file: fs.info(file)["size"] for file in files}
    listed = fs.find(root, detail=True)
    return fs, root.rstrip("/"), {file: about["size"] for file, about in listed.items()}


def _manifest_of(trace: str) -> str:
    return trace.removesuffix(TRACE) + MANIFEST


def _run_name(root: str, file: str) -> str:
    folder = posixpath.dirname(file)
    inside = f"/{folder.removeprefix(root).strip('/')}/".replace(_INSIDE_LOGDIR, "/").strip("/")
    return inside or posixpath.basename(folder)


def _is_hidden(inside: str) -> bool:
    """In a folder that a capture still works in, say."""
    return any(part.startswith(".") for part in inside.split("/"))


def _url(fs: Any, path: str) -> str:
    """What opens the file in another process: users know local files by their plain path."""
    return path if is_local(fs) else str(fs.unstrip_protocol(path))


def is_local(fs: Any) -> bool:
    """Can files of this fsspec file system be mapped into memory?"""
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(fs, LocalFileSystem)
