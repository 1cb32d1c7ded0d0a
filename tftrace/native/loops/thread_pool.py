"""The compiled loop of `thread_pool`."""

from __future__ import annotations

import numpy as np

from tftrace.native.jit import loop
from tftrace.native.language import Int, Int8s, Int32s, Int64s

# What an event is.
OP, RECORD, START, STOP = 1, 2, 3, 4
NO_ID = np.iinfo(np.int64).min


@loop
def walk_pool(
    n: Int,
    kind: Int8s,
    line: Int32s,
    start: Int64s,
    duration: Int64s,
    n_ops: Int,
    op: Int32s,
    n_record_ids: Int,
    record_id_event: Int32s,
    record_id_value: Int64s,
    n_region_ids: Int,
    region_id_event: Int32s,
    region_id_value: Int64s,
    stack: Int64s,
    until: Int64s,
    record_id: Int64s,
    record_around: Int64s,
    record_time: Int64s,
    region_line: Int64s,
    region_start: Int64s,
    region_end: Int64s,
    region_id: Int64s,
) -> Int:
    """One walk over all `n` events of a trace for `thread_pool.follow_pool`.

    `kind` per event: RECORD, START, STOP, or else; `op`: the events that are ops, in order. The
    ids are sparse columns: event, value.
    `stack` and `until` are room for what is open. Fills the columns of records with ids: id, what
    is around it (number of an op, -1 nothing, -2 - r region r), time; and those of regions: line,
    start, end, id.
    Returns how many records have ids; -1 if a line is not in order of time.
    """
    depth = 0
    at_op = 0
    n_records = 0
    n_regions = 0
    last = np.int64(0)  # time of the line's last opening or closing
    at_record_id = 0
    at_region_id = 0
    for i in range(n):
        now = start[i]
        if i > 0:
            if line[i] != line[i - 1]:
                while depth > 0:  # what never closed ends with its line
                    depth -= 1
                    if stack[depth] <= -2:
                        region_end[-2 - stack[depth]] = last
            elif now < start[i - 1]:
                return -1
        what = np.int64(kind[i])
        if at_op < n_ops and op[at_op] == i:
            what = OP
        elif what not in (RECORD, START, STOP):
            continue
        while depth > 0 and stack[depth - 1] >= 0 and until[depth - 1] <= now:
            depth -= 1
        if what in (START, STOP):
            last = now
        if what == OP:
            stack[depth] = at_op
            until[depth] = now + duration[i]
            depth += 1
            at_op += 1
        elif what == RECORD:
            while at_record_id < n_record_ids and record_id_event[at_record_id] < i:
                at_record_id += 1
            if at_record_id < n_record_ids and record_id_event[at_record_id] == i:
                record_id[n_records] = record_id_value[at_record_id]
                record_around[n_records] = stack[depth - 1] if depth > 0 else -1
                record_time[n_records] = now
                n_records += 1
        elif what == START:
            while at_region_id < n_region_ids and region_id_event[at_region_id] < i:
                at_region_id += 1
            known = at_region_id < n_region_ids and region_id_event[at_region_id] == i
            region_line[n_regions] = line[i]
            region_start[n_regions] = now
            region_id[n_regions] = region_id_value[at_region_id] if known else NO_ID
            stack[depth] = -2 - n_regions
            depth += 1
            n_regions += 1
        else:
            place = depth - 1
            while place >= 0 and stack[place] >= 0:
                place -= 1
            if place >= 0:
                region_end[-2 - stack[place]] = now
                depth = place
    while depth > 0:
        depth -= 1
        if stack[depth] <= -2:
            region_end[-2 - stack[depth]] = last
    return n_records
