"""The compiled loops over all events, or all executions, of a trace."""

from __future__ import annotations

from tftrace.native.jit import loop
from tftrace.native.language import Float64s, Int, Int8s, Int32s, Int64s


@loop
def collect(
    n: Int,
    chosen: Int8s,
    low: Int,
    high: Int,
    line: Int32s,
    start: Int64s,
    duration: Int64s,
    event: Int32s,
    on: Int32s,
    begin: Int64s,
    end: Int64s,
) -> Int:
    """Fill `event`, `on` (the line), `begin` and `end` with the chosen events that start in the
    window [low, high); returns how many there are.
    """
    count = 0
    for i in range(n):
        if chosen[i] != 0 and low <= start[i] < high:
            event[count] = i
            on[count] = line[i]
            begin[count] = start[i]
            end[count] = start[i] + duration[i]
            count += 1
    return count


@loop
def sort_by_rank(n: Int, rank: Int32s, place: Int64s, order: Int32s) -> Int:
    """Fill `order` with the entries by rank, those of one rank in order; `place` has where each
    rank begins, and is used up.
    """
    for i in range(n):
        order[place[rank[i]]] = i
        place[rank[i]] += 1
    return 0


@loop
def extents(n: Int, group: Int32s, start: Int64s, end: Int64s, first: Int64s, last: Int64s) -> Int:
    """Lower `first` and raise `last` of every group to its earliest start and latest end.

    An interval whose group is negative has none.
    """
    for i in range(n):
        at = group[i]
        if at >= 0:
            first[at] = min(first[at], start[i])
            last[at] = max(last[at], end[i])
    return 0


@loop
def add_up(
    n: Int,
    row: Int32s,
    wall: Float64s,
    start: Int64s,
    until: Int64s,
    own: Int64s,
    wall_total: Float64s,
    busy_total: Int64s,
    own_total: Int64s,
) -> Int:
    """Add the times of every execution to the totals of its row, unless that is negative."""
    for i in range(n):
        if row[i] >= 0:
            wall_total[row[i]] += wall[i]
            busy_total[row[i]] += until[i] - start[i]
            own_total[row[i]] += own[i]
    return 0
