"""Walk the fields of a protobuf message in pure Python: for the few messages that are not events.

The data may end early (a truncated file). A message that begins in the data and ends beyond it is
*cut*; everything else that does not fit into its parent is malformed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tftrace.parsers.errors import MalformedTrace

ENDLESS = 1 << 62
"""The declared end of the outermost message, which has no length of its own."""

Field = tuple[int, int, int]
"""(tag, first, second): of a varint, its 64 bits as an unsigned value and the position behind it;
of any other payload, its start and end. A field whose tag or length is itself cut has tag 0."""

_MAX_LENGTH = (1 << 31) - 1


def fields(view: memoryview, start: int, end: int) -> Iterator[Field]:
    """The fields of the message at `start:end`, in order.

    `end` may lie beyond the data (a cut message). Then the last field may be cut as well: its end
    lies beyond the data.

    Raises:
        MalformedTrace: a field does not fit into the message, is a group, or is no field at all.
    """
    size = len(view)
    within = min(end, size)
    pos = start
    while pos < within:
        # Nearly all tags and lengths have one byte, and a call costs more than all else here.
        if (tag := view[pos]) < 128:
            after = pos + 1
        else:
            tag, after = _varint(view, pos, end)
            if after > size:
                yield 0, pos, after
                return
        wire = tag & 7
        if tag < 8 or tag > 0xFFFFFFFF or after - pos > 5:
            raise MalformedTrace(pos, "a tag that is none")
        if wire == 0:
            first, second = _varint(view, after, end)
        elif wire == 2:
            if after < within and (length := view[after]) < 128:
                first = after + 1
            else:
                length, first = _varint(view, after, end)
            if first > size:
                yield 0, pos, first
                return
            if length > _MAX_LENGTH or first - after > 5:
                raise MalformedTrace(pos, "a length beyond 2 GiB")
            second = first + length
        elif wire == 1:
            first, second = after, after + 8
        elif wire == 5:
            first, second = after, after + 4
        else:
            raise MalformedTrace(pos, "a group or unknown wire type")
        if second > end:
            raise MalformedTrace(pos, "a field that goes beyond its message")
        yield (tag if wire != 0 or second <= size else 0), first, second
        pos = second


def signed(value: int) -> int:
    """The 64 bits of an unsigned value as the int64 they encode."""
    return value - (1 << 64) if value >> 63 else value


def text(view: memoryview, start: int, end: int) -> str:
    """A string field. Bytes that are not UTF-8 (kernel names have been seen to) are replaced."""
    return str(view[start:end], "utf-8", "replace")


def double(view: memoryview, start: int) -> float:
    """A fixed64 field that holds a double."""
    return float(struct.unpack_from("<d", view, start)[0])


def _varint(view: memoryview, pos: int, end: int) -> tuple[int, int]:
    """(value, position behind it); the position lies beyond the data if the varint is cut."""
    value = shift = 0
    for at in range(pos, min(end, pos + 10)):
        if at >= len(view):
            return 0, at + 1
        byte = view[at]
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, at + 1
        shift += 7
    raise MalformedTrace(pos, "a varint that does not end")
