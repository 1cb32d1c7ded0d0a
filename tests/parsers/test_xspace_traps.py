"""The format's traps, one by one, written byte by byte."""

import numpy as np
import pytest
from xplane_wire import delimited, integer, padded_varint, varint

from tftrace.parsers import (
    EmptyTrace,
    MalformedTrace,
    StatNames,
    TruncatedTrace,
    read_hlo_protos,
    read_trace,
)

STATS = StatNames(ints=("_p",), strings=("hlo_op",))
P, HLO_OP, TARGET = 1, 2, 3


def named(number: int, key: int, name: str) -> bytes:
    """A metadata entry of a plane: field 4 for events, 5 for stats."""
    return delimited(number, integer(1, key) + delimited(2, delimited(2, name.encode())))


STAT_NAMES = named(5, P, "_p") + named(5, HLO_OP, "hlo_op") + named(5, TARGET, "convolution.3")


def event(*fields: bytes) -> bytes:
    return delimited(4, b"".join(fields))


def stat(*fields: bytes) -> bytes:
    return delimited(4, b"".join(fields))


def plane(*fields: bytes) -> bytes:
    return delimited(1, b"".join(fields))


def one_line(*fields: bytes) -> bytes:
    return plane(delimited(3, b"".join(fields)), STAT_NAMES)


def stat_values(trace, name):
    column = trace.events.stats[name]
    return dict(zip(column.events.tolist(), column.values.tolist(), strict=True))


def test_names_may_come_after_the_lines_and_before():
    line = delimited(3, event(integer(1, 7)))
    for data in (plane(line, named(4, 7, "op")), plane(named(4, 7, "op"), line)):
        assert read_trace(data).event_name(0) == "op"


def test_the_key_of_a_map_entry_counts_and_the_last_entry_wins():
    entry = delimited(2, integer(1, 99) + delimited(2, b"named by value.id"))
    data = plane(
        delimited(3, event(integer(1, 7)) + event(integer(1, 99))),
        named(4, 7, "first"),
        delimited(4, integer(1, 7) + entry),
    )
    assert read_trace(data).names([0, 1]).tolist() == ["named by value.id", ""]


def test_a_metadata_value_given_in_two_parts_is_their_merger():
    parts = delimited(2, delimited(2, b"op")) + delimited(2, delimited(4, b"shown"))
    trace = read_trace(plane(delimited(4, integer(1, 7) + parts)))
    assert trace.planes[0].event_names == {7: "op"}
    assert trace.planes[0].event_display_names == {7: "shown"}


def test_strings_are_references_or_texts_and_share_codes():
    data = one_line(
        event(stat(integer(1, HLO_OP), integer(7, TARGET))),
        event(stat(integer(1, HLO_OP), delimited(5, b"convolution.3"))),
        event(stat(integer(1, HLO_OP), delimited(5, b""))),
        event(),
    )
    trace = read_trace(data, STATS)
    codes = trace.events.stat("hlo_op")
    assert codes[0] == codes[1]
    assert [trace.string(code) for code in codes] == ["convolution.3", "convolution.3", "", None]


def test_the_last_member_of_a_oneof_wins():
    data = one_line(
        event(integer(2, 5), integer(5, 40)),
        event(integer(5, 40), integer(2, 5)),
        event(stat(integer(1, P), integer(4, 9), delimited(6, b"bytes"))),
        event(stat(integer(1, P), delimited(5, b"text"), integer(3, 9))),
        event(stat(integer(1, HLO_OP), delimited(5, b"text"), integer(7, TARGET))),
    )
    trace = read_trace(data, STATS)
    assert trace.events.occurrences.tolist() == [40, 1, 1, 1, 1]
    assert trace.events.start_ps.tolist() == [0, 5, 0, 0, 0]
    assert stat_values(trace, "_p") == {3: 9}
    assert [trace.string(c) for c in trace.events.stat("hlo_op")[4:]] == ["convolution.3"]


