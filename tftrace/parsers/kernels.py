"""The compiled loops over the wire format of lines and events. No Python object per event.

All take the whole file as a read-only uint8 array and absolute positions in it. Positions that are
negative report failure: `-1 - position` of the field that is wrong or goes beyond its parent.

Wire format in one breath: a message is fields; a field is a tag (number * 8 + wire type) and a
payload: a varint (type 0), 8 bytes (1), length and bytes (2), or 4 bytes (5). 3 and 4, groups, do
not occur in XSpace and are an error. In protobuf the last value of a field, and the last member of
a oneof, counts; a field whose wire type is not the expected one is an unknown field.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# numba infers types; annotations on its tuples of scalars would be noise. The callers are typed.

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tftrace.parsers.jit import inlined, kernel, load_word, pointer, trailing_zeros

_TOP_BITS = np.uint64(0x8080808080808080)
_ID_MASK, _ID_FIRST = np.uint64(0x80FF), np.uint64(0x0008)
_1, _2, _3, _4 = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)

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


class _Raw(NamedTuple):
    """The file's bytes: pointer and length."""

    data: object
    size: int


@inlined
def _varint(buf, pos, end):
    """(value, position behind it); position -1 if it goes beyond `end` or has over ten bytes."""
    if pos < end:
        byte = np.int64(buf.data[pos])
        if byte < 128:
            return byte, pos + 1
        if pos + 10 <= buf.size:
            return _long_varint(buf, pos, end)
        value = byte & 127
        shift = 7
        for at in range(pos + 1, min(end, pos + 10)):
            byte = np.int64(buf.data[at])
            value |= (byte & 127) << shift
            if byte < 128:
                return value, at + 1
            shift += 7
    return np.int64(0), np.int64(-1)


@inlined
def _long_varint(buf, pos, end):
    """`_varint` eight bytes at a time: branches on every byte are what decoding is slow by."""
    word = load_word(buf.data, pos)
    stops = ~word & _TOP_BITS
    after = pos + 8
    if stops != 0:
        after = pos + np.int64(trailing_zeros(stops) >> _3) + 1
        word &= stops ^ (stops - _1)
    value = (word & np.uint64(0x007F007F007F007F)) | ((word & np.uint64(0x7F007F007F007F00)) >> _1)
    value = (value & np.uint64(0x00003FFF00003FFF)) | (
        (value & np.uint64(0x3FFF00003FFF0000)) >> _2
    )
    value = (value & np.uint64(0x0FFFFFFF)) | ((value & np.uint64(0x0FFFFFFF00000000)) >> _4)
    if stops == 0:
        byte = np.uint64(buf.data[pos + 8])
        value |= (byte & np.uint64(127)) << np.uint64(56)
        after = pos + 9
        if byte >= 128:
            byte = np.uint64(buf.data[pos + 9])
            value |= byte << np.uint64(63)
            after = pos + 10
            if byte >= 128:
                return np.int64(0), np.int64(-1)
    if after > end:
        return np.int64(0), np.int64(-1)
    return np.int64(value), after


@inlined
def _tag(buf, pos, end):
    """(tag, position behind it), -1 if it is no tag: field number 0, or over 32 bits."""
    if pos < end:
        byte = np.int64(buf.data[pos])
        if 8 <= byte < 128:
            return byte, pos + 1
    tag, after = _varint(buf, pos, end)
    if after < 0 or after - pos > 5 or tag < 8 or tag > 0xFFFFFFFF:
        return np.int64(0), np.int64(-1)
    return tag, after


@inlined
def _length(buf, pos, end):
    """(start, end) of a length-delimited payload; end -1 if it goes beyond `end`."""
    length, start = _varint(buf, pos, end)
    if start < 0 or start - pos > 5 or length < 0 or length > end - start:
        return np.int64(0), np.int64(-1)
    return start, start + length


@inlined
def _skip(buf, tag, pos, end):
    """Position behind the payload of a field that nobody asked for, or -1."""
    wire = tag & 7
    if wire == 0:
        _, after = _varint(buf, pos, end)
        return after
    if wire == 2:
        _, after = _length(buf, pos, end)
        return after
    if wire == 1 and pos + 8 <= end:
        return pos + 8
    if wire == 5 and pos + 4 <= end:
        return pos + 4
    return np.int64(-1)


