"""Buffers that XLA's calls asked for, shared out to the layers whose values lie in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tftrace.attribution.hlo.buffers import Lifetimes, fullest
from tftrace.attribution.join import Join
from tftrace.attribution.kernel_owner import OUTSIDE
from tftrace.parsers.hlo import HloModule
from tftrace.parsers.hlo_buffers import ModuleBuffers, parse_buffers
from tftrace.timeline.memory import Buffers

Int = npt.NDArray[np.int64]

REGION = "xla"
"""Region of the parts of a buffer that a compiled module asked for as one."""


@dataclass(frozen=True)
class SharedOut:
    """Buffers of which those of XLA are cut into parts, each with the call site it is for.

    Attributes:
        buffers: the sums over them at any moment are what they were.
        entry: per buffer, which one (index) it was, or was a part of.
        site: per buffer, its call site; -1 where it is no part, or nobody's.
        unassigned: bytes of buffers of XLA's calls that no module in the trace tells the values of.
    """

    buffers: Buffers
    entry: Int
    site: Int
    unassigned: int


def share_out(join: Join, buffers: Buffers, execution: Int) -> SharedOut:
    """The buffers with those of XLA in parts.

    Args:
        execution: per buffer, the execution that asked for it.
    """
    calls = set(np.unique(join.xla_calls[join.xla_calls >= 0]).tolist())
    parts: dict[int, dict[int, int]] = {}
    unassigned = 0
    known: dict[int, dict[int, list[dict[int, int]]]] = {}
    for number in np.flatnonzero(execution >= 0).tolist():
        call, asked = int(execution[number]), int(buffers.asked[number])
        if call not in calls:
            continue
        by_size = known.setdefault(call, _allocations(join, call))
        if by_size.get(asked):
            parts[number] = by_size[asked].pop(0)
        else:
            unassigned += int(buffers.bytes[number])
    return _cut(buffers, parts, unassigned)


def _allocations(join: Join, call: int) -> dict[int, list[dict[int, int]]]:
    """Of the module that a call ran: bytes by call site in each of its allocations, by size."""
    found = join.compiled(call)
    buffers = None if found is None else parse_buffers(found.data)
    if found is None or buffers is None:
        return {}
    return _sites_of(found.module, buffers, found.sites)


def _sites_of(
    module: HloModule, buffers: ModuleBuffers, sites: Mapping[str, int]
) -> dict[int, list[dict[int, int]]]:
    lifetimes = Lifetimes(module, buffers)
    names = {i.id: i.name for i in module.instructions.values()}
    found: dict[int, list[dict[int, int]]] = {}
    for allocation in buffers.allocations:
        own: dict[int, int] = {}
        for instruction, size in fullest(allocation, lifetimes).items():
            site = sites.get(names.get(instruction, ""), OUTSIDE)
            if site != OUTSIDE:
                own[site] = own.get(site, 0) + size
        found.setdefault(allocation.size, []).append(own)
    return found


def _cut(buffers: Buffers, parts: Mapping[int, Mapping[int, int]], unassigned: int) -> SharedOut:
    """Each buffer with parts as one entry per part, and one for what is left of it."""
    entry, size, site = [], [], []
    for number, whole in enumerate(buffers.bytes.tolist()):
        own = parts.get(number, {})
        rest = whole - sum(own.values())
        for part, bytes_ in (*own.items(), (OUTSIDE, rest)) if rest or not own else own.items():
            entry.append(number)
            size.append(bytes_)
            site.append(part)
    which = np.array(entry, np.int64)
    cut = np.isin(which, np.array(list(parts), np.int64))
    regions = [REGION if c else buffers.region[n] for n, c in zip(entry, cut.tolist(), strict=True)]
    taken = replace(
        buffers,
        line=buffers.line[which],
        start=buffers.start[which],
        end=buffers.end[which],
        bytes=np.array(size, np.int64),
        asked=buffers.asked[which],
        op=[buffers.op[n] for n in entry],
        dtype=np.where(cut, 0, buffers.dtype[which]),
        region=regions,
        freed_on=buffers.freed_on[which],
    )
    return SharedOut(taken, which, np.array(site, np.int64), unassigned)