def test_a_reference_to_nothing_is_no_string():
    data = one_line(event(stat(integer(1, HLO_OP), integer(7, 77))))
    trace = read_trace(data, STATS)
    assert len(trace.events) == 1
    assert stat_values(trace, "hlo_op") == {}


def test_negative_numbers_and_unsigned_ones_beyond_63_bits():
    data = one_line(
        integer(1, -42),
        event(integer(1, -3), integer(2, -7), stat(integer(1, P), integer(4, -5))),
        event(stat(integer(1, P), integer(3, 2**64 - 5))),
    )
    trace = read_trace(data, STATS)
    assert trace.lines[0].id == -42
    assert trace.events.metadata_id.tolist() == [-3, 0]
    assert trace.events.start_ps.tolist() == [-7, 0]
    assert stat_values(trace, "_p") == {0: -5, 1: -5}


@pytest.mark.parametrize(
    ("ids", "dtype"),
    [
        ([2**31 - 1, -(2**31)], "int32"),
        ([2**31, 1], "int64"),
        ([1, -(2**31) - 1], "int64"),
        ([], "int32"),
    ],
)
def test_metadata_ids_of_any_size(ids, dtype):
    trace = read_trace(one_line(*(event(integer(1, number)) for number in ids)))
    assert trace.events.metadata_id.tolist() == ids
    assert trace.events.metadata_id.dtype == dtype


@pytest.mark.parametrize("length", range(1, 11))
def test_integers_of_every_encoded_length(length):
    value = (1 << (7 * length - 1)) - 3 if length < 10 else -3
    assert len(varint(value)) == length
    trace = read_trace(one_line(event(integer(3, value)), event(integer(3, 1))))
    assert trace.events.duration_ps.tolist() == [value, 1]


def test_longer_encodings_of_small_numbers_and_tags():
    padded = b"\x88\x00" + padded_varint(5)  # the tag and the value of metadata_id
    trace = read_trace(plane(delimited(3, b"\xa2\x00" + varint(len(padded)) + padded)))
    assert trace.events.metadata_id.tolist() == [5]


def test_unknown_fields_and_known_ones_of_another_type_are_skipped():
    data = one_line(
        integer(50, 3),
        event(
            delimited(60, b"xyz"),
            b"\xa9\x06" + bytes(8),  # field 101, 8 bytes
            b"\xb5\x06" + bytes(4),  # field 102, 4 bytes
            delimited(1, b"not a metadata id"),
            integer(3, 8),
        ),
    )
    assert read_trace(data).events.duration_ps.tolist() == [8]


def test_lines_keep_their_own_clocks():
    data = plane(
        delimited(3, integer(3, 1_000_000) + event(integer(2, 5))),
        delimited(3, event(integer(2, 6)) + integer(3, 1_000_007)),
    )
    trace = read_trace(data)
    assert trace.base_ns == 1_000_000
    assert trace.events.start_ps.tolist() == [5, 7_006]
    assert [line.events for line in trace.lines] == [slice(0, 1), slice(1, 2)]


def test_ids_far_apart():
    far = [0, 3, 2**40, -9, 2**63 - 1]
    names = b"".join(named(5, key, "_p") for key in far)
    stats = [event(stat(integer(1, key), integer(4, n))) for n, key in enumerate(far)]
    trace = read_trace(plane(delimited(3, b"".join(stats)), names), STATS)
    assert stat_values(trace, "_p") == {n: n for n in range(5)}


def test_a_line_with_more_events_than_one_batch_and_more_other_fields_than_one_scan():
    many = 70_000
    body = b"".join(
        event(integer(2, n), stat(integer(1, P), integer(4, 3 * n))) for n in range(many)
    )
    data = one_line(b"".join(integer(9, n) for n in range(200)), body, integer(3, 17))
    trace = read_trace(data, STATS)
    assert trace.lines[0].timestamp_ns == 17
    np.testing.assert_array_equal(trace.events.start_ps, np.arange(many))
    np.testing.assert_array_equal(trace.events.stat("_p"), 3 * np.arange(many))