@inlined
def _slot(key, table, keys, slots):
    """The slot of a metadata id, -1 without: small ids by `table`, others by sorted `keys`."""
    if 0 <= key < len(table):
        return np.int64(table[key])
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    if low < len(keys) and keys[low] == key:
        return np.int64(slots[low])
    return np.int64(-1)


@kernel
def scan_line(data, pos, stop, end, others):
    """Count a line's events and note where its other fields lie, without looking into events.

    `others`: int64 array to fill with the positions of fields that are not events.
    Returns (events, number of other fields, position): the position is that of the first field
    at or behind `stop`, or of the next field when `others` is full, or `-1 - position` of a field
    that is not whole.
    """
    buf = _Raw(pointer(data), len(data))
    events = 0
    found = 0
    while pos < stop:
        tag, after = _tag(buf, pos, end)
        if after >= 0:
            after = _skip(buf, tag, after, end)
        if after < 0:
            return events, found, -1 - pos
        if tag == EVENT_TAG:
            events += 1
        else:
            if found == len(others):
                return events, found, pos
            others[found] = pos
            found += 1
        pos = after
    return events, found, pos


@inlined
def _stat(buf, pos, end, table, keys, slots):
    """(slot, kind, value, length, position) of one stat.

    The value is the integer, the referenced id, or the position of a text of `length` bytes.
    """
    if pos + 10 <= buf.size:  # nearly every stat: an id below 128, then one integer
        word = load_word(buf.data, pos)
        if word & _ID_MASK == _ID_FIRST:
            tag = np.int64(buf.data[pos + 2])
            if tag in (_STAT_INT, _STAT_UINT, _STAT_REF):
                value, after = _varint(buf, pos + 3, end)
                if after == end:
                    slot = _slot(np.int64(buf.data[pos + 1]), table, keys, slots)
                    kind = _REFERENCE if tag == _STAT_REF else _INTEGER
                    return slot, kind, value, np.int64(-1), after
    metadata_id = np.int64(0)
    kind = _NOTHING
    value = np.int64(0)
    length = np.int64(-1)
    while pos < end:
        tag, after = _tag(buf, pos, end)
        if after < 0:
            return np.int64(-1), kind, value, length, after
        if tag == _STAT_METADATA_ID:
            metadata_id, pos = _varint(buf, after, end)
        elif tag in (_STAT_INT, _STAT_UINT):
            value, pos = _varint(buf, after, end)
            kind = _INTEGER
        elif tag == _STAT_REF:
            value, pos = _varint(buf, after, end)
            length = np.int64(-1)
            kind = _REFERENCE
        elif tag == _STAT_STR:
            value, pos = _length(buf, after, end)
            length = pos - value
            kind = _TEXT
        else:
            if tag in (_STAT_BYTES, _STAT_DOUBLE):
                kind = _NOTHING
            pos = _skip(buf, tag, after, end)
        if pos < 0:
            return np.int64(-1), kind, value, length, pos
    return _slot(metadata_id, table, keys, slots), kind, value, length, pos


