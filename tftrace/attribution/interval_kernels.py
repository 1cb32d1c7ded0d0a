"""The compiled loops of `intervals`: one pass each over intervals in `order`.

`order` sorts intervals by line, start, longest first, index: an enclosing interval comes before
what it encloses. Every loop keeps the intervals that are open on the line on a stack; the one on
top, the latest to start, is the innermost.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tftrace.parsers.jit import inlined, kernel

# What an event is to `walk_pool`.
OP, RECORD, START, STOP = 1, 2, 3, 4
NO_ID = np.iinfo(np.int64).min


@kernel
def is_ordered(line: Any, start: Any, end: Any) -> Any:
    """Whether intervals are in order as they are."""
    for i in range(1, len(line)):
        if line[i] < line[i - 1]:
            return False
        if line[i] == line[i - 1]:
            if start[i] < start[i - 1]:
                return False
            if start[i] == start[i - 1] and end[i] > end[i - 1]:
                return False
    return True


@kernel
def segments(order: Any, line: Any, start: Any, end: Any, owner: Any, first: Any, last: Any) -> Any:
    """Fill `owner`, `first`, `last` with the segments in which each interval is innermost.

    Returns how many there are, at most 2 n.
    """
    stack = np.empty(len(order), np.int64)
    depth = 0
    count = 0
    now = np.int64(0)
    for place in range(len(order) + 1):
        following = order[place] if place < len(order) else -1
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


@kernel
def parents(order: Any, line: Any, start: Any, end: Any, parent: Any) -> None:
    """Fill `parent` with the innermost interval that contains each interval whole, or -1."""
    stack = np.empty(len(order), np.int64)
    depth = 0
    for this in order:
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


@kernel
def enclosing(
    point_order: Any,
    point_line: Any,
    point_time: Any,
    order: Any,
    line: Any,
    start: Any,
    end: Any,
    found: Any,
) -> None:
    """Fill `found` with the innermost interval at each point, or -1; points in their order."""
    stack = np.empty(len(order), np.int64)
    depth = 0
    place = 0
    for point in point_order:
        on, now = point_line[point], point_time[point]
        while place < len(order):
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


@kernel
def match_unique_ids(identity: Any, asked: Any, found: Any) -> Any:
    """Fill `found` with the index of each asked id, or -1; False if an id is there twice."""
    bits = 1
    while (1 << bits) < 2 * len(identity):
        bits += 1
    mask = (np.int64(1) << bits) - 1
    table = np.full(mask + 1, -1, np.int32)
    for i in range(len(identity)):
        place = _hash(identity[i]) & mask
        while table[place] >= 0:
            if identity[table[place]] == identity[i]:
                return False
            place = (place + 1) & mask
        table[place] = i
    for i in range(len(asked)):
        place = _hash(asked[i]) & mask
        while table[place] >= 0 and identity[table[place]] != asked[i]:
            place = (place + 1) & mask
        found[i] = table[place]
    return True


@inlined
def _hash(identity: Any) -> Any:
    """Multiplicative hashing, the upper half of the product: ids may be small numbers."""
    return np.int64((np.uint64(identity) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32))


@kernel
def match_ids(
    by_id: Any, identity: Any, time: Any, asked_by_id: Any, asked: Any, asked_time: Any, found: Any
) -> None:
    """Fill `found` with the latest of those with the asked id that is not later, or the earliest.

    `by_id`, `asked_by_id` order both sides by id, then time.
    """
    low = 0
    for ask in asked_by_id:
        while low < len(by_id) and identity[by_id[low]] < asked[ask]:
            low += 1
        found[ask] = -1
        if low < len(by_id) and identity[by_id[low]] == asked[ask]:
            # Asked in order of time: no earlier match is needed any more.
            while (
                low + 1 < len(by_id)
                and identity[by_id[low + 1]] == asked[ask]
                and time[by_id[low + 1]] <= asked_time[ask]
            ):
                low += 1
            found[ask] = by_id[low]


@kernel
def follow(parent: Any, root: Any) -> None:
    """Give every entry whose root is -1 the root of the end of its chain of parents.

    `parent`: index of the next entry in the chain, -1 at its end.
    """
    chain = np.empty(len(parent), np.int64)
    settled = np.zeros(len(parent), np.bool_)
    for entry in range(len(parent)):
        length = 0
        at = np.int64(entry)
        while at >= 0 and root[at] < 0 and not settled[at]:
            settled[at] = True  # also what ends a cycle
            chain[length] = at
            length += 1
            at = parent[at]
        answer = root[at] if at >= 0 else -1
        for place in range(length):
            root[chain[place]] = answer


@kernel
def pair(order: Any, line: Any, time: Any, opens: Any, closed_at: Any) -> None:
    """Fill `closed_at[i]` of every opening with the time of its closing on the same line.

    An opening that nothing closes ends with its line's last event.
    """
    stack = np.empty(len(order), np.int64)
    depth = 0
    for place in range(len(order)):
        this = order[place]
        if opens[this]:
            stack[depth] = this
            depth += 1
        elif depth > 0:
            depth -= 1
            closed_at[stack[depth]] = time[this]
        if place + 1 == len(order) or line[order[place + 1]] != line[this]:
            while depth > 0:
                depth -= 1
                closed_at[stack[depth]] = time[this]


@kernel
def walk_pool(
    kind: Any,
    line: Any,
    start: Any,
    duration: Any,
    record_id_event: Any,
    record_id_value: Any,
    region_id_event: Any,
    region_id_value: Any,
    records: Any,
    regions: Any,
) -> Any:
    """One walk over all events of a trace for `thread_pool.follow_pool`.

    `kind` per event: OP, RECORD, START, STOP, or else. The ids are sparse columns: event, value.
    Fills `records[0]` with ids, `[1]` with what is around them (event of an op, -1 nothing,
    -2 - r region r), `[2]` with times; `regions[0]` with lines, `[1]` starts, `[2]` ends, `[3]`
    ids.
    Returns how many records have ids; -1 if a line is not in order of time.
    """
    stack = np.empty(len(kind) + 1, np.int64)  # event of an op, or -2 - region
    depth = 0
    n_records = 0
    n_regions = 0
    last = np.int64(0)  # time of the line's last opening or closing
    at_record_id = 0
    at_region_id = 0
    for i in range(len(kind)):
        now = start[i]
        if i > 0:
            if line[i] != line[i - 1]:
                while depth > 0:  # what never closed ends with its line
                    depth -= 1
                    if stack[depth] <= -2:
                        regions[2, -2 - stack[depth]] = last
            elif now < start[i - 1]:
                return -1
        what = kind[i]
        if what < OP or what > STOP:
            continue
        while depth > 0 and stack[depth - 1] >= 0:
            op = stack[depth - 1]
            if start[op] + duration[op] > now:
                break
            depth -= 1
        if what in (START, STOP):
            last = now
        if what == OP:
            stack[depth] = i
            depth += 1
        elif what == RECORD:
            while at_record_id < len(record_id_event) and record_id_event[at_record_id] < i:
                at_record_id += 1
            if at_record_id < len(record_id_event) and record_id_event[at_record_id] == i:
                records[0, n_records] = record_id_value[at_record_id]
                records[1, n_records] = stack[depth - 1] if depth > 0 else -1
                records[2, n_records] = now
                n_records += 1
        elif what == START:
            while at_region_id < len(region_id_event) and region_id_event[at_region_id] < i:
                at_region_id += 1
            known = at_region_id < len(region_id_event) and region_id_event[at_region_id] == i
            regions[0, n_regions] = line[i]
            regions[1, n_regions] = now
            regions[3, n_regions] = region_id_value[at_region_id] if known else NO_ID
            stack[depth] = -2 - n_regions
            depth += 1
            n_regions += 1
        else:
            place = depth - 1
            while place >= 0 and stack[place] >= 0:
                place -= 1
            if place >= 0:
                regions[2, -2 - stack[place]] = now
                depth = place
    while depth > 0:
        depth -= 1
        if stack[depth] <= -2:
            regions[2, -2 - stack[depth]] = last
    return n_records
