"""Files and folders that are whole or absent, whatever happens: every writer goes by here.

What is written lies in a scratch folder beside its place until it is whole and on the disk. A
process that was killed leaves its scratch folder; whoever next writes there takes it away.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tftrace.errors import TftraceError
from tftrace.undo import Turn

try:
    import fcntl
except ImportError:  # Windows, where an open folder cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

SCRATCH = ".tftrace-"
STANDARD_OUTPUT = Path("-")
"""As the path of a file to write."""

_YOUNG_S = 60.0  # between making a folder and locking it


def reason(error: OSError) -> str:
    """What went wrong, without numbers and paths where the system says so."""
    return error.strerror or " ".join(str(error).split())


@contextmanager
def scratch_folder(place: Path, turn: Turn | None = None) -> Iterator[Path]:
    """A scratch folder inside ``place`` (so that a move is a rename), removed in the end, and
    so is ``place`` if it was made for it and holds nothing else.

    Args:
        turn: what else removes it, where an interrupt cuts this short.

    Raises:
        TftraceError: ``place`` is a file or cannot be written.
    """
    mine = turn or Turn()
    folder = place / f"{SCRATCH}{secrets.token_hex(6)}"
    made = [each for each in (place, *place.parents) if not each.exists()]

    def remove() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            for each in made:
                each.rmdir()

    with mine.taken(), mine.undone(remove):
        try:
            folder.mkdir(parents=True)
            _remove_abandoned(place, folder)
        except (FileExistsError, NotADirectoryError):
            raise TftraceError(f"cannot write to {place}: a file is in the way") from None
        except OSError as error:
            raise TftraceError(f"cannot write to {place}: {reason(error)}") from None
        with _locked(folder):
            yield folder


@contextmanager
def written_into(place: Path) -> Iterator[Path]:
    """A scratch folder; what the block puts there is moved into ``place`` when it ends well.

    Raises:
        TftraceError: something cannot be written.
    """
    with scratch_folder(place) as scratch:
        try:
            yield scratch
            for each in sorted(scratch.iterdir()):
                to_disk(each)
            for each in sorted(scratch.iterdir()):
                os.replace(each, place / each.name)
        except OSError as error:
            raise TftraceError(f"cannot write to {place}: {reason(error)}") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to; what is there when the block ends well takes the place of ``path``.

    A device or a pipe is written to as it is, and of a link what it points at. `STANDARD_OUTPUT`
    gets the whole of it in the end.

    Raises:
        TftraceError: it cannot be written.
    """
    try:
        if path == STANDARD_OUTPUT:
            with tempfile.TemporaryDirectory(prefix=SCRATCH) as folder:
                part = Path(folder) / "part"
                yield part
                sys.stdout.flush()
                with part.open("rb") as whole:
                    shutil.copyfileobj(whole, sys.stdout.buffer)
                sys.stdout.buffer.flush()
            return
        if path.exists() and not path.is_file():
            require_writable(path)
            yield path
            return
        target = path.resolve()
        with scratch_folder(target.parent) as scratch:
            part = scratch / target.name
            yield part
            to_disk(part)
            if target.exists():
                shutil.copymode(target, part)
            os.replace(part, target)
    except OSError as error:
        raise TftraceError(f"cannot write {path}: {reason(error)}") from error


def require_writable(path: Path) -> None:
    """Fail before hours of work rather than behind them; nothing is made.

    Raises:
        TftraceError: the file ``path`` cannot be written.
    """
    if path == STANDARD_OUTPUT:
        return
    found = _look(path)
    if found is not None and stat.S_ISDIR(found.st_mode):
        raise TftraceError(f"cannot write {path}: it is a folder")
    if found is not None and not stat.S_ISREG(found.st_mode):
        return
    try:
        require_folder(path.resolve().parent)
    except TftraceError as error:
        raise TftraceError(f"cannot write {path}: {error}") from None


def require_folder(path: Path) -> None:
    """Fail now if files cannot be written into the folder ``path``; nothing is made.

    Raises:
        TftraceError: it cannot be made, is a file, or may not be written.
    """
    for there in (path, *path.absolute().parents):
        found = _look(there)
        if found is None:
            continue
        if not stat.S_ISDIR(found.st_mode):
            raise TftraceError(f"cannot write to {path}: {there} is a file")
        if not os.access(there, os.W_OK | os.X_OK):
            raise TftraceError(f"cannot write to {path}: Permission denied")
        return


def _look(path: Path) -> os.stat_result | None:
    """What is at ``path``, None where nothing is.

    Raises:
        TftraceError: nothing can be there: the name is too long, say, or links run in a circle.
    """
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise TftraceError(f"cannot write to {path}: {reason(error)}") from None


def to_disk(path: Path) -> None:
    """Have the system write a file, or all files of a folder, before anything is renamed."""
    if path.is_dir():
        for each in path.iterdir():
            to_disk(each)
        return
    opened = os.open(path, os.O_RDWR)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a scratch folder for as long as this process lives, or the block lasts."""
    opened = _lock(folder)
    try:
        yield
    finally:
        if opened is not None:
            os.close(opened)


def _lock(folder: Path) -> int | None:
    """A descriptor that keeps the folder locked; None where others have it, or nothing locks."""
    if fcntl is None:
        return None
    try:
        opened = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(opened)
        return None
    return opened


def _remove_abandoned(place: Path, own: Path) -> None:
    """Take away the scratch folders of processes that were killed."""
    for each in place.glob(f"{SCRATCH}*"):
        with contextlib.suppress(OSError):  # another process was faster
            if each == own or time.time() - each.stat().st_mtime < _YOUNG_S:
                continue
            opened = _lock(each)
            if opened is not None:
                shutil.rmtree(each, ignore_errors=True)
                os.close(opened)
