"""Per-op totals: against xprof on real traces, and by hand."""

import subprocess
import sys

import pytest
from raw_trace import framework_op_stats
from xplane_wire import delimited, integer

from tftrace.parsers import MalformedTrace, TruncatedTrace
from tftrace.parsers.op_table import op_rows, op_totals, parse_op_name


@pytest.mark.kernels
@pytest.mark.parametrize("name", ["cnn", "lstm", "xla"])
def test_equals_xprof(captured, tmp_path, name):
    theirs = framework_op_stats(captured[name], tmp_path)
    table = op_totals(captured[name])
    mine = table.set_index(["op", "op_type"])
    assert len(theirs) > 5
    assert set(mine.index) == set(theirs)
    for op, (occurrences, total_us, self_us) in theirs.items():
        assert mine.loc[op, "occurrences"] == occurrences
        assert mine.loc[op, "total_ms"] * 1e3 == pytest.approx(total_us, rel=1e-3)
        assert mine.loc[op, "mean_us"] == pytest.approx(total_us / occurrences, rel=1e-3)
        assert mine.loc[op, "self_ms"] * 1e3 == pytest.approx(self_us, rel=1e-3)
    assert table["total_ms"].is_monotonic_decreasing


def test_concatenated_hosts_are_rows_of_the_same_table(captured):
    once = op_totals(captured["cnn"].read_bytes())
    twice = op_totals(captured["cnn"].read_bytes() * 2)
    assert len(twice) == 2 * len(once)
    assert twice["occurrences"].sum() == 2 * once["occurrences"].sum()


def event(kind, *, start=None, duration=0, count=None):
    body = integer(1, kind) + integer(3, duration)
    if start is not None:
        body += integer(2, start)
    if count is not None:
        body += integer(5, count)
    return delimited(4, body)


def plane(name, lines, names):
    entries = b"".join(
        delimited(4, integer(1, key) + delimited(2, delimited(2, text.encode())))
        for key, text in names.items()
    )
    body = b"".join(delimited(3, line) for line in lines)
    return delimited(1, delimited(2, name.encode()) + body + entries)


def rows(data):
    table = op_totals(data)
    return {
        row.op: (row.op_type, row.occurrences, row.total_ms * 1e9, row.self_ms * 1e9)
        for row in table.itertuples()
    }


OPS = {1: "a/outer:Outer", 2: "a/inner:Inner", 3: "the runtime's own", 2**40: "far:Far"}


def test_self_time_is_without_the_ops_inside():
    line = b"".join(
        [
            event(1, start=0, duration=100),
            event(3, start=5, duration=90),  # no op: it takes nothing away
            event(2, start=10, duration=20),
            event(2, start=12, duration=5),
            event(2, start=90, duration=30),  # sticks out: 10 of it lie inside
            event(2**40, start=200, duration=7),
        ]
    )
    assert rows(plane("/host:CPU", [line], OPS)) == {
        "a/outer": ("Outer", 1, 100, 100 - 20 - 10),
        "a/inner": ("Inner", 3, 55, 50),
        "far": ("Far", 1, 7, 7),
    }


def test_lines_do_not_nest_in_each_other():
    lines = [event(1, start=0, duration=100), event(2, start=10, duration=20)]
    assert rows(plane("/host:CPU", lines, OPS))["a/outer"] == ("Outer", 1, 100, 100)


def test_self_time_of_an_unsorted_line_is_unknown():
    line = event(2, start=50, duration=1) + event(1, start=0, duration=100)
    table = op_totals(plane("/host:CPU", [line], OPS))
    assert table["total_ms"].tolist() == [100e-9, 1e-9]
    assert table["self_ms"].isna().all()


def test_aggregated_events_count_as_often_as_they_occurred():
    line = event(1, duration=100, count=40) + event(1, start=3, duration=5)
    assert rows(plane("/host:CPU", [line], OPS))["a/outer"][:3] == ("Outer", 41, 105)


def test_device_kernels_bear_the_op_that_launched_them_and_derived_lines_are_left_out():
    def launched(kind, duration, op):
        stat = delimited(4, integer(1, 9) + delimited(5, op.encode()))
        return delimited(4, integer(1, kind) + integer(3, duration) + stat)

    stream = delimited(2, b"Stream #13(Compute)")
    stream += launched(1, 10, "net/conv/Conv2D:Conv2D") + launched(2, 5, "net/conv/Conv2D:Conv2D")
    stream += launched(1, 3, "x:_Send#edge=1#") + event(2, duration=2)
    derived = delimited(2, b"TensorFlow Ops") + event(3, duration=15)
    names = {1: "gemm", 2: "copy", 3: "net/conv/Conv2D:Conv2D"}
    tf_op = delimited(5, integer(1, 9) + delimited(2, delimited(2, b"tf_op")))
    one = plane("/device:GPU:0", [stream, derived], names)
    body = one[2:] if one[1] < 128 else one[3:]
    data = delimited(1, body + tf_op)
    table = op_totals(data)
    assert table[["op", "op_type", "device", "occurrences"]].to_numpy().tolist() == [
        ["net/conv/Conv2D", "Conv2D", "device", 2],
        ["x", "_Send", "device", 1],
        ["copy", "", "device", 1],
    ]
    assert (table["total_ms"] * 1e9).round().tolist() == [15, 3, 2]


def test_no_ops_at_all():
    table = op_totals(plane("/host:CPU", [event(3, start=0, duration=5)], OPS))
    assert table.empty
    assert table.columns.tolist() == [
        "op",
        "op_type",
        "plane",
        "device",
        "occurrences",
        "total_ms",
        "mean_us",
        "self_ms",
    ]


def test_rows_are_the_table_without_pandas(captured):
    table = op_totals(captured["cnn"])
    rows = op_rows(captured["cnn"])
    assert [(row.op, row.op_type, row.occurrences) for row in rows] == list(
        table[["op", "op_type", "occurrences"]].itertuples(index=False, name=None)
    )
    script = "import sys; from tftrace.parsers.op_table import op_rows; op_rows(sys.argv[1]);"
    script += "assert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", script, captured["cnn"]], check=True)


def test_broken_files():
    whole = plane("/host:CPU", [event(1, start=0, duration=5)], OPS)
    with pytest.raises(TruncatedTrace):
        op_totals(whole[:-3])
    assert op_totals(whole + whole[:-3], salvage=True)["occurrences"].tolist() == [1, 1]
    with pytest.raises(MalformedTrace):
        op_totals(plane("/host:CPU", [delimited(4, b"\x08")], OPS))


@pytest.mark.parametrize(
    ("name", "op"),
    [
        ("model/dense_1/MatMul:MatMul", ("model/dense_1/MatMul", "MatMul")),
        ("Iterator::Root::Prefetch", ("Iterator::Root::Prefetch", "Dataset")),
        ("while/body/_1/x.y-z>w:_FusedMatMul", ("while/body/_1/x.y-z>w", "_FusedMatMul")),
        ("jit(f)/dot:dot_general[dims=1]", ("jit(f)/dot", "dot_general")),
        ("ThreadpoolListener::Record", None),
        ("end: fusion.1", None),
        ("EagerExecute", None),
    ],
)
def test_what_counts_as_an_op(name, op):
    assert parse_op_name(name) == op
