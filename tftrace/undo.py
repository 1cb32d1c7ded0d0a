"""What is changed for the time of a block, and undone whatever happens.

An interrupt may come at any line, in a ``finally`` too. So how to undo a change is noted before it
is made: it is done where the block ends; if that was cut short, where the outermost block of the
thread ends; and if that was cut short as well, before the next change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, get_ident

from tftrace.errors import TftraceError


class Turn:
    """One thread at a time changes something of the process.

    Another thread waits for its turn; with ``refusal`` it gets that as an error instead, which is
    for turns that last as long as the caller's own code.
    """

    def __init__(self, refusal: str | None = None) -> None:
        self._refusal = refusal
        self._lock = Lock()
        self._thread: int | None = None
        self._undo: list[Callable[[], None]] = []

    def mine(self) -> bool:
        """Whether it is the calling thread's turn."""
        return self._lock.locked() and self._thread == get_ident()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have the turn for the block; a thread that has it already goes on.

        Raises:
            TftraceError: another thread has it, and is not waited for.
        """
        if self.mine():
            yield
            return
        if self._refusal is not None and self._lock.locked():
            raise TftraceError(self._refusal)
        with self._lock:
            self._thread = get_ident()
            try:
                self._settle(0)
                yield
            finally:
                self._settle(0)
                self._thread = None

    @contextmanager
    def undone(self, undo: Callable[[], None]) -> Iterator[None]:
        """Call ``undo`` when the block ends. It may be called twice, and before the change."""
        with self.taken():
            outer = len(self._undo)
            try:
                self._undo.append(undo)
                yield
            finally:
                self._settle(outer)

    def _settle(self, outer: int) -> None:
        """Undo, the latest first, all but the changes of so many outer blocks."""
        while len(self._undo) > outer:
            try:
                self._undo[-1]()
            except Exception:
                self._undo.pop()
                raise
            # Only now, so that what an interrupt cuts short is done again.
            self._undo.pop()


MEASURING = Turn()
"""Of whoever traces, measures or writes: Keras's classes, the profiler, scratch folders."""
