"""The fast reader on traces that the profiler wrote."""

import subprocess
import sys

import numpy as np
import pytest
from xplane_reference import expected, plain

from tftrace.parsers import DEFAULT_STATS, TruncatedTrace, read_hlo_protos, read_trace
from tftrace.parsers.proto.xplane_proto import XSpace


@pytest.mark.parametrize("threads", [1, 3])
def test_reads_what_protobuf_reads(real_trace, threads):
    trace = read_trace(real_trace, threads=threads)
    assert len(trace.events) > 1000
    assert plain(trace) == expected(real_trace.read_bytes(), DEFAULT_STATS)


def test_bytes_and_path_are_the_same_source(real_trace):
    assert plain(read_trace(real_trace.read_bytes())) == plain(read_trace(str(real_trace)))


def test_names_and_where_agree_with_protobuf(captured):
    trace = read_trace(captured["cnn"])
    space = XSpace.FromString(captured["cnn"].read_bytes())
    names = [
        plane.event_metadata[event.metadata_id].name
        for plane in space.planes
        for line in plane.lines
        for event in line.events
    ]
    assert trace.names(np.arange(len(trace.events))).tolist() == names
    assert trace.names([5, 2, 5]).tolist() == [names[5], names[2], names[5]]
    records = trace.where(lambda plane, name: name == "ThreadpoolListener::Record")
    assert records.tolist() == [
        i for i, name in enumerate(names) if name == "ThreadpoolListener::Record"
    ]
    assert len(records) > 10


def test_stats_dense_and_at(captured):
    trace = read_trace(captured["xla"])
    module = trace.events.stat("hlo_module")
    bearing = trace.events.stats["hlo_op"].events
    assert len(bearing) > 5
    assert np.flatnonzero(module >= 0).tolist() == bearing.tolist()
    at = trace.events.stats["hlo_module"].at([int(bearing[-1]), 0, int(bearing[0])])
    assert at.tolist() == [module[bearing[-1]], -1, module[bearing[0]]]
    assert {trace.string(code) for code in np.unique(module)} > {None}


def test_hlo_protos_of_an_xla_trace(captured):
    protos = read_hlo_protos(captured["xla"])
    assert len(protos) == 1
    ((name, proto),) = protos.items()
    assert name.startswith("a_inference_one_step_on_data")
    assert b"sequential" in proto
    assert read_hlo_protos(captured["cnn"]) == {}


def test_a_copy_that_was_cut_off(captured, tmp_path):
    data = captured["cnn"].read_bytes()
    path = tmp_path / "cut.xplane.pb"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(TruncatedTrace, match=rf"^truncated at byte {len(data) // 2}, \d+ events"):
        read_trace(path)
    salvaged = read_trace(path, salvage=True)
    whole = read_trace(data)
    count = len(salvaged.events)
    assert 100 < count < len(whole.events)
    np.testing.assert_array_equal(salvaged.events.duration_ps, whole.events.duration_ps[:count])


def test_readers_do_not_import_tensorflow(captured):
    script = (
        "import sys; from tftrace.parsers import read_trace; from tftrace.parsers.op_table import"
        " op_totals; read_trace(sys.argv[1]); op_totals(sys.argv[1]);"
        "assert 'tensorflow' not in sys.modules and 'google.protobuf' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, captured["cnn"]], check=True)
