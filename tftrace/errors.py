"""What can go wrong in a way that the user can mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class TftraceError(Exception):
    """A failure with one line that says what to do; the command line exits with code 2."""


class TftraceWarning(UserWarning):
    """The caller's program goes on, but without what tftrace was to do; the text says why."""


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Errors inside are about what that file says, and name it."""
    try:
        yield
    except TftraceError as error:
        if str(path) in str(error):
            raise
        raise TftraceError(f"{path}: {error}") from error
