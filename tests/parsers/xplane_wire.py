"""Random XSpaces at the level of the wire: what serializers write, and what they merely may."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

STAT_NAMES = ["_p", "_c", "hlo_op", "name", "of no interest", ""]


def varint(value: int) -> bytes:
    """Encode the low 64 bits of `value`."""
    value %= 2**64
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def padded_varint(value: int) -> bytes:
    """A longer encoding of a small value, which decoders must accept."""
    assert 0 <= value < 128
    return bytes([value | 128, 128, 0])


def delimited(number: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def integer(number: int, value: int) -> bytes:
    """A varint field."""
    return varint(number << 3) + varint(value)


int64 = st.one_of(
    st.integers(0, 300),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([2**63 - 1, -(2**63), -1, 2**35, 2**56 - 1, 2**56]),
)
ids = st.one_of(st.integers(0, 6), st.sampled_from([-1, -5, 2**40, 2**63 - 1, 3000]))
texts = st.text(max_size=5).map(lambda s: s.encode("utf-8", "replace"))


def _field(number: int, values: st.SearchStrategy[int]) -> st.SearchStrategy[bytes]:
    return values.map(lambda value: integer(number, value))


def _bytes(number: int, payloads: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return payloads.map(lambda payload: delimited(number, payload))


# Fields no schema knows, or that have a wire type other than the schema's: to be skipped.
unknown = st.one_of(
    _field(200, int64),
    _bytes(201, st.binary(max_size=4)),
    st.binary(min_size=8, max_size=8).map(lambda b: varint(202 << 3 | 1) + b),
    st.binary(min_size=4, max_size=4).map(lambda b: varint(203 << 3 | 5) + b),
    _bytes(9, st.binary(max_size=2)),
)


def _message(*fields: st.SearchStrategy[bytes], max_size: int = 5) -> st.SearchStrategy[bytes]:
    """Fields in any order, any number of times, now and then an unknown one."""
    return st.lists(st.one_of(*fields, *fields, unknown), max_size=max_size).map(b"".join)


stats = _message(
    _field(1, ids),
    _field(3, int64),
    _field(4, int64),
    _bytes(5, texts),
    _bytes(6, st.binary(max_size=3)),
    _field(7, ids),
    st.floats(allow_nan=False).map(lambda x: b"\x11" + struct.pack("<d", x)),
    max_size=4,
)
usual_stats = st.tuples(ids, st.sampled_from([3, 4, 7]), int64).map(
    lambda s: integer(1, s[0]) + integer(s[1], s[2])
)
any_stats = st.one_of(stats, usual_stats)
events = _message(
    _field(1, ids),
    _field(2, int64),
    _field(3, int64),
    _bytes(4, any_stats),
    _field(5, int64),
    st.integers(0, 100).map(lambda value: b"\x08" + padded_varint(value)),
    st.integers(0, 100).map(lambda value: b"\x90\x00" + varint(value)),
    max_size=8,
)
lines = _message(
    _field(1, int64),
    _bytes(2, texts),
    _field(3, int64),
    _bytes(4, events),
    _bytes(4, events),
    _field(9, int64),
    _field(10, int64),
    _bytes(11, texts),
    max_size=12,
)
event_metadata = _message(
    _field(1, ids),
    _bytes(2, texts),
    _bytes(3, st.binary(max_size=3)),
    _bytes(4, texts),
    _bytes(5, any_stats),
    _field(6, ids),
    _bytes(6, st.lists(ids, max_size=3).map(lambda v: b"".join(map(varint, v)))),
)
stat_metadata = _message(
    _field(1, ids), _bytes(2, st.sampled_from(STAT_NAMES).map(str.encode)), _bytes(3, texts)
)


def _entries(values: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    usual = st.tuples(ids, values).map(lambda kv: integer(1, kv[0]) + delimited(2, kv[1]))
    # Not with unknown fields: protobuf's Python and C++ parsers disagree on such an entry.
    parts = st.lists(st.one_of(_field(1, ids), _bytes(2, values)), max_size=4).map(b"".join)
    return st.one_of(usual, usual, parts)


named_stats = st.permutations(range(6)).map(
    lambda order: b"".join(
        delimited(5, integer(1, key) + delimited(2, delimited(2, STAT_NAMES[i].encode())))
        for key, i in enumerate(order)
    )
)
planes = _message(
    _field(1, int64),
    _bytes(2, texts),
    _bytes(3, lines),
    _bytes(3, lines),
    _bytes(4, _entries(event_metadata)),
    _bytes(5, _entries(stat_metadata)),
    named_stats,
    _bytes(6, any_stats),
    max_size=14,
)
xspaces = _message(
    _bytes(1, planes), _bytes(1, planes), _bytes(2, texts), _bytes(3, texts), _bytes(4, texts)
)
"""Serialized XSpaces; the empty one included."""
