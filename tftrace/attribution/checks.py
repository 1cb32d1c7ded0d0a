"""What must hold of every run, whatever ran: looked at each time, and said where it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tftrace.attribution.by_name.foreign import ForeignJoin
from tftrace.attribution.join import Join
from tftrace.attribution.provenance import MACHINERY
from tftrace.attribution.rows import OUTSIDE_LAYERS

_ROUNDING = 1e-6
_BORDER = ("_Arg", "_DeviceArg", "_Retval", "_DeviceRetval")
"""Where values enter and leave a function: of the runtime, not of the graph."""


@dataclass(frozen=True)
class Check:
    """One of the checks; ``fault`` is what was found, None where it holds."""

    name: str
    fault: str | None


def checks(join: Join) -> list[Check]:
    """All that apply: a trace from elsewhere has no graph to hold its kernels against."""
    if isinstance(join, ForeignJoin):
        walls = Check(_WALL, _walls_close(join))
        return [walls, *(Check(name, _CHECKS[name](join)) for name in (_OWNED, _TWICE))]
    return [Check(name, look(join)) for name, look in _CHECKS.items()]


def _walls_close(join: ForeignJoin) -> str | None:
    walls: dict[str, float] = {}
    for (device, _), gap in join.gaps.items():
        walls[device] = walls.get(device, 0.0) + gap
    for device, wall in zip(join.row_planes, join.totals.wall, strict=True):
        walls[device] = walls.get(device, 0.0) + float(wall)
    length = join.timeline.length
    off = {device: wall - length for device, wall in walls.items()}
    device, worst = max(off.items(), key=lambda item: abs(item[1]), default=("", 0.0))
    if abs(worst) <= _ROUNDING * max(length, 1):
        return None
    return f"the parts of the wall of {device} differ from it by {worst / 1e9:.6g} ms"


def _wall_closes(join: Join) -> str | None:
    timeline = join.timeline
    total = float(timeline.wall.sum()) + sum(timeline.gaps.values())
    off = total - timeline.length
    if abs(off) <= _ROUNDING * max(timeline.length, 1):
        return None
    return f"the parts of the wall differ from it by {off / 1e9:.6g} ms"


def _all_owned(join: Join) -> str | None:
    without = int((join.row_of < 0).sum())
    return f"{without:,} executions count in no row" if without else None


def _no_more_than_expected(join: Join) -> str | None:
    more = [r for r in join.rows if r.expected is not None and len(r.executions) > r.expected]
    if not more:
        return None
    first = more[0]
    return (
        f"{len(more)} kernels ran more often than the graph has them run, such as {first.name}: "
        f"{len(first.executions):,} times, {first.expected:,} expected"
    )


def _provenance(join: Join) -> str | None:
    ran = join.executions.run >= 0
    missing = [
        row
        for row in join.rows
        if row.info is None
        and row.component == OUTSIDE_LAYERS
        and row.type not in (*MACHINERY, *_BORDER)
        and len(row.executions)
        and bool(ran[row.executions].any())
    ]
    if not missing:
        return None
    return f"{len(missing)} kernels come from no op of the traced graph, such as {missing[0].name}"


def _own_time(join: Join) -> str | None:
    own, e = join.timeline.self, join.executions
    if (own < 0).any():
        return f"{int((own < 0).sum()):,} executions have a negative time of their own"
    order = np.lexsort((e.start, e.line))
    line, start, end = e.line[order], e.start[order], e.end[order]
    for one in np.unique(line):
        which = line == one
        until = np.maximum.accumulate(end[which])
        before = np.r_[start[which][:1], until[:-1]]
        covered = int(np.maximum(until - np.maximum(start[which], before), 0).sum())
        given = int(own[order][which].sum())
        if given > covered * (1 + _ROUNDING):
            return (
                f"executions of a thread have {(given - covered) / 1e9:.6g} ms of their own more "
                "than it was active"
            )
    return None


_WALL = "the wall's parts sum to it"
_OWNED = "every execution counts in a row"
_TWICE = "no time is given twice on a thread"
_CHECKS: dict[str, Callable[[Join], str | None]] = {
    _WALL: _wall_closes,
    _OWNED: _all_owned,
    "no kernel ran more often than expected": _no_more_than_expected,
    "every kernel comes from an op": _provenance,
    _TWICE: _own_time,
}
