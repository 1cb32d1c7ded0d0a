"""Work per call site: what the mathematics needs and what is executed, over the whole batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tftrace.counts.boundary import boundary_bytes
from tftrace.counts.count import OpCount
from tftrace.counts.flow import Flow
from tftrace.graph.phases import BACKWARD, OPTIMIZER, phase_of


@dataclass(frozen=True, slots=True)
class LayerCount:
    """Work of the operations that one call site made itself; None where unknown.

    ``mults, macs, flops, transcendentals`` and ``bytes`` are what the mathematics needs;
    ``bytes`` are the layer's inputs, outputs and weights once. What ends in ``_executed`` is what
    is executed. All this is of the forward pass; ``mults_backward`` and ``macs_backward`` are what
    the mathematics of the layer's gradients needs. What the optimizer does is in neither.
    ``notes`` say what differs and why something is unknown.
    """

    mults: int | None
    macs: int | None
    flops: int | None
    transcendentals: int | None
    bytes: int | None
    mults_executed: int | None
    macs_executed: int | None
    bytes_executed: int | None
    mults_backward: int | None = 0
    macs_backward: int | None = 0
    notes: tuple[str, ...] = ()


def layer_counts(flow: Flow, counts: Sequence[OpCount]) -> dict[str | None, LayerCount]:
    """Work by owner (a call site's path, None for operations outside the model)."""
    groups: dict[str | None, list[OpCount]] = defaultdict(list)
    backward: dict[str | None, list[OpCount]] = defaultdict(list)
    for count in counts:
        phase = phase_of(flow.ops[count.key].phase)
        if not count.live or phase == OPTIMIZER:
            continue
        (backward if phase == BACKWARD else groups)[count.owner].append(count)
    needed_bytes = boundary_bytes(flow)
    return {
        owner: LayerCount(
            mults=total((c.times, c.needed.mults) for c in group),
            macs=total((c.times, c.needed.macs) for c in group),
            flops=total((c.times, c.needed.flops) for c in group),
            transcendentals=total((c.times, c.needed.transcendentals) for c in group),
            bytes=needed_bytes.get(owner, 0),
            mults_executed=total((c.times, c.work.mults) for c in group),
            macs_executed=total((c.times, c.work.macs) for c in group),
            bytes_executed=total((c.times, c.work.bytes) for c in group),
            mults_backward=total((c.times, c.needed.mults) for c in backward[owner]),
            macs_backward=total((c.times, c.needed.macs) for c in backward[owner]),
            notes=_notes((*group, *backward[owner])),
        )
        for owner, group in groups.items()
    }


def _notes(counts: Iterable[OpCount]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(c.note for c in counts if c.note and _telling(c)))


def _telling(count: OpCount) -> bool:
    """Whether the operation's note explains a number of its layer."""
    return count.times is None or count.work.reason is not None or count.work != count.needed


def total(parts: Iterable[tuple[int | None, int | None]]) -> int | None:
    """Sum of ``times * work``; no work is none however often, else None if either is unknown."""
    result = 0
    for times, work in parts:
        if work == 0:
            continue
        if times is None or work is None:
            return None
        result += times * work
    return result
