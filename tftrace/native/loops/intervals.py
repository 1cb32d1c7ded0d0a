"""The compiled loops of `intervals`: one pass each over `n` intervals in `order`.

`order` sorts intervals by line, start, longest first, index: an enclosing interval comes before
what it encloses. Every loop keeps the intervals that are open on the line on a stack; the one on
top, the latest to start, is the innermost. `stack` is room for it, as long as there are intervals.
"""

from __future__ import annotations

import numpy as np

from tftrace.native.jit import loop
from tftrace.native.language import Int, Int8s, Int32s, Int64s, inlined


@loop
def is_ordered(n: Int, line: Int32s, start: Int64s, end: Int64s) -> Int:
    """Whether intervals are in order as they are."""
    for i in range(1, n):
        if line[i] < line[i - 1]:
            return 0
        if line[i] == line[i - 1]:
            if start[i] < start[i - 1]:
                return 0
            if start[i] == start[i - 1] and end[i] > end[i - 1]:
                return 0
    return 1


@loop
def segments(
    n: Int,
    order: Int64s,
    line: Int32s,
    start: Int64s,
    end: Int64s,
    stack: Int64s,
    owner: Int64s,
    first: Int64s,
    last: Int64s,
) -> Int:
    """Fill `owner`, `first`, `last` with the segments in which each interval is innermost.

    Returns how many there are, at most 2 n.
    """
    depth = 0
    count = 0
    now = np.int64(0)
    for place in range(n + 1):
        following = order[place] if place < n else -1
        ends_line = following < 0 or (depth > 0 and line[stack[depth - 1]] != line[following])
        while depth > 0 and (ends_line or now < start[following]):
            top = stack[depth - 1]
            until = end[top]
            if not ends_line and start[following] < until:
                until = start[following]
            if until > now:
                owner[count] = top
                first[count] = now
                last[count] = until
                count += 1
                now = until
            if end[top] <= now:
                depth -= 1
            else:
                break
        if following >= 0:
            now = start[following]
            stack[depth] = following
            depth += 1
    return count


@loop
def parents(
    n: Int,
    order: Int64s,
    line: Int32s,
    start: Int64s,
    end: Int64s,
    stack: Int64s,
    parent: Int64s,
) -> Int:
    """Fill `parent` with the innermost interval that contains each interval whole, or -1."""
    depth = 0
    for at in range(n):
        this = order[at]
        while depth > 0 and (
            line[stack[depth - 1]] != line[this] or end[stack[depth - 1]] < start[this]
        ):
            depth -= 1
        parent[this] = -1
        for place in range(depth - 1, -1, -1):
            if end[stack[place]] >= end[this]:
                parent[this] = stack[place]
                break
        stack[depth] = this
        depth += 1
    return 0


@loop
def enclosing(
    n_points: Int,
    point_order: Int64s,
    point_line: Int32s,
    point_time: Int64s,
    n: Int,
    order: Int64s,
    line: Int32s,
    start: Int64s,
    end: Int64s,
    stack: Int64s,
    found: Int64s,
) -> Int:
    """Fill `found` with the innermost interval at each point, or -1; points in their order."""
    depth = 0
    place = 0
    for at in range(n_points):
        point = point_order[at]
        on, now = point_line[point], point_time[point]
        while place < n:
            following = order[place]
            if line[following] > on or (line[following] == on and start[following] > now):
                break
            while depth > 0 and (
                line[stack[depth - 1]] != line[following]
                or end[stack[depth - 1]] <= start[following]
            ):
                depth -= 1
            stack[depth] = following
            depth += 1
            place += 1
        while depth > 0 and (line[stack[depth - 1]] != on or end[stack[depth - 1]] <= now):
            depth -= 1
        found[point] = stack[depth - 1] if depth > 0 else -1
    return 0


@loop
def match_unique_ids(
    n: Int, identity: Int64s, table: Int32s, mask: Int, n_asked: Int, asked: Int64s, found: Int64s
) -> Int:
    """Fill `found` with the index of each asked id, or -1. Returns 0 if an id is there twice.

    `table`, a hash table of `mask` + 1 places (a power of 2, at least 2 n), is full of -1.
    """
    for i in range(n):
        place = _hash(identity[i]) & mask
        while table[place] >= 0:
            if identity[table[place]] == identity[i]:
                return 0
            place = (place + 1) & mask
        table[place] = i
    for i in range(n_asked):
        place = _hash(asked[i]) & mask
        while table[place] >= 0 and identity[table[place]] != asked[i]:
            place = (place + 1) & mask
        found[i] = table[place]
    return 1


@inlined
def _hash(identity):  # type: ignore[no-untyped-def]
    """Multiplicative hashing, the upper half of the product: ids may be small numbers."""
    return np.int64((np.uint64(identity) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32))


@loop
def match_ids(
    n: Int,
    by_id: Int64s,
    identity: Int64s,
    time: Int64s,
    n_asked: Int,
    asked_by_id: Int64s,
    asked: Int64s,
    asked_time: Int64s,
    found: Int64s,
) -> Int:
    """Fill `found` with the latest of those with the asked id that is not later, or the earliest.

    `by_id`, `asked_by_id` order both sides by id, then time.
    """
    low = 0
    for at in range(n_asked):
        ask = asked_by_id[at]
        while low < n and identity[by_id[low]] < asked[ask]:
            low += 1
        found[ask] = -1
        if low < n and identity[by_id[low]] == asked[ask]:
            # Asked in order of time: no earlier match is needed any more.
            while (
                low + 1 < n
                and identity[by_id[low + 1]] == asked[ask]
                and time[by_id[low + 1]] <= asked_time[ask]
            ):
                low += 1
            found[ask] = by_id[low]
    return 0


@loop
def follow(n: Int, parent: Int64s, root: Int64s, settled: Int8s, chain: Int64s) -> Int:
    """Give every entry whose root is -1 the root of the end of its chain of parents.

    `parent`: index of the next entry in the chain, -1 at its end; `settled`: zeros; `chain`: room.
    """
    for entry in range(n):
        length = 0
        at = np.int64(entry)
        while at >= 0 and root[at] < 0 and settled[at] == 0:
            settled[at] = 1  # also what ends a cycle
            chain[length] = at
            length += 1
            at = parent[at]
        answer = root[at] if at >= 0 else -1
        for place in range(length):
            root[chain[place]] = answer
    return 0


@loop
def pair(
    n: Int,
    order: Int64s,
    line: Int32s,
    time: Int64s,
    opens: Int8s,
    stack: Int64s,
    closed_at: Int64s,
) -> Int:
    """Fill `closed_at[i]` of every opening with the time of its closing on the same line.

    An opening that nothing closes ends with its line's last event.
    """
    depth = 0
    for place in range(n):
        this = order[place]
        if opens[this] != 0:
            stack[depth] = this
            depth += 1
        elif depth > 0:
            depth -= 1
            closed_at[stack[depth]] = time[this]
        if place + 1 == n or line[order[place + 1]] != line[this]:
            while depth > 0:
                depth -= 1
                closed_at[stack[depth]] = time[this]
    return 0
