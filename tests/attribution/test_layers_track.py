"""The track of layers inside the trace: parents around children, with what each of them is."""

import json

import keras
import numpy as np
import pytest

import tftrace
from tftrace.attribution.layers_track import MEMORY, PLANE, STATS
from tftrace.parsers.proto.xplane_proto import XSpace
from tftrace.runs.names import TRACE


def trace_of(profile):
    (path,) = profile.folder.glob(f"*{TRACE}")
    return path


@pytest.fixture(scope="module", params=["mission", "recurrent", "mobilenet_v2"])
def profile(request, run_of):
    return run_of(request.param)


@pytest.fixture(scope="module")
def plane(profile):
    (found,) = (
        p for p in XSpace.FromString(trace_of(profile).read_bytes()).planes if p.name == PLANE
    )
    return found


def spans(plane, line):
    """Path, start and end of each slice, as they stand there."""
    return [
        (plane.event_metadata[e.metadata_id].name, e.offset_ps, e.offset_ps + e.duration_ps)
        for e in line.events
    ]


def test_every_slice_lies_in_one_of_its_parent(profile, plane):
    parents = {site.path: site.parent for site in profile._run.sites}
    assert len(plane.lines) >= 1
    for line in plane.lines:
        found = spans(plane, line)
        assert len(found) > 1
        for path, start, end in found:
            if parents[path] is not None:
                assert any(p == parents[path] and s <= start and end <= e for p, s, e in found)


def test_slices_stand_in_order_the_longer_first(plane):
    """As trace viewers nest them."""
    for line in plane.lines:
        order = [(start, -end) for _, start, end in spans(plane, line)]
        assert order == sorted(order)


def test_leaves_cover_the_kernels_of_their_layer(profile, plane):
    layers = profile.layers.set_index("path")
    inside = {path.rpartition("/")[0] for path in layers.index}
    ms: dict[str, float] = {}
    for line in plane.lines:
        for path, start, end in spans(plane, line):
            ms[path] = ms.get(path, 0.0) + (end - start) / 1e9
    owners = profile.ops.loc[profile.ops["layer"].notna() & (profile.ops["calls"] > 0)]
    for path, busy in owners.groupby("layer")["busy_ms"].sum().items():
        if path not in inside:
            # Between two kernels of a layer is time that is none's.
            assert ms[path] >= busy * 0.999


def test_stats_tell_layer_type_macs_and_kernel(profile, plane):
    names = {number: entry.name for number, entry in plane.stat_metadata.items()}

    def value(stat):
        return (
            names[stat.ref_value]
            if stat.WhichOneof("value") == "ref_value"
            else (stat.double_value)
        )

    layers = profile.layers.set_index("path")
    types = profile.ops.groupby("layer")["op_type"].agg(set)
    ran: dict[str, set[str]] = {}
    for line in plane.lines:
        for event in line.events:
            metadata = plane.event_metadata[event.metadata_id]
            told = {names[s.metadata_id]: value(s) for s in [*metadata.stats, *event.stats]}
            assert set(told) <= set(STATS)
            assert told["layer"] == metadata.name
            assert told["type"] == layers.loc[told["layer"], "type"]
            assert told["MACs per sample"] == layers.loc[told["layer"], "macs"]
            if "kernel" in told:
                ran.setdefault(told["layer"], set()).update(told["kernel"].split(", "))
    assert ran
    for path, kinds in ran.items():
        assert kinds <= types[path]


def test_the_viewer_of_tensorboard_shows_them(profile, tmp_path):
    convert = pytest.importorskip("xprof.convert.raw_to_tool_data")
    copy = tmp_path / "vm.xplane.pb"
    copy.write_bytes(trace_of(profile).read_bytes())
    answer, _ = convert.xspace_to_tool_data([str(copy)], "trace_viewer", {})
    events = json.loads(answer)["traceEvents"]
    (process,) = {
        e["pid"]
        for e in events
        if e.get("name") == "process_name" and "Keras layers" in e["args"]["name"]
    }
    slices = [e for e in events if e.get("ph") == "X" and e["pid"] == process]
    shown = {e["args"]["layer"]: e["args"] for e in slices}
    with_kernels = {e["args"]["layer"]: e["args"] for e in slices if "kernel" in e["args"]}
    longest = profile.ops.loc[profile.ops["layer"].notna()].iloc[0]
    assert with_kernels[longest["layer"]].keys() >= set(STATS)
    root = profile.layers.iloc[0]
    assert shown[root["path"]]["type"] == root["type"]


@pytest.mark.kernels
def test_the_viewer_of_tensorboard_draws_the_bytes_held(tmp_path):
    """A sample is a MiB, a batch has two; the padding makes 4 MiB of it, four times."""
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((1 << 18, 1)), layers.ZeroPadding1D(1 << 17), layers.GlobalMaxPooling1D()]
    )
    data = np.ones((8, 1 << 18, 1), "float32")
    options = {"batch_size": 2, "repeats": 0, "calibrate": False}
    found = tftrace.profile(model, data, memory=True, **options)
    line = list(found.live_line)
    most = found.memory["held_at_peak_bytes"].sum()
    assert max(size for _, size in line) == most
    steps = found.steps["start_ms"].to_numpy(float) * 1e6 + found.window_start_ns
    ends = steps + found.steps["wall_ms"].to_numpy(float) * 1e6
    for begin, end in zip(steps, ends, strict=True):
        inside = [size for ns, size in line if begin <= ns < end]
        assert max(inside) - min(inside) >= 4 << 20
    convert = pytest.importorskip("xprof.convert.raw_to_tool_data")
    copy = tmp_path / "vm.xplane.pb"
    copy.write_bytes(trace_of(found).read_bytes())
    answer, _ = convert.xspace_to_tool_data([str(copy)], "trace_viewer@", {})
    (drawn,) = [e for e in json.loads(answer)["traceEvents"] if e.get("name") == MEMORY]
    assert (drawn["ph"], drawn["event_stats"]) == ("C", "bytes")
    # The viewer keeps as many as it has pixels for.
    assert {size for _, size in drawn["entries"]} <= {size for _, size in line}
    assert max(size for _, size in drawn["entries"]) == most
    plain = tftrace.profile(model, data, **options)
    assert list(plain.live_line) == []