@kernel
def read_events(
    data,
    pos,
    end,
    first,
    origin,
    table,
    keys,
    slots,
    metadata_id,
    start,
    duration,
    ints,
    stat_event,
    stat_value,
    stat_length,
    counts,
):
    """Decode the events of a line from `pos` until its end, or until the scratch is full.

    The columns `metadata_id`, `start`, `duration` are filled from index `first`; `start` is
    `origin` + offset. Stats go to `stat_*[slot, :counts[slot]]`: the event's index, the value
    (integer, referenced id, or position of a text) and the text's length (-1 for a reference).
    Slots below `ints` take integers, the others strings, the last one `num_occurrences`;
    `table`, `keys`, `slots` give the slot of a stat's metadata id.
    Returns (next index, position), position as in `scan_line`.
    """
    buf = _Raw(pointer(data), len(data))
    capacity = first + stat_event.shape[1]
    occurrences_slot = stat_event.shape[0] - 1
    index = first
    while pos < end and index < capacity:
        tag, after = _tag(buf, pos, end)
        if after < 0:
            return index, -1 - pos
        if tag != EVENT_TAG:
            after = _skip(buf, tag, after, end)
            if after < 0:
                return index, -1 - pos
            pos = after
            continue
        at, event_end = _length(buf, after, end)
        if event_end < 0:
            return index, -1 - pos
        kind_id = np.int64(0)
        offset = np.int64(0)
        length = np.int64(0)
        occurrences = np.int64(0)
        aggregated = False
        while at < event_end:
            tag, after = _tag(buf, at, event_end)
            if after < 0:
                return index, -1 - at
            failed = at
            if tag == _EVENT_STATS:
                stat_start, at = _length(buf, after, event_end)
                if at < 0:
                    return index, -1 - failed
                slot, kind, value, text, done = _stat(buf, stat_start, at, table, keys, slots)
                if done < 0:
                    return index, -1 - failed
                if slot >= 0 and kind != _NOTHING and (kind == _INTEGER) == (slot < ints):
                    count = counts[slot]
                    if count and stat_event[slot, count - 1] == index:
                        count -= 1
                    stat_event[slot, count] = index
                    stat_value[slot, count] = value
                    if slot >= ints:
                        stat_length[slot - ints, count] = text
                    counts[slot] = count + 1
            elif tag == _EVENT_METADATA_ID:
                kind_id, at = _varint(buf, after, event_end)
            elif tag == _EVENT_OFFSET:
                offset, at = _varint(buf, after, event_end)
                aggregated = False
            elif tag == _EVENT_DURATION:
                length, at = _varint(buf, after, event_end)
            elif tag == _EVENT_OCCURRENCES:
                occurrences, at = _varint(buf, after, event_end)
                aggregated = True
            else:
                at = _skip(buf, tag, after, event_end)
            if at < 0:
                return index, -1 - failed
        if aggregated:
            offset = np.int64(0)
            count = counts[occurrences_slot]
            stat_event[occurrences_slot, count] = index
            stat_value[occurrences_slot, count] = occurrences
            counts[occurrences_slot] = count + 1
        metadata_id[index] = kind_id
        start[index] = origin + offset
        duration[index] = length
        index += 1
        pos = event_end
    return index, pos


@kernel
def total_events(
    data,
    pos,
    stop,
    end,
    table,
    keys,
    slots,
    occurrences,
    total,
    nested,
    open_ends,
    open_slots,
    state,
):
    """Add up the events of a line that start before `stop`, keeping none of them.

    `table`, `keys`, `slots` give the slot of an event's metadata id, -1 to leave it out. By slot:
    `occurrences`, `total` (duration), `nested` (the part of it in which another event that counts
    ran inside, on the same line), all added to.
    `open_ends`, `open_slots` is the stack of enclosing events, `state` (depth, last start, whether
    `nested` is not to be trusted: the line is not sorted, or nested too deeply); these carry over
    from call to call.
    Returns the position, as in `scan_line`.
    """
    buf = _Raw(pointer(data), len(data))
    depth = state[0]
    while pos < stop:
        tag, after = _tag(buf, pos, end)
        if after < 0:
            return -1 - pos
        if tag != EVENT_TAG:
            after = _skip(buf, tag, after, end)
            if after < 0:
                return -1 - pos
            pos = after
            continue
        at, event_end = _length(buf, after, end)
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
            tag, after = _tag(buf, at, event_end)
            if after < 0:
                return -1 - failed
            if tag == _EVENT_METADATA_ID:
                kind_id, at = _varint(buf, after, event_end)
            elif tag == _EVENT_OFFSET:
                start, at = _varint(buf, after, event_end)
                aggregated = False
            elif tag == _EVENT_DURATION:
                length, at = _varint(buf, after, event_end)
            elif tag == _EVENT_OCCURRENCES:
                count, at = _varint(buf, after, event_end)
                aggregated = True
            else:
                at = _skip(buf, tag, after, event_end)
            if at < 0:
                return -1 - failed
        slot = _slot(kind_id, table, keys, slots)
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
        if depth == len(open_ends):
            state[2] = 1
        else:
            open_ends[depth] = start + length
            open_slots[depth] = slot
            depth += 1
    state[0] = depth
    return pos
