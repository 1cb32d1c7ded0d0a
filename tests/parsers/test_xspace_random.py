"""The fast reader against protobuf's parser, on XSpaces nobody would write by hand."""

import os

import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from xplane_reference import expected, plain
from xplane_wire import xspaces

from tftrace.parsers import StatNames, TraceError, TruncatedTrace, read_trace
from tftrace.parsers.proto.xplane_proto import XSpace
from tftrace.parsers.trace import NO_STATS

EXAMPLES = int(os.environ.get("TFTRACE_EXAMPLES", "300"))
STATS = StatNames(ints=("_p", "_c"), strings=("hlo_op", "name"))

many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@many
@given(data=xspaces, threads=st.sampled_from([1, 2]))
def test_reads_what_protobuf_reads(data, threads):
    assume(data)
    assert plain(read_trace(data, STATS, threads=threads)) == expected(data, STATS)


@many
@given(first=xspaces, second=xspaces)
def test_concatenation_merges(first, second):
    assume(first + second)
    together = plain(read_trace(first + second, STATS))
    merged = XSpace.FromString(first)
    merged.MergeFromString(second)
    assume(merged.ByteSize())
    assert together == expected(merged.SerializeToString(), STATS)


@many
@given(data=xspaces, cut=st.floats(0, 1, exclude_max=True))
def test_a_cut_file_is_an_error_or_a_shorter_message(data, cut):
    part = data[: int(len(data) * cut)]
    assume(part)
    whole = plain(read_trace(data, STATS))
    try:
        XSpace.FromString(part)
    except DecodeError:
        with pytest.raises(TruncatedTrace) as caught:
            read_trace(part, STATS)
        salvaged = read_trace(part, STATS, salvage=True)
        assert salvaged.truncated_at == caught.value.byte == len(part)
        assert len(salvaged.events) == caught.value.events
        heads = [row["duration"] for row in whole["rows"][: len(salvaged.events)]]
        assert salvaged.events.duration_ps.tolist() == heads
    else:
        assert plain(read_trace(part, STATS)) == expected(part, STATS)


@many
@given(data=xspaces, where=st.integers(0, 10**6), byte=st.integers(0, 255))
def test_a_flipped_byte_is_an_error_or_what_protobuf_makes_of_it(data, where, byte):
    """Compares lines and events without stats: the parsers of protobuf disagree with each other on
    map entries that hold unknown fields, which is what a flip makes of stats' names."""
    assume(data)
    where %= len(data)
    broken = data[:where] + bytes([byte]) + data[where + 1 :]
    try:
        mine = plain(read_trace(broken, NO_STATS))
    except TraceError:
        return  # stricter than protobuf in one point: groups
    try:
        theirs = expected(broken, NO_STATS)
    except DecodeError:
        return  # laxer: text that is not UTF-8, payloads that nobody asked for
    assert mine["lines"] == theirs["lines"]
    assert mine["rows"] == theirs["rows"]
