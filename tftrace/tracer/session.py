"""One profiler session: started safely, always stopped, its trace moved in whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from tftrace.errors import TftraceError
from tftrace.runs.names import TRACE
from tftrace.tracer.tf_private import profiler_is_open, record_every_op
from tftrace.undo import MEASURING

_BUSY = "a profiler session is already running in this process; stop it first"


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

    The profiler is idle afterwards, whatever happens inside, while it starts or while it stops.

    Raises:
        TftraceError: another session runs, or no trace came out.
    """
    session = Session()
    opened = profiler_is_open()
    if opened:
        raise TftraceError(_BUSY)
    ours = True

    def discard() -> None:
        # TensorFlow forgets a session that was interrupted only when it is told to.
        if ours:
            with suppress(tf.errors.UnavailableError):
                tf.profiler.experimental.stop(save=False)

    with MEASURING.undone(discard):
        try:
            # A pathlib.Path is refused, '' traces into nowhere and None kills the process.
            tf.profiler.experimental.start(str(scratch))
        except tf.errors.AlreadyExistsError:
            # Of a profiler server, say: then TensorFlow keeps the session that did not start.
            ours = opened is False
            raise TftraceError(_BUSY) from None
        if all_ops:
            session.level_note = record_every_op()
            session.level = 2 if session.level_note else 3
        yield session
        try:
            tf.profiler.experimental.stop()
        except tf.errors.OpError as error:
            raise TftraceError(f"the profiler cannot write its trace: {error.message}") from error
    session.trace = next(scratch.glob(f"plugins/profile/*/*{TRACE}"), None)
    if session.trace is None or session.trace.stat().st_size == 0:
        raise TftraceError("the profiler wrote no trace; is another profiler attached?")
