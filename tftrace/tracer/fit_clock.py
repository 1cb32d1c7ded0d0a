"""A clock for ``fit``: each nanosecond goes to one part of one epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from threading import get_ident
from typing import Any

import msgspec

from tftrace.runs.epochs import (
    AFTER,
    AFTER_STEPS,
    BEFORE,
    BEFORE_STEPS,
    BETWEEN_STEPS,
    CALLBACKS,
    STEPS,
    VALIDATION,
    EpochPart,
    Epochs,
)
from tftrace.tracer.keras_private import callbacks_told

_NO_HOOKS = "it called no hooks of callbacks of Keras 3, by which its epochs would be told"
_HIDDEN = "all of them together: this release of Keras does not show which of them runs"


@dataclass
class _Part:
    """What one part of an epoch took so far, ns; ``each`` of the steps."""

    ns: int = 0
    calls: int = 0
    each: list[int] = field(default_factory=list)


class FitClock:
    """Gives each nanosecond of the thread of a ``fit`` to one part of one epoch.

    What a callback does, whatever it calls, is the callback's.
    """

    def __init__(self) -> None:
        self._thread = get_ident()
        self._parts: dict[tuple[int | None, str], _Part] = {}
        self._epoch: int | None = None
        self._stack = [BEFORE]
        self._list: Any = None
        self._names: dict[int, str] = {}
        self._give_back: Callable[[], None] | None = None
        self._by_hook = False
        self._stopped = False
        self._last = time.perf_counter_ns()
        self._step_began = 0
        self._first_of_call = 0
        self._per_call = 1

    def stop(self) -> None:
        """The ``fit`` has ended, one way or the other; a second time, nothing more happens."""
        if not self._stopped:
            self._charge()
        self._stopped = True
        if self._give_back is not None:
            self._give_back()

    def epochs(self, of: str) -> Epochs:
        """What it saw, in the order in which it came."""
        if self._list is None:
            return Epochs(of, reason=_NO_HOOKS)
        notes = {}
        if self._give_back is None:
            notes[CALLBACKS] = _HIDDEN
        if self._per_call > 1:
            notes[STEPS] = f"{STEPS} by the call: each runs up to {self._per_call} of them"
        parts = [
            EpochPart(
                epoch=epoch,
                part=name,
                calls=1 if name in _BASES else part.calls,
                ns=part.ns,
                median_ns=median(part.each) if part.each else None,
                first_ns=part.each[0] if part.each else None,
            )
            for (epoch, name), part in self._parts.items()
            if part.calls or part.ns
        ]
        return Epochs(of, parts, notes=notes)

    @contextmanager
    def validating(self) -> Iterator[None]:
        """The block is the evaluation at the end of an epoch."""
        if not self._outside():
            yield
            return
        self._leave_step()
        self._begin(VALIDATION)
        try:
            yield
        finally:
            self._end()

    def hook(self, callbacks: Any, name: str, args: Any, run: Callable[[], Any]) -> Any:
        """Run the hook ``name`` of a list of callbacks."""
        if not self._concerns(callbacks):
            return run()
        if name == "on_train_batch_end":
            self._end_step(int(args[0]))
        self._leave_step()
        if name == "on_epoch_begin":
            self._begin_epoch(int(args[0]))
        if name == "on_train_batch_begin":
            self._charge()
            self._turns_out(AFTER_STEPS, self._epoch, BETWEEN_STEPS)
            self._first_of_call = int(args[0])
        if name == "on_test_begin" and self._outside():
            self._by_hook = True
            self._begin(VALIDATION)
        self._begin(CALLBACKS)
        try:
            return run()
        finally:
            self._end()
            if name == "on_test_end" and self._by_hook:
                self._by_hook = False
                self._end()
            if name == "on_epoch_end":
                self._end_epoch()
            if name == "on_train_batch_begin":
                self._begin(STEPS)
                self._step_began = self._last

    def _concerns(self, callbacks: Any) -> bool:
        """Whether it is the list of this ``fit``, called by the ``fit`` itself."""
        if get_ident() != self._thread or self._stack[-1] not in (*_BASES, STEPS, VALIDATION):
            return False
        if self._list is None:
            self._list = callbacks
            self._give_back = callbacks_told(callbacks, self._callback_begins, self._callback_ends)
        return self._list is callbacks

    def _callback_begins(self, callback: Any) -> bool:
        if get_ident() != self._thread or self._stack[-1] != CALLBACKS:
            return False  # somebody else goes through the list
        self._begin(self._name(callback))
        return True

    def _callback_ends(self, callback: Any) -> None:
        self._end()

    def _name(self, callback: Any) -> str:
        """Its class; with a number where it is not the first of its class in the list."""
        if id(callback) not in self._names:
            kind = type(callback).__name__
            before = [name for name in self._names.values() if name.partition("#")[0] == kind]
            self._names[id(callback)] = f"{kind}#{len(before) + 1}" if before else kind
        return self._names[id(callback)]

    def _outside(self) -> bool:
        return get_ident() == self._thread and self._stack[-1] in (*_BASES, STEPS)

    def _begin_epoch(self, number: int) -> None:
        self._charge()
        self._turns_out(AFTER, number, BEFORE_STEPS)
        self._epoch, self._stack = number, [BEFORE_STEPS]

    def _end_epoch(self) -> None:
        self._charge()
        self._epoch, self._stack = None, [AFTER]

    def _turns_out(self, last: str, epoch: int | None, name: str) -> None:
        """What came after the ``last`` of something so far was not: it is of ``name``."""
        found = self._parts.pop((self._epoch, last), None)
        if found is not None:
            self._parts.setdefault((epoch, name), _Part()).ns += found.ns

    def _end_step(self, number: int) -> None:
        self._per_call = max(self._per_call, number - self._first_of_call + 1)
        if self._stack[-1] == STEPS:
            self._part(STEPS).each.append(self._end() - self._step_began)
            self._stack = [AFTER_STEPS]

    def _leave_step(self) -> None:
        """A step that did not come to its end found that there was no more data."""
        if self._stack[-1] == STEPS:
            self._part(STEPS).calls -= 1
            self._stack = [AFTER_STEPS]

    def _begin(self, name: str) -> None:
        self._charge()
        self._stack.append(name)
        self._part(name).calls += 1

    def _end(self) -> int:
        self._charge()
        self._stack.pop()
        return self._last

    def _charge(self) -> None:
        now = time.perf_counter_ns()
        self._part(self._stack[-1]).ns += now - self._last
        self._last = now

    def _part(self, name: str) -> _Part:
        return self._parts.setdefault((self._epoch, name), _Part())


_BASES = (BEFORE, BEFORE_STEPS, BETWEEN_STEPS, AFTER_STEPS, AFTER)


def joined(passes: list[Epochs]) -> Epochs:
    """Passes of one epoch each, at least one, as the epochs 0, 1, … of one table; what lies
    outside of epochs is summed."""
    parts: dict[tuple[int | None, str], EpochPart] = {}
    for number, each in enumerate(passes):
        for part in each.parts:
            epoch = None if part.epoch is None else number
            known = parts.get((epoch, part.part))
            parts[epoch, part.part] = msgspec.structs.replace(
                part,
                epoch=epoch,
                calls=part.calls + (known.calls if known else 0),
                ns=part.ns + (known.ns if known else 0),
            )
    return msgspec.structs.replace(passes[0], parts=list(parts.values()))
