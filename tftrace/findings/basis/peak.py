"""What the peak of a step's memory would be, had its buffers other sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from tftrace.findings.basis.evidence import Evidence
from tftrace.graph.kernel_types import plain_type


class Buffer(NamedTuple):
    """A row of **buffers**: the names there, None for null; ``place`` is its number."""

    place: int
    path: str
    op: str | None
    op_type: str | None
    phase: str | None
    region: str | None
    dtype: str | None
    last_reader: str | None
    last_phase: str | None
    next_reader: str | None
    asked_bytes: int | None
    held_bytes: int
    start_ms: float | None
    end_ms: float | None
    waits_ms: float | None
    at_peak: bool

    @property
    def plain_type(self) -> str | None:
        """What the kernel that made it computes, whatever it is called."""
        return None if self.op_type is None else plain_type(self.op_type)


@dataclass(frozen=True, eq=False)
class Peak:
    """The step of a run that has its peak.

    Attributes:
        buffers: all that were held in it.
        layers: paths of **layers**; other holders are the inputs, the weights, and the unnamed.
    """

    buffers: list[Buffer]
    layers: frozenset[str]

    @property
    def bytes(self) -> int:
        """Held at the peak."""
        return sum(b.held_bytes for b in self.held)

    @property
    def held(self) -> list[Buffer]:
        """The buffers of the peak."""
        return [b for b in self.buffers if b.at_peak]

    @property
    def of_layers(self) -> list[Buffer]:
        """Those of the peak that a layer made, and that the allocator knows: the parts of XLA's
        make room for each other, so that without one of them nothing need be smaller."""
        return [b for b in self.held if b.path in self.layers and b.region != "xla"]

    def saving(self, some: Sequence[Buffer], kept: float = 0.0) -> int:
        """Bytes by which the peak of the step would be lower, had ``some`` the part ``kept`` of
        their size: another moment of the step is the peak then."""
        return self._less(np.array([b.held_bytes for b in self.buffers], float), some, kept)

    def saving_of_asked(self, some: Sequence[Buffer]) -> int:
        """The same without ``some``, of what was asked for: an allocator may keep twice that for a
        buffer, by the blocks that it happens to have."""
        size = [b.held_bytes if b.asked_bytes is None else b.asked_bytes for b in self.buffers]
        return self._less(np.array(size, float), some, 0.0)

    def _less(self, size: npt.NDArray[np.float64], some: Sequence[Buffer], kept: float) -> int:
        before = _most(self._start, self._end, size)
        size[[b.place for b in some]] *= kept
        return int(before - _most(self._start, self._end, size))

    @property
    def _start(self) -> npt.NDArray[np.float64]:
        return np.array([-np.inf if b.start_ms is None else b.start_ms for b in self.buffers])

    @property
    def _end(self) -> npt.NDArray[np.float64]:
        return np.array([np.inf if b.end_ms is None else b.end_ms for b in self.buffers])


def peak_of(profile: Evidence) -> Peak | None:
    """The peak of a run; None where its memory was not noted."""
    table = profile.buffers
    if not len(table):
        return None
    plain = table.astype(object).where(table.notna(), None)[list(Buffer._fields[1:])]
    rows = [Buffer(n, *row) for n, row in enumerate(plain.itertuples(index=False, name=None))]
    return Peak(rows, frozenset(map(str, pd.unique(profile.layers["path"]))))


def _most(
    start: npt.NDArray[np.float64], end: npt.NDArray[np.float64], size: npt.NDArray[np.float64]
) -> float:
    """The most held at once; what ends at a moment makes room for what begins then."""
    time = np.concatenate([end, start])
    order = np.argsort(time, kind="stable")
    return float(np.cumsum(np.concatenate([-size, size])[order]).max())
