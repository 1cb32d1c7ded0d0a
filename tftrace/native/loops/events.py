"""The compiled loops over the wire format of lines and events. No Python object per event.

All take the whole file (`data`, its length `size`) and absolute positions in it. Returned positions
that are negative report failure: `-1 - position` of the field that is wrong or goes beyond its
parent. Metadata ids are looked up in an `IdTable` (`table`, `keys`, `values`, and their lengths).
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return"
# numba infers the types of helpers; annotations on their tuples of scalars would be noise.

from __future__ import annotations

import numpy as np

from tftrace.native.jit import loop
from tftrace.native.language import Bytes, Int, Int32s, Int64s, inlined, load_word
from tftrace.native.loops.wire import (
    Ids,
    Raw,
    find_slot,
    read_length,
    read_tag,
    read_varint,
    skip_field,
)

# Fields of XLine and XEvent as tag bytes (number * 8 + wire type).
EVENT_TAG = 0x22  # XLine.events
_EVENT_METADATA_ID = 0x08
_EVENT_OFFSET = 0x10
_EVENT_DURATION = 0x18
_EVENT_STATS = 0x22
_EVENT_OCCURRENCES = 0x28
_STAT_METADATA_ID = 0x08
_STAT_DOUBLE = 0x11
_STAT_UINT = 0x18
_STAT_INT = 0x20
_STAT_STR = 0x2A
_STAT_BYTES = 0x32
_STAT_REF = 0x38

# What a stat's value is, once decoded.
_NOTHING, _INTEGER, _REFERENCE, _TEXT = 0, 1, 2, 3


# A stat that begins with an id below 128: tag and id, as a mask and a value of its first bytes.
_ID_MASK, _ID_FIRST = np.uint64(0x80FF), np.uint64(0x0008)


@loop
def scan_line(
    data: Bytes,
    size: Int,
    pos: Int,
    stop: Int,
    end: Int,
    others: Int64s,
    capacity: Int,
    counts: Int64s,
) -> Int:
    """Count a line's events and note where its other fields lie, without looking into events.

    `others`, of length `capacity`, is filled with the positions of fields that are not events;
    `counts` with the numbers of events and of other fields. Returns the position of the first field
    at or behind `stop`, or of the next field when `others` is full.
    """
    buf = Raw(data, size)
    counts[0] = 0
    counts[1] = 0
    while pos < stop:
        tag, after = read_tag(buf, pos, end)
        if after >= 0:
            after = skip_field(buf, tag, after, end)
        if after < 0:
            return -1 - pos
        if tag == EVENT_TAG:
            counts[0] += 1
        else:
            if counts[1] == capacity:
                return pos
            others[counts[1]] = pos
            counts[1] += 1
        pos = after
    return pos


@inlined
def _stat(buf, pos, end, ids):
    """(slot, kind, value, length, position) of one stat.

    The value is the integer, the referenced id, or the position of a text of `length` bytes.
    """
    if pos + 10 <= buf.size:  # nearly every stat: an id below 128, then one integer
        word = load_word(buf.data, pos)
        if word & _ID_MASK == _ID_FIRST:
            tag = np.int64(buf.data[pos + 2])
            if tag in (_STAT_INT, _STAT_UINT, _STAT_REF):
                value, after = read_varint(buf, pos + 3, end)
                if after == end:
                    slot = find_slot(np.int64(buf.data[pos + 1]), ids)
                    kind = _REFERENCE if tag == _STAT_REF else _INTEGER
                    return slot, kind, value, np.int64(-1), after
    metadata_id = np.int64(0)
    kind = _NOTHING
    value = np.int64(0)
    length = np.int64(-1)
    while pos < end:
        tag, after = read_tag(buf, pos, end)
        if after < 0:
            return np.int64(-1), kind, value, length, after
        if tag == _STAT_METADATA_ID:
            metadata_id, pos = read_varint(buf, after, end)
        elif tag in (_STAT_INT, _STAT_UINT):
            value, pos = read_varint(buf, after, end)
            kind = _INTEGER
        elif tag == _STAT_REF:
            value, pos = read_varint(buf, after, end)
            length = np.int64(-1)
            kind = _REFERENCE
        elif tag == _STAT_STR:
            value, pos = read_length(buf, after, end)
            length = pos - value
            kind = _TEXT
        else:
            if tag in (_STAT_BYTES, _STAT_DOUBLE):
                kind = _NOTHING
            pos = skip_field(buf, tag, after, end)
        if pos < 0:
            return np.int64(-1), kind, value, length, pos
    return find_slot(metadata_id, ids), kind, value, length, pos


@loop
def read_events(
    data: Bytes,
    size: Int,
    pos: Int,
    end: Int,
    table: Int32s,
    table_size: Int,
    keys: Int64s,
    values: Int32s,
    n_keys: Int,
    first: Int,
    capacity: Int,
    origin: Int,
    metadata_id: Int64s,
    start: Int64s,
    duration: Int64s,
    ints: Int,
    slots: Int,
    batch: Int,
    stat_event: Int32s,
    stat_value: Int64s,
    stat_length: Int32s,
    counts: Int64s,
) -> Int:
    """Decode the events of a line from `pos` until its end, or a batch or the columns are full.

    The columns `metadata_id`, `start`, `duration` are filled from index `first` to before
    `capacity` at most; `start` is `origin` + offset. Stats go to
    `stat_*[slot * batch:][:counts[slot]]`, at most one of a slot per event: the event's index, the
    value (integer, referenced id, or position of a text) and the text's length (-1 for a
    reference). Slots below `ints` take integers, the others strings (`stat_length` begins with
    theirs), the last of the `slots` takes `num_occurrences`. `counts[slots]` is the next index.
    """
    buf = Raw(data, size)
    ids = Ids(table, table_size, keys, values, n_keys)
    for slot in range(slots):
        counts[slot] = 0
    last = (slots - 1) * batch
    index = first
    stop = min(first + batch, capacity)
    while pos < end and index < stop:
        tag, after = read_tag(buf, pos, end)
        if after < 0:
            return -1 - pos
        if tag != EVENT_TAG:
            after = skip_field(buf, tag, after, end)
            if after < 0:
                return -1 - pos
            pos = after
            continue
        at, event_end = read_length(buf, after, end)
        if event_end < 0:
            return -1 - pos
        kind_id = np.int64(0)
        offset = np.int64(0)
        length = np.int64(0)
        occurrences = np.int64(0)
        aggregated = False
        while at < event_end:
            tag, after = read_tag(buf, at, event_end)
            if after < 0:
                return -1 - at
            failed = at
            if tag == _EVENT_STATS:
                stat_start, at = read_length(buf, after, event_end)
                if at < 0:
                    return -1 - failed
                slot, kind, value, text, done = _stat(buf, stat_start, at, ids)
                if done < 0:
                    return -1 - failed
                if slot >= 0 and kind != _NOTHING and (kind == _INTEGER) == (slot < ints):
                    place = slot * batch + counts[slot]
                    if counts[slot] and stat_event[place - 1] == index:
                        place -= 1
                    else:
                        counts[slot] += 1
                    stat_event[place] = index
                    stat_value[place] = value
                    if slot >= ints:
                        stat_length[place - ints * batch] = text
            elif tag == _EVENT_METADATA_ID:
                kind_id, at = read_varint(buf, after, event_end)
            elif tag == _EVENT_OFFSET:
                offset, at = read_varint(buf, after, event_end)
                aggregated = False
            elif tag == _EVENT_DURATION:
                length, at = read_varint(buf, after, event_end)
            elif tag == _EVENT_OCCURRENCES:
                occurrences, at = read_varint(buf, after, event_end)
                aggregated = True
            else:
                at = skip_field(buf, tag, after, event_end)
            if at < 0:
                return -1 - failed
        if aggregated:
            offset = np.int64(0)
            stat_event[last + counts[slots - 1]] = index
            stat_value[last + counts[slots - 1]] = occurrences
            counts[slots - 1] += 1
        metadata_id[index] = kind_id
        start[index] = origin + offset
        duration[index] = length
        index += 1
        pos = event_end
    counts[slots] = index
    return pos


@loop
def total_events(
    data: Bytes,
    size: Int,
    pos: Int,
    stop: Int,
    end: Int,
    table: Int32s,
    table_size: Int,
    keys: Int64s,
    values: Int32s,
    n_keys: Int,
    occurrences: Int64s,
    total: Int64s,
    nested: Int64s,
    open_ends: Int64s,
    open_slots: Int64s,
    max_depth: Int,
    state: Int64s,
) -> Int:
    """Add up the events of a line that begin before `stop`, keeping none of them.

    By the slot of the event's metadata id (without one it is left out): `occurrences`, `total`
    (duration) and `nested` (the part of it in which another event that counts ran inside, on the
    same line) are added to. `open_ends`, `open_slots` are the stack of enclosing events, `state` is
    its depth, the last start, and whether `nested` is not to be trusted (the line is not sorted, or
    nested deeper than `max_depth`); these carry over from call to call.
    Returns the position of the first field at or behind `stop`.
    """
    buf = Raw(data, size)
    ids = Ids(table, table_size, keys, values, n_keys)
    depth = state[0]
    while pos < stop:
        tag, after = read_tag(buf, pos, end)
        if after < 0:
            return -1 - pos
        if tag != EVENT_TAG:
            after = skip_field(buf, tag, after, end)
            if after < 0:
                return -1 - pos
            pos = after
            continue
        at, event_end = read_length(buf, after, end)
        if event_end < 0:
            return -1 - pos
        pos = event_end
        kind_id = np.int64(0)
        start = np.int64(0)
        length = np.int64(0)
        count = np.int64(1)
        aggregated = False
        while at < event_end:
            failed = at
            tag, after = read_tag(buf, at, event_end)
            if after < 0:
                return -1 - failed
            if tag == _EVENT_METADATA_ID:
                kind_id, at = read_varint(buf, after, event_end)
            elif tag == _EVENT_OFFSET:
                start, at = read_varint(buf, after, event_end)
                aggregated = False
            elif tag == _EVENT_DURATION:
                length, at = read_varint(buf, after, event_end)
            elif tag == _EVENT_OCCURRENCES:
                count, at = read_varint(buf, after, event_end)
                aggregated = True
            else:
                at = skip_field(buf, tag, after, event_end)
            if at < 0:
                return -1 - failed
        slot = find_slot(kind_id, ids)
        if slot < 0:
            continue
        total[slot] += length
        occurrences[slot] += count if aggregated else 1
        if aggregated:  # no place in time, so no nesting
            continue
        if start < state[1]:
            state[2] = 1
        state[1] = start
        while depth > 0 and open_ends[depth - 1] <= start:
            depth -= 1
        if depth > 0:
            inside = min(start + length, open_ends[depth - 1]) - start
            nested[open_slots[depth - 1]] += inside
        if depth == max_depth:
            state[2] = 1
        else:
            open_ends[depth] = start + length
            open_slots[depth] = slot
            depth += 1
    state[0] = depth
    return pos
