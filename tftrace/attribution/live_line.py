"""The bytes held over time, on the clock of the trace that was timed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

from tftrace.attribution.join import Join
from tftrace.attribution.memory import Held

Int = npt.NDArray[np.int64]


def live_line(join: Join, found: Held) -> tuple[Int, Int]:
    """(time, bytes held from then on) inside the window, in order of time; the first at its begin.

    Times are ps since the base of ``join``'s trace. Where the allocator noted a pass of its own,
    its moments are put between the same kernels of the timed pass.
    """
    time, held = found.buffers.live
    if found.buffers.before is None:
        held = held + (found.base or 0)
    noted, timed = found.join.window, join.window
    if found.join.run.trace_path == join.run.trace_path:
        begin, end = timed.start, timed.end
        moved = time
    else:
        theirs, ours = _anchors(found.join, join)
        theirs = np.r_[noted.start, theirs, noted.end]
        ours = np.r_[timed.start, ours, timed.end]
        begin, end = noted.start, noted.end
        moved = np.interp(time, theirs, ours).astype(np.int64)
    first = max(int(np.searchsorted(time, begin, side="right")) - 1, 0)
    last = max(int(np.searchsorted(time, end, side="left")), first + 1)
    moved = np.maximum(moved[first:last], timed.start)
    # Of what changes at one moment, the last is what holds from then on.
    kept = np.append(np.diff(moved) > 0, True)
    return moved[kept], held[first:last][kept]


def _anchors(noted: Join, timed: Join) -> tuple[Int, Int]:
    """When the same kernels of the same steps began in either pass, in order of both."""
    ours = _begun(timed)
    pairs = [(start, ours[key]) for key, start in _begun(noted).items() if key in ours]
    both = np.array(sorted(pairs) or np.empty((0, 2)), np.int64)
    # Kernels that ran at once may have begun in another order.
    return both[:, 0], np.maximum.accumulate(both[:, 1])


def _begun(join: Join) -> dict[tuple[str, int, int], int]:
    """Begin of each execution by name of the kernel, number of the step, and which it is there."""
    e = join.executions
    inside = np.flatnonzero(e.run >= 0)
    inside = inside[np.argsort(e.start[inside], kind="stable")]
    seen: Counter[tuple[str, int]] = Counter()
    found = {}
    for kind, run, start in zip(
        e.kind[inside].tolist(), e.run[inside].tolist(), e.start[inside].tolist(), strict=True
    ):
        name = e.ops[kind]
        found[name, run, seen[name, run]] = start
        seen[name, run] += 1
    return found
