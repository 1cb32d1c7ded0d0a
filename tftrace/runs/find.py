"""The trace that a path means, where no run of tftrace is."""

from __future__ import annotations

import os
from pathlib import Path

from tftrace.errors import TftraceError
from tftrace.runs.names import TRACE

_OTHERS = {
    ".xplane.pb.gz": "is a compressed trace; unpack it (gunzip) and give the .xplane.pb",
    ".trace.json.gz": "is made from a trace for viewing and lacks most of it; give the .xplane.pb",
    "trace.json.gz": "is made from a trace for viewing and lacks most of it; give the .xplane.pb",
    ".trace.json": "is made from a trace for viewing and lacks most of it; give the .xplane.pb",
}


def find_trace(path: Path) -> Path:
    """The trace that ``path`` means: a file, or the newest in a folder or below it.

    Raises:
        TftraceError: there is none; where there is a file of another kind, what to give instead.
    """
    if os.path.isfile(path):
        if (word := _word(path)) is not None:
            raise TftraceError(f"{path} {word}")
        return path
    if not os.path.exists(path):
        raise TftraceError(f"no trace at {path}")
    for pattern in (f"*{TRACE}", f"plugins/profile/*/*{TRACE}", f"**/*{TRACE}"):
        # Directories may bear the name too, and hidden ones hold captures under way.
        found = [p for p in path.glob(pattern) if p.is_file() and not _is_hidden(p, path)]
        if found:
            return max(found, key=lambda p: (p.stat().st_mtime_ns, p.name))
    for other in sorted(path.glob("**/*")):
        if other.is_file() and (word := _word(other)) is not None:
            raise TftraceError(f"{path} holds no trace (no {TRACE}): {other} {word}")
    raise TftraceError(f"{path} holds no trace (no {TRACE})")


def is_other_kind(path: Path) -> bool:
    """Whether a file is made from a trace, but is not one that is read here."""
    return _word(path) is not None


def other_hosts(given: Path, trace: Path) -> str | None:
    """Which of several hosts of one run was taken, in words; None where the file was given or is
    the only one."""
    hosts = sorted(p.name.removesuffix(TRACE) for p in trace.parent.glob(f"*{TRACE}"))
    if given.is_file() or len(hosts) < 2:
        return None
    return (
        f"{trace.parent} holds the traces of {len(hosts)} hosts ({', '.join(hosts)}); this is "
        f"{trace.name.removesuffix(TRACE)}, the newest: give a file for another, and `tftrace "
        "scan` compares them"
    )


def _is_hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(root).parts)


def _word(path: Path) -> str | None:
    return next((word for end, word in _OTHERS.items() if path.name.endswith(end)), None)
