"""One profiler session: started safely, always stopped, its trace moved in whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from tftrace.errors import TftraceError
from tftrace.tracer.tf_private import record_every_op

WINDOW = "tftrace window"
STEP = "tftrace step"


@dataclass
class Session:
    """A running capture; ``trace`` is the trace file once the block has ended.

    ``level`` is the recording level that was really in force (2 or 3), ``level_note`` why it is
    not the one asked for.
    """

    level: int = 2
    level_note: str | None = None
    trace: Path | None = None


@contextmanager
def profiler_session(scratch: Path, all_ops: bool = False) -> Iterator[Session]:
    """Trace everything that runs inside the block into the empty folder ``scratch``.

    The session is stopped whatever happens inside.

    Raises:
        TftraceError: another session runs, or no trace came out.
    """
    session = Session()
    try:
        # A pathlib.Path is refused, '' traces into nowhere and None kills the process.
        tf.profiler.experimental.start(str(scratch))
    except tf.errors.AlreadyExistsError:
        raise TftraceError(
            "a profiler session is already running in this process; stop it first"
        ) from None
    try:
        if all_ops:
            session.level_note = record_every_op()
            session.level = 2 if session.level_note else 3
        yield session
    finally:
        tf.profiler.experimental.stop()
    session.trace = next(scratch.glob("plugins/profile/*/*.xplane.pb"), None)
    if session.trace is None or session.trace.stat().st_size == 0:
        raise TftraceError("the profiler wrote no trace; is another profiler attached?")


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