def test_concatenated_traces_add_planes():
    data = plane(delimited(2, b"/host:CPU")) + delimited(4, b"one") + plane(delimited(2, b"/x"))
    trace = read_trace(data)
    assert [p.name for p in trace.planes] == ["/host:CPU", "/x"]
    assert trace.hostnames == ["one"]


def test_text_that_is_not_utf8_is_kept_readable():
    trace = read_trace(
        plane(delimited(3, event(integer(1, 1))), delimited(4, b"\x08\x01\x12\x04\x12\x02\xffA"))
    )
    assert trace.event_name(0) == "\ufffdA"


@pytest.mark.parametrize(
    ("data", "byte"),
    [
        (one_line(event(b"\x0b\x0c")), 6),
        (one_line(b"\x0b\x0c"), 4),
        (plane(b"\x0b\x0c"), 2),
        (b"\x0b\x0c", 0),
        (b"\x00\x01", 0),
        (one_line(event(b"\x08" + b"\xff" * 11)), 6),
        (one_line(event(b"\x22\x05\x08\x01")), 6),
        (one_line(b"\x22\x05\x08\x01"), 4),
        (plane(b"\x1a\x05\x08\x01"), 2),
        (plane(delimited(5, b"\x12\x05\x08\x01")), 4),
    ],
    ids=[
        "group in an event",
        "group in a line",
        "group in a plane",
        "group",
        "field number 0",
        "endless varint",
        "stat beyond its event",
        "event beyond its line",
        "line beyond its plane",
        "metadata beyond its entry",
    ],
)
def test_malformed(data, byte):
    with pytest.raises(MalformedTrace, match=f"at byte {byte}$"):
        read_trace(data + plane())


def test_truncated_in_the_middle_of_an_event():
    whole = plane(named(4, 7, "early"), delimited(3, event(integer(1, 7)) * 3))
    data = (whole + whole)[:-2]
    with pytest.raises(
        TruncatedTrace, match=rf"^truncated at byte {len(data)}, 5 events read$"
    ) as caught:
        read_trace(data)
    assert (caught.value.byte, caught.value.events) == (len(data), 5)
    trace = read_trace(data, salvage=True)
    assert trace.truncated_at == len(data)
    assert trace.names(range(5)).tolist() == ["early"] * 5


def test_cut_between_two_planes_is_a_shorter_message():
    first, second = plane(delimited(2, b"a")), plane(delimited(2, b"b"))
    trace = read_trace((first + second)[: len(first)])
    assert [p.name for p in trace.planes] == ["a"]
    assert trace.truncated_at is None


def test_empty_file_is_a_failed_capture(tmp_path):
    path = tmp_path / "vm.xplane.pb"
    path.touch()
    with pytest.raises(EmptyTrace, match=r"vm\.xplane\.pb is empty .*capture failed"):
        read_trace(path)
    with pytest.raises(EmptyTrace):
        read_trace(b"")


def test_hlo_protos_by_module():
    def module(number, name, stat_id):
        proto = delimited(5, integer(1, stat_id) + delimited(6, name.encode() + b" proto"))
        value = delimited(2, delimited(2, name.encode()) + proto)
        return delimited(4, integer(1, number) + value)

    host = plane(
        delimited(2, b"/host:metadata"),
        module(1, "a(1)", 5),
        module(2, "b(2)", 6),
        module(3, "c(3)", 7),
        named(5, 5, "Hlo Proto"),
        named(5, 6, "hlo_proto"),
        named(5, 7, "something else"),
    )
    assert read_hlo_protos(host) == {"a(1)": b"a(1) proto", "b(2)": b"b(2) proto"}
    assert read_hlo_protos(plane()) == {}
