"""Where a finished run goes."""

from __future__ import annotations

import os
from pathlib import Path

from tftrace.errors import TftraceError
from tftrace.files import require_folder, to_disk


def require_place(out: Path) -> None:
    """Fail now if no run can be put below ``out``.

    Raises:
        TftraceError: a file is in the way, or a folder may not be written.
    """
    try:
        require_folder(out / "plugins" / "profile")
    except TftraceError as error:
        raise TftraceError(f"{error}; choose another folder with --out") from None


def new_run_folder(out: Path, run: str, fill: Path) -> Path:
    """Move the finished folder ``fill`` to ``out/plugins/profile/<run>``, never over another.

    Returns: the run folder. A taken name gets ``-2``, ``-3``, …
    """
    runs = out / "plugins" / "profile"
    runs.mkdir(parents=True, exist_ok=True)
    to_disk(fill)
    number = 1
    while True:
        target = runs / (run if number == 1 else f"{run}-{number}")
        try:
            # One step; a folder of that name that holds anything is in its way.
            os.rename(fill, target)
        except OSError:
            if not target.exists():
                raise
            number += 1
            continue
        return target
