"""Which kernels use a buffer, and whether one does at the moment of the peak."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tftrace.attribution.function import Function
from tftrace.attribution.kernel_owner import OUTSIDE
from tftrace.attribution.memory import Held

Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Wait:
    """A stretch around the peak in which a buffer was held and no kernel used it.

    ``site`` is the call site whose operation used it first behind the peak, -1 for none; times in
    ps.
    """

    start: int
    end: int
    site: int


class Readers:
    """The kernels of the peak's step, by what they compute in the graph that was traced."""

    def __init__(self, found: Held) -> None:
        join, e = found.join, found.join.executions
        self._found = found
        begin, end = found.step
        inside = np.flatnonzero((e.start >= begin) & (e.start < end) & (e.run >= 0))
        runs = np.unique(e.run[inside])
        names = {join.runs.function[run] for run in runs.tolist()}
        own = [f for f in join.functions if f.name is None or f.name in names]
        self._function: Function | None = own[0] if len(own) == 1 else None
        self._executions: dict[int, list[int]] = defaultdict(list)
        for execution, row in zip(inside.tolist(), join.row_of[inside].tolist(), strict=True):
            self._executions[row].append(execution)
        # What asks for no buffer writes over its input, or hands it on.
        self._makes = set(found.execution.tolist())
        self._rows: dict[int, list[int]] = defaultdict(list)
        self._consumers: dict[int, list[int]] = defaultdict(list)
        if self._function is None:
            return
        for row in self._executions:
            for op in self._members(row):
                self._rows[op].append(row)
        for reader, sources in enumerate(self._function.ops.inputs):
            for source in sources if self._function.ops.live[reader] else ():
                self._consumers[source].append(reader)

    def wait(self, buffer: int) -> Wait | None:
        """How a buffer waits at the peak; None where a kernel uses it then, where nothing uses it
        later, and where it is not known what does."""
        e, peak = self._found.join.executions, self._found.peak_ps
        maker = int(self._found.execution[buffer])
        row = -1 if maker < 0 else int(self._found.join.row_of[maker])
        if row < 0 or e.end[maker] > peak:
            return None
        owners = self._users(row)
        users = np.array(sorted(owners), np.int64)
        users = users[e.start[users] >= e.end[maker]] if len(users) else users
        if not len(users) or ((e.start[users] <= peak) & (peak < e.end[users])).any():
            return None
        later = users[e.start[users] > peak]
        if not len(later):
            return None
        first = int(later[np.argmin(e.start[later])])
        before = e.end[users][e.end[users] <= peak]
        since = max(int(e.end[maker]), int(before.max()) if len(before) else 0)
        return Wait(since, int(e.start[first]), owners[first])

    def _users(self, row: int) -> dict[int, int]:
        """The executions that read what the kernels of a row made, and what lies in its buffer:
        each with the owner of the operation that does. A fused kernel bears another's name."""
        found: dict[int, int] = {}
        if self._function is None:
            return found
        seen = set(self._members(row))
        todo = list(seen)
        for op in todo:
            for reader in self._consumers[op]:
                if reader in seen:
                    continue
                seen.add(reader)
                rows = self._rows.get(reader, ())
                own = [x for r in rows for x in self._executions[r]]
                found |= {x: self._function.owner[reader] for x in own if x not in found}
                if not self._makes.intersection(own):
                    further = {op for r in rows for op in self._members(r)} | {reader}
                    todo += [reader, *(further - seen)]
                    seen |= further
        return found

    def _members(self, row: int) -> list[int]:
        info = self._found.join.rows[row].info if row >= 0 else None
        if info is None or info.layer == OUTSIDE or self._function is None:
            return []
        index = self._function.index
        return [index[key] for key in info.members if key in index]
