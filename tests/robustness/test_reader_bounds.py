"""The reader's memory stays within bounds that the file's size sets; what changes is not read."""

import os
from pathlib import Path

import pytest
from hostile_traces import TINY, TRACES, cost, host, memory_bound

from tftrace.parsers import TraceError, read_trace, trace_file
from tftrace.parsers.errors import ChangedTrace


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")
@pytest.mark.parametrize("name", TRACES)
def test_memory_is_bounded_by_the_size_of_the_file(name):
    found = cost(name)
    assert found["memory"] < memory_bound(found["size"])


@pytest.fixture
def changing(tmp_path, monkeypatch):
    """`changing(change)`: the path of a trace, to which `change(path)` is done while it is read."""
    path = tmp_path / "vm.xplane.pb"
    path.write_bytes(host(b"\x1a\x02\x22\x00" * 10_000))
    memory = trace_file._memory

    def prepare(change):
        def changed(size):
            change(path)
            return memory(size)

        monkeypatch.setattr(trace_file, "_memory", changed)
        return path

    return prepare


@pytest.mark.parametrize("size", [0, 5, 30_000])
def test_a_file_that_is_cut_while_it_is_read_is_an_error(changing, size):
    path = changing(lambda path: os.truncate(path, size))
    with pytest.raises(ChangedTrace, match=r"vm\.xplane\.pb changed while it was read"):
        read_trace(path)


def test_a_file_that_grows_while_it_is_read_is_an_error(changing):
    def grow(path):
        with path.open("ab") as file:
            file.write(TINY)

    with pytest.raises(ChangedTrace):
        read_trace(changing(grow))


def test_a_file_that_is_replaced_while_it_is_read_is_the_old_one(changing, tmp_path):
    def replace(path):
        (tmp_path / "new").write_bytes(TINY)
        (tmp_path / "new").replace(path)

    assert len(read_trace(changing(replace)).events) == 10_000


@pytest.mark.parametrize("size", [0, 5, 30_000])
def test_what_was_opened_does_not_change_with_the_file(tmp_path, size):
    path = tmp_path / "vm.xplane.pb"
    content = host(b"\x1a\x02\x22\x00" * 10_000)
    path.write_bytes(content)
    opened = trace_file.open_trace(path)
    os.truncate(path, size)
    assert bytes(opened.view) == content


def test_the_events_of_a_line_never_overrun_those_that_were_counted():
    """A head that counts fewer events than its line has: the columns end with the count."""
    from dataclasses import replace

    from tftrace.parsers.columns import read_columns
    from tftrace.parsers.lines import scan_lines
    from tftrace.parsers.trace import NO_STATS

    file = trace_file.open_trace(host(b"\x1a\x06" + b"\x22\x00" * 3, b"\x1a\x04" + b"\x22\x00" * 2))
    heads = scan_lines(file, 1, False)
    events, _, _ = read_columns(file, [replace(heads[0], events=1), heads[1]], NO_STATS, 1)
    assert events.line.tolist() == [0, 1, 1]


def test_refusals_are_trace_errors():
    assert issubclass(ChangedTrace, TraceError)
    with pytest.raises(TraceError, match="many times the file's size"):
        read_trace(TRACES["empty lines"]())
