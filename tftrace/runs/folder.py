"""Folders that are whole or absent: filled under a scratch name, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tftrace.errors import TftraceError


@contextmanager
def scratch_folder(out: Path) -> Iterator[Path]:
    """A scratch folder inside ``out`` (so that a move is a rename), removed on exit.

    Raises:
        TftraceError: ``out`` is a file or cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".tftrace-", dir=out))
    except FileExistsError:
        raise TftraceError(f"{out} is a file; choose another folder with --out") from None
    except OSError as error:
        raise TftraceError(
            f"cannot write to {out} ({error.strerror}); choose another folder with --out"
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_run_folder(out: Path, run: str, fill: Path) -> Path:
    """Move the finished folder ``fill`` to ``out/plugins/profile/<run>``, never over another.

    Returns: the run folder. A taken name gets ``-2``, ``-3``, …
    """
    runs = out / "plugins" / "profile"
    runs.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        target = runs / (run if number == 1 else f"{run}-{number}")
        try:
            # Claims the name; renaming a folder onto an empty one replaces it in one step.
            target.mkdir()
        except FileExistsError:
            number += 1
            continue
        os.replace(fill, target)
        return target
