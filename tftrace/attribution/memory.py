"""Who holds each buffer of the allocator: a call site, the model's inputs, or nobody known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tftrace.attribution.hlo.held import share_out
from tftrace.attribution.join import Join
from tftrace.attribution.kernel_owner import OUTSIDE
from tftrace.timeline.arithmetic.intervals import enclosing
from tftrace.timeline.memory import Buffers, find_buffers
from tftrace.timeline.share_out import PIPELINE

Int = npt.NDArray[np.int64]

UNNAMED, INPUTS = -1, -2
"""Holders that are no call site."""

_SMALL = 1 << 18
"""oneDNN's allocator takes what is smaller from the system, uncounted (TensorFlow,
mkl_cpu_allocator.h, kSmallAllocationsThreshold)."""


@dataclass(frozen=True)
class Held:
    """The buffers of a run, each with its holder.

    Attributes:
        join: the trace that has the buffers, joined to the graphs.
        buffers: what the allocator handed out.
        holder: per buffer, a call site (index), `INPUTS` or `UNNAMED`.
        execution: per buffer, the execution that asked for it; -1 where none is known.
        last: per buffer, the execution that used it last: the last to begin on the thread that then
            gave it back; -1 where that is not of the same run of the function.
        shared: call sites that have parts of buffers of XLA.
        unassigned: bytes of the buffers of XLA's calls whose values are not known.
    """

    join: Join
    buffers: Buffers
    holder: Int
    execution: Int
    last: Int
    shared: frozenset[int] = frozenset()
    unassigned: int = 0

    @cached_property
    def weights(self) -> int | None:
        """Bytes of the model's weights that the allocator holds; None where they are not known.

        They were made before the trace, and the allocator rounds none of them up that is counted
        here: they are what the model says.
        """
        known = self.join.run.manifest.model.weights_bytes
        if known is None:
            return None
        if self.buffers.before is None:
            return sum(known)
        return sum(size for size in known if size >= self.smallest)

    @property
    def smallest(self) -> int:
        """Bytes below which a buffer is taken from elsewhere and is in no sum."""
        return _SMALL if self.buffers.allocator == "mklcpu" else 0

    @property
    def base(self) -> int | None:
        """Bytes that were there before the trace and through all of it; where the allocator does
        not count, those of the model and of its optimizers. None where these are not known."""
        if self.buffers.before is not None:
            return self.buffers.lasting
        others = self.join.run.manifest.model.optimizer_bytes
        return None if self.weights is None or others is None else self.weights + others

    @cached_property
    def peak_ps(self) -> int:
        """When, inside the window, the most was held for the first time."""
        window = self.join.window
        time, held = self.buffers.live
        first = max(int(np.searchsorted(time, window.start, side="right")) - 1, 0)
        last = max(int(np.searchsorted(time, window.end, side="left")), first + 1)
        at = first + int(np.argmax(held[first:last]))
        return max(int(time[at]), window.start)

    @cached_property
    def step(self) -> tuple[int, int]:
        """Begin and end of the step that has the peak, in ps; the window where none is marked."""
        runs, window = self.join.runs, self.join.window
        before = runs.start[runs.start <= self.peak_ps]
        if not len(before):
            return window.start, window.end
        begin = int(before.max())
        later = runs.start[runs.start > begin]
        return begin, int(later.min()) if len(later) else window.end

    def at(self, moment: int) -> Int:
        """Which buffers (indices) were held then."""
        b = self.buffers
        return np.flatnonzero((b.start <= moment) & (moment < b.end))


def held(join: Join) -> Held | None:
    """The buffers of the run with their holders; None when its trace shows none."""
    window = join.window
    buffers = find_buffers(join.run.trace, window.start, window.end)
    if buffers is None:
        return None
    execution = _asking(join, buffers)
    of_row = np.array([_holder(join, row) for row in range(len(join.rows))] or [UNNAMED], np.int64)
    row = np.append(join.row_of, -1)[execution]
    holder = np.where(row >= 0, of_row[row], UNNAMED)
    lost = np.flatnonzero(execution < 0)
    named = _by_name(join)
    holder[lost] = [named.get(buffers.op[i], UNNAMED) for i in lost.tolist()]
    last = _last(join, buffers, execution)
    if not (join.xla_calls >= 0).any():
        return Held(join, buffers, holder, execution, last)
    cut = share_out(join, buffers, execution)
    return Held(
        join,
        cut.buffers,
        np.where(cut.site >= 0, cut.site, holder[cut.entry]),
        execution[cut.entry],
        last[cut.entry],
        frozenset(cut.site[cut.site >= 0].tolist()),
        cut.unassigned,
    )


def _asking(join: Join, buffers: Buffers) -> Int:
    """The innermost execution on its thread around each allocation."""
    e = join.executions
    found = np.full(len(buffers), -1, np.int64)
    made = np.flatnonzero(buffers.line >= 0)
    found[made] = enclosing(buffers.line[made], buffers.start[made], e.line, e.start, e.end)
    return found


def _last(join: Join, buffers: Buffers, asking: Int) -> Int:
    """TensorFlow's executor gives a kernel's inputs back right behind it, on its thread."""
    e = join.executions
    found = np.full(len(buffers), -1, np.int64)
    run = np.append(e.run, -1)
    for line in np.unique(buffers.freed_on[buffers.freed_on >= 0]).tolist():
        own = np.flatnonzero(e.line == line)
        own = own[np.argsort(e.start[own], kind="stable")]
        ended = np.flatnonzero(buffers.freed_on == line)
        place = np.searchsorted(e.start[own], buffers.end[ended], side="right") - 1
        found[ended] = np.append(own, -1)[place]
    same = (asking >= 0) & (found >= 0) & (run[asking] == run[found]) & (run[asking] >= 0)
    return np.where(same, found, -1)


def _holder(join: Join, row: int) -> int:
    """Whose the buffers of a row of **ops** are: what a fused kernel makes is whole."""
    found = join.rows[row]
    if found.component == PIPELINE:
        return INPUTS
    return UNNAMED if found.info is None or found.info.layer == OUTSIDE else found.info.layer


def _by_name(join: Join) -> dict[str, int]:
    """Holders by the name of an operation, for those that say the same wherever they run."""
    holders: dict[str, set[int]] = {}
    for number, row in enumerate(join.rows):
        holders.setdefault(row.name, set()).add(_holder(join, number))
    return {name: found.pop() for name, found in holders.items() if len(found) == 1}
