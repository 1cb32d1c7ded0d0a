"""Where the wall time of ``fit`` went, epoch by epoch, as the manifest has it."""

from __future__ import annotations

import msgspec

from tftrace.runs.numbers import Amount, Count

STEPS = "train steps"
VALIDATION = "validation"
CALLBACKS = "CallbackList"
"""What Keras does to run the callbacks: it turns logs into numbers, for one."""
BEFORE_STEPS = "before the first step"
BETWEEN_STEPS = "between steps"
AFTER_STEPS = "after the last step"
BEFORE = "before the first epoch"
AFTER = "after the last epoch"
"""What nothing else has, by when it was: around steps the data is made ready, and its end found."""


class EpochPart(msgspec.Struct, frozen=True):
    """What one part of an epoch took, exclusive of the others: together they are the ``fit``.

    Attributes:
        epoch: Keras's number of it; None outside of epochs.
        part: one of the constants above, or the class of a callback, with ``#2`` where there are
            several of it.
        calls: steps, evaluations, hooks of the callback, or 1.
        ns: wall time on the thread of the ``fit``.
        median_ns, first_ns: of single steps; None for all else.
    """

    epoch: Count | None
    part: str
    calls: Count
    ns: Count
    median_ns: Amount | None = None
    first_ns: Count | None = None


class Epochs(msgspec.Struct, frozen=True):
    """The parts of the caller's own ``fit``, or of the untraced passes of a run, of one epoch each;
    without any, ``reason`` says why."""

    of: str
    parts: list[EpochPart] = []
    reason: str | None = None
    notes: dict[str, str] = {}
    """By part, what there is to know of it."""


OF_CALLER = "the caller's fit"
OF_PASSES = "untraced passes"
