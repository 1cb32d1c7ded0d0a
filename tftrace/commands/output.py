"""Standard output and error that may be gone, or full."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TextIO


class OutputError(Exception):
    """Nothing can be written to standard output any more."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(f"cannot write to standard output: {cause.strerror}")
        self.closed = cause.errno == errno.EPIPE
        """Whether who read it has had enough."""


class _Stream(io.FileIO):
    """A descriptor that fails once, or never (``silent``), and then swallows what it is given.

    The interpreter flushes standard output when it ends, and would fail again.
    """

    def __init__(self, descriptor: int, silent: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._silent = silent
        self._failed = False

    def write(self, data: object) -> int:
        """As any file does, with another error."""
        size = memoryview(data).nbytes  # type: ignore[arg-type]
        if self._failed:
            return size
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            self._failed = True
            if self._silent:
                return size
            raise OutputError(error) from None


def guard_output() -> None:
    """Have standard output raise `OutputError`, and standard error nothing.

    A name that the terminal's encoding cannot show is no reason to fail either.
    """
    sys.stdout = _guarded(sys.stdout, silent=False)
    sys.stderr = _guarded(sys.stderr, silent=True)


def _guarded(stream: TextIO | None, silent: bool) -> TextIO:
    if stream is None:  # it was closed before the process began
        return open(os.devnull, "w")
    if not isinstance(stream, io.TextIOWrapper):  # somebody's own
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Stream(stream.fileno(), silent)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=silent or stream.isatty(),
    )
