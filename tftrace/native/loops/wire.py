"""Protobuf's wire format in compiled code: the helpers of `events`.

A message is fields; a field is a tag (number * 8 + wire type) and a payload: a varint (type 0),
8 bytes (1), length and bytes (2), or 4 bytes (5). 3 and 4, groups, do not occur in XSpace and are
an error. In protobuf the last value of a field, and the last member of a oneof, counts; a field
whose wire type is not the expected one is an unknown field.

All helpers take a position and the end of the message, and return the position behind what they
read, or -1 if it is malformed or goes beyond that end.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, no-any-return"
# numba infers the types of helpers; annotations on their tuples of scalars would be noise.

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tftrace.native.language import Bytes, Int32s, Int64s, inlined, load_word, trailing_zeros

_TOP_BITS = np.uint64(0x8080808080808080)
_1, _2, _3, _4 = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)


class Raw(NamedTuple):
    """The file's bytes."""

    data: Bytes
    size: int


class Ids(NamedTuple):
    """Metadata ids and their slots: small ids by `table`, others by sorted `keys`."""

    table: Int32s
    table_size: int
    keys: Int64s
    values: Int32s
    n_keys: int


@inlined
def read_varint(buf, pos, end):
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
    """`read_varint` eight bytes at a time: branches on every byte are what decoding is slow by."""
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
def read_tag(buf, pos, end):
    """(tag, position behind it), -1 if it is no tag: field number 0, or over 32 bits."""
    if pos < end:
        byte = np.int64(buf.data[pos])
        if 8 <= byte < 128:
            return byte, pos + 1
    tag, after = read_varint(buf, pos, end)
    if after < 0 or after - pos > 5 or tag < 8 or tag > 0xFFFFFFFF:
        return np.int64(0), np.int64(-1)
    return tag, after


@inlined
def read_length(buf, pos, end):
    """(start, end) of a length-delimited payload; end -1 if it goes beyond `end`."""
    length, start = read_varint(buf, pos, end)
    if start < 0 or start - pos > 5 or length < 0 or length > end - start:
        return np.int64(0), np.int64(-1)
    return start, start + length


@inlined
def skip_field(buf, tag, pos, end):
    """Position behind the payload of a field that nobody asked for, or -1."""
    wire = tag & 7
    if wire == 0:
        _, after = read_varint(buf, pos, end)
        return after
    if wire == 2:
        _, after = read_length(buf, pos, end)
        return after
    if wire == 1 and pos + 8 <= end:
        return pos + 8
    if wire == 5 and pos + 4 <= end:
        return pos + 4
    return np.int64(-1)


@inlined
def find_slot(key, ids):
    """The slot of a metadata id, -1 without."""
    if 0 <= key < ids.table_size:
        return np.int64(ids.table[key])
    low, high = 0, ids.n_keys
    while low < high:
        middle = (low + high) >> 1
        if ids.keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    if low < ids.n_keys and ids.keys[low] == key:
        return np.int64(ids.values[low])
    return np.int64(-1)
