"""Traces of other programs on GPUs, several devices, JAX: nothing guessed, every device whole."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from traces import write_trace

from tftrace.api.load import load
from tftrace.api.profile import Profile
from tftrace.parsers.proto.xplane_proto import XSpace

REAL = Path(__file__).parents[3] / "shared" / "traces"
TRACES = ("gpu_alexnet_fit", "gpu_bert_8_replicas", "gpu_mi300_jax_conv")


def kernel(event: str, start: int, end: int, launch: int, hlo: str = "", **stats: object):
    made = {"hlo_op": hlo, "hlo_module": "jit_step", "program_id": 3} if hlo else {}
    return (event, start, end, {"correlation_id": launch, **made, **stats})


def module() -> dict[str, bytes]:
    """The program that the kernels name: one instruction knows what it was made for."""
    from tensorflow.compiler.xla.service import hlo_pb2

    proto = hlo_pb2.HloProto()
    proto.hlo_module.name, proto.hlo_module.entry_computation_id = "jit_step", 1
    entry = proto.hlo_module.computations.add(id=1, name="entry", root_id=1)
    made = entry.instructions.add(id=1, name="custom-call.1", opcode="custom-call")
    made.metadata.op_name = "jit(step)/dot_general"
    return {"jit_step(3)": proto.SerializeToString()}


@pytest.fixture
def jax(tmp_path: Path) -> Profile:
    """A window of 1,000 us: two GPUs, one of them copying while it computes."""
    planes = {
        "/host:CPU": {
            "python3": [("PjitFunction(step)", 0, 1000, {})],
            "launcher": [kernel("cuLaunchKernel", 10, 20, 1, "custom-call.1")],
        },
        "/device:GPU:0": {
            "Stream #13(Compute)": [
                kernel("sm80_gemm", 100, 200, 1, "custom-call.1"),
                kernel("loop_fusion", 200, 260, 2, "fusion.2", name="jit(step)/tanh"),
            ],
            "Stream #14(MemcpyD2H)": [kernel("MemcpyD2H", 150, 250, 3)],
            "XLA Ops": [("custom-call.1", 100, 200, {"hlo_op": "custom-call.1"})],
            "XLA Modules": [("jit_step", 100, 260, {})],
            "Steps": [("0", 100, 260, {})],
        },
        "/device:GPU:1": {
            "Stream #13(Compute)": [kernel("sm80_gemm", 100, 220, 4, "custom-call.1")],
        },
        "/device:GPU:2": {},
    }
    return load(write_trace(tmp_path / "jax.xplane.pb", planes, module()))


def test_each_device_sums_to_the_window_and_nothing_is_guessed(jax: Profile):
    wall = jax.wall.set_index(["device", "component"])
    expected = {
        ("/device:GPU:0", "compute"): (0.110, 0.160),
        ("/device:GPU:0", "copies"): (0.050, 0.100),
        ("/device:GPU:0", "autotuning"): (0.0, 0.0),
        ("/device:GPU:0", "idle"): (0.840, None),
        ("/device:GPU:1", "compute"): (0.120, 0.120),
        ("/device:GPU:1", "copies"): (0.0, 0.0),
        ("/device:GPU:1", "autotuning"): (0.0, 0.0),
        ("/device:GPU:1", "idle"): (0.880, None),
        ("/device:GPU:2", "compute"): (0.0, 0.0),
        ("/device:GPU:2", "copies"): (0.0, 0.0),
        ("/device:GPU:2", "autotuning"): (0.0, 0.0),
        ("/device:GPU:2", "idle"): (1.0, None),
        ("/host:CPU", "ops"): (0.0, 0.0),
        ("/host:CPU", "launches of device work"): (0.010, None),
        ("/host:CPU", "threads outside ops"): (0.990, None),
        ("/host:CPU", "nothing recorded"): (0.0, None),
    }
    assert list(wall.index) == list(expected)
    for key, (wall_ms, busy_ms) in expected.items():
        assert wall.loc[key, "wall_ms"] == pytest.approx(wall_ms, abs=1e-9), key
        assert wall.loc[key, "wall_share"] == pytest.approx(wall_ms, abs=1e-9), key
        busy = wall.loc[key, "busy_ms"]
        assert pd.isna(busy) if busy_ms is None else busy == pytest.approx(busy_ms), key


def test_kernels_of_xla_are_told_by_instruction_program_and_what_they_were_made_for(jax: Profile):
    ops = jax.ops.set_index(["op", "device"])
    gemm = ops.loc["custom-call.1", "/device:GPU:0"]
    assert (gemm["op_type"], gemm["hlo_module"]) == ("custom-call", "jit_step(3)")
    assert (gemm["members"], gemm["calls"]) == (["jit(step)/dot_general"], 1)
    assert gemm["wall_ms"] == pytest.approx(0.075)
    # Not in the program's proto: what the device noted is what there is.
    fusion = ops.loc["fusion.2", "/device:GPU:0"]
    assert (fusion["op_type"], fusion["members"]) == ("XLA", ["jit(step)/tanh"])
    assert fusion["component"] == "compute"
    assert ops.loc["MemcpyD2H", "/device:GPU:0"]["component"] == "copies"
    # The host's launch names the kernel too, and is no execution of it.
    assert not jax.ops["device"].eq("/host:CPU").any()


def test_what_devices_ran_alike_stands_side_by_side(jax: Profile):
    (row,) = jax.replicas.to_dict("records")
    assert (row["op"], row["devices"], row["slowest"]) == ("custom-call.1", 2, "/device:GPU:1")
    assert [row[f"{k}_ms"] for k in ("min", "median", "max")] == pytest.approx([0.1, 0.11, 0.12])


def test_streams_and_threads_are_told_by_the_time_in_any_event(jax: Profile):
    rows = jax.lines[["device", "line", "events"]].to_numpy().tolist()
    assert rows == [
        ["/host:CPU", "python3", 1],
        ["/host:CPU", "launcher", 1],
        ["/device:GPU:0", "Stream #13(Compute)", 2],
        ["/device:GPU:0", "Stream #14(MemcpyD2H)", 1],
        ["/device:GPU:1", "Stream #13(Compute)", 1],
    ]
    expected = [1.0, 0.01, 0.16, 0.1, 0.12]
    assert jax.lines["busy_ms"].tolist() == pytest.approx(expected)
    assert jax.lines["busy_share"].tolist() == pytest.approx(expected)
    assert "Stream #14(MemcpyD2H)" in str(jax)


def test_the_replica_is_no_part_of_an_operations_name(tmp_path: Path):
    scopes = ("m/conv/Conv2D:Conv2D", "replica_1/m/conv/Conv2D:Conv2D")
    planes = {
        f"/device:GPU:{i}": {"Stream #1(Compute)": [kernel("k", 0, 100 + i, 1, tf_op=scope)]}
        for i, scope in enumerate((*scopes, f"gradient_tape/{scopes[1]}"))
    }
    profile = load(write_trace(tmp_path / "a.xplane.pb", planes))
    (row,) = profile.replicas.to_dict("records")
    assert (row["op"], row["devices"]) == ("m/conv/Conv2D", 2)
    assert "replica_1/m/conv/Conv2D" in set(profile.ops["op"])


def test_rocms_copies_are_copies_though_they_are_kernels(tmp_path: Path):
    stream = [
        kernel("__amd_rocclr_copyBuffer.kd", 0, 30, 1),
        kernel("__amd_rocclr_fillBufferAligned.kd", 30, 40, 2),
        kernel("Im3d2Col.kd", 40, 100, 3, "custom-call.1", tf_op="XlaModule:"),
        kernel("some_kernel.kd", 100, 120, 4),
    ]
    planes = {"/device:GPU:0": {"Stream #16(Kernel)": stream}}
    profile = load(write_trace(tmp_path / "rocm.xplane.pb", planes))
    wall = profile.wall.set_index("component")["wall_ms"]
    assert wall["copies"] == pytest.approx(0.040)
    assert wall["compute"] == pytest.approx(0.080)
    ops = profile.ops.set_index("op")
    assert ops.loc["custom-call.1", "op_type"] == "XLA"
    assert ops.loc["some_kernel.kd", "op_type"] == "kernel"


def test_a_copy_that_xla_launched_is_a_copy(tmp_path: Path):
    stream = [
        kernel("cudnn_conv", 0, 30, 1, "custom-call.1"),
        kernel("Memset", 30, 35, 2, "custom-call.1"),
        kernel("MemcpyD2D", 40, 60, 3, "copy.3"),
    ]
    planes = {"/device:GPU:0": {"Stream #1(Compute,MemcpyD2D,Memset)": stream}}
    profile = load(write_trace(tmp_path / "copy.xplane.pb", planes))
    wall = profile.wall.set_index("component")["wall_ms"]
    assert (wall["compute"], wall["copies"]) == pytest.approx((0.030, 0.025))
    rows = profile.ops.set_index(["op", "op_type"])["component"].to_dict()
    assert rows == {
        ("custom-call.1", "XLA"): "compute",
        ("custom-call.1", "Memset"): "copies",
        ("copy.3", "MemcpyD2D"): "copies",
    }


def test_a_plane_whose_lines_are_not_known_is_said_to_be_left_out(tmp_path: Path):
    planes = {
        "/device:TPU:0": {"XLA Ops": [("fusion.1", 0, 10, {})], "Steps": [("0", 0, 10, {})]},
        "/device:GPU:0": {"Kernels": [("k", 0, 10, {})]},
        "/device:CUSTOM:Keras layers": {"layers": [("conv", 0, 10, {})]},
        "/host:CPU": {"python3": [("a", 0, 10, {})]},
    }
    profile = load(write_trace(tmp_path / "tpu.xplane.pb", planes))
    told = " ".join(profile.warnings)
    assert "/device:TPU:0 is not reported" in told
    assert "XLA Ops, Steps" in told
    assert "/device:GPU:0 is not reported" in told
    assert "CUSTOM" not in told
    assert "nothing was recorded" in told


@pytest.mark.parametrize(
    "planes",
    [
        {},
        {"/host:CPU": {}},
        {"/host:CPU": {"python3": []}, "/device:GPU:0": {"Stream #1(Compute)": []}},
        {"/host:CPU": {"python3": [("unknown", 5, 5, {})]}},
        {"/device:GPU:0": {}},
        {"/device:TPU:0": {"XLA Ops": [("fusion", 0, 10, {})]}},
    ],
)
def test_a_trace_without_anything_to_attribute_says_so(planes: dict, tmp_path: Path):
    profile = load(write_trace(tmp_path / "none.xplane.pb", planes))
    assert "nothing was recorded" in str(profile)
    shown_everywhere(profile, tmp_path)


@pytest.mark.parametrize("only", ["/host:CPU", "/device:GPU:0"])
def test_one_side_alone_is_enough(only: str, tmp_path: Path):
    planes = {
        "/host:CPU": {"tf_Compute": [("m/a/Relu:Relu", 0, 40, {})]},
        "/device:GPU:0": {"Stream #1(Compute)": [kernel("k", 0, 40, 1, tf_op="m/a/Relu:Relu")]},
    }
    profile = load(write_trace(tmp_path / "one.xplane.pb", {only: planes[only]}))
    (row,) = profile.ops.to_dict("records")
    assert (row["op"], row["op_type"], row["device"]) == ("m/a/Relu", "Relu", only)
    assert row["wall_ms"] == pytest.approx(0.04)
    assert profile.wall["wall_ms"].sum() == pytest.approx(0.04)


def shown_everywhere(profile: Profile, folder: Path) -> None:
    """Every output is made without an exception."""
    import json

    from tftrace.report.exports.tables import export_tables
    from tftrace.report.html.run import render_page

    assert profile.window_ms is not None
    assert "no marks of tftrace" in " ".join(str(profile).split())
    assert "no marks of tftrace" in render_page(profile)
    assert profile._repr_html_().startswith("<div>")
    data = json.loads(json.dumps(profile.to_dict(), allow_nan=False))
    assert data["findings"] == []
    assert "no counts" in data["no_findings"]
    assert data["run"]["samples"] is None
    assert data["recording"]["recorded"] is None
    for format in ("csv", "parquet"):
        assert len(export_tables(profile, format, folder / format)) == 5
    export_tables(profile, "json", folder / "all.json")


def test_every_output_shows_it(jax: Profile, tmp_path: Path):
    shown_everywhere(jax, tmp_path)
    text = str(jax)
    for word in ("GPU:1", "custom-call.1", "jit(step)/dot_general", "several devices"):
        assert word in text
    for word in ("Keras loop", "input pipeline", "compilation"):
        assert word not in text


# --- real ones --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TRACES)
def test_a_real_traces_devices_add_up_to_what_a_plain_parse_finds(name: str, tmp_path: Path):
    path = REAL / f"{name}.xplane.pb"
    if not path.exists():
        pytest.skip("the real trace is not here")
    calls, busy = Counter(), Counter()
    for plane in XSpace.FromString(path.read_bytes()).planes:
        for line in plane.lines:
            if plane.name.startswith("/device:GPU:") and line.name.startswith("Stream #"):
                calls[plane.name] += len(line.events)
                busy[plane.name] += sum(event.duration_ps for event in line.events)
    assert sum(busy.values())

    profile = load(path)
    ops = profile.ops[profile.ops["device"].str.startswith("/device:")]
    found = ops.groupby("device")[["calls", "busy_ms"]].sum()
    assert dict(found["calls"]) == {k: n for k, n in calls.items() if n}
    assert dict(found["busy_ms"]) == pytest.approx({k: b / 1e9 for k, b in busy.items() if b})
    wall = profile.wall
    on_device = wall[wall["device"].str.startswith("/device:")]
    in_wall = on_device.groupby("device")["busy_ms"].sum()
    assert dict(in_wall) == pytest.approx({k: busy[k] / 1e9 for k in in_wall.index})
    for total in wall.groupby("device")["wall_ms"].sum():
        assert total == pytest.approx(profile.window_ms)
    # Each row counts in the row of the wall that it names.
    keys = ["device", "component"]
    shared = profile.ops.groupby(keys)["wall_ms"].sum()
    assert dict(shared) == pytest.approx(dict(wall.set_index(keys)["wall_ms"][shared.index]))
    shown_everywhere(profile, tmp_path)


def test_a_real_jax_trace_names_its_kernels():
    path = REAL / "gpu_mi300_jax_conv.xplane.pb"
    if not path.exists():
        pytest.skip("the real trace is not here")
    profile = load(path)
    conv = profile.ops[profile.ops["op"] == "cudnn-conv.1"]
    assert conv["device"].nunique() == len(conv) == 8
    assert set(conv["op_type"]) == {"custom-call"}
    assert all(m == ["jit(forward_3d_conv)/conv_general_dilated"] for m in conv["members"])
    assert set(profile.replicas["devices"]) == {8}


@pytest.mark.parametrize("name", TRACES)
def test_memory_of_a_gpu_sums_to_what_its_allocator_counts(name):
    """Whose it is nobody tells, nor how large the weights are: so the total is null."""
    if not REAL.exists():
        pytest.skip("no shared traces beside the project")
    profile = load(REAL / f"{name}.xplane.pb")
    buffers = profile._held.buffers
    assert buffers.drift == 0
    table = profile.memory.set_index("path")["held_at_peak_bytes"]
    assert table.drop("weights").sum() == buffers.counted_peak > 0
    assert profile.memory_timeline["live_bytes"].max() == buffers.counted_peak
    assert table["weights"] is pd.NA


def noted(name):
    """What the events of each allocator say, in order of time, as protobuf reads them."""
    space = XSpace.FromString((REAL / f"{name}.xplane.pb").read_bytes())
    found: dict[str, list[dict[str, int]]] = {}
    for plane in space.planes:
        names = {key: entry.name for key, entry in plane.stat_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                kind = plane.event_metadata[event.metadata_id].name
                if not kind.startswith("Memory"):
                    continue
                told = {
                    names[s.metadata_id]: getattr(s, s.WhichOneof("value")) for s in event.stats
                }
                allocator = told["allocator_name"]
                allocator = names.get(allocator, allocator)
                told["time"] = line.timestamp_ns * 1000 + event.offset_ps
                told["gives"] = kind == "MemoryAllocation"
                found.setdefault(allocator, []).append(told)
    return {key: sorted(events, key=lambda e: e["time"]) for key, events in found.items()}


@pytest.mark.parametrize("name", TRACES)
def test_every_gpu_has_a_row_of_its_allocator(name):
    if not REAL.exists():
        pytest.skip("no shared traces beside the project")
    table = load(REAL / f"{name}.xplane.pb").allocators.set_index("allocator")
    events = noted(name)
    assert set(table.index) == set(events)
    for allocator, own in events.items():
        row = table.loc[allocator]
        used = [e["bytes_allocated"] for e in own]
        assert row["allocations"] == sum(e["gives"] for e in own)
        # The window is the whole trace.
        assert row["peak_bytes"] == max(used)
        assert row["process_peak_bytes"] == max(e["peak_bytes_in_use"] for e in own)
        assert {e["bytes_allocated"] + e["bytes_available"] for e in own} == {row["limit_bytes"]}
        held = {}
        for event in own[: used.index(max(used)) + 1]:
            held[event["addr"]] = event
            if not event["gives"]:
                del held[event["addr"]]
        spare = sum(e["allocation_bytes"] - e["requested_bytes"] for e in held.values())
        assert row["rounding_bytes"] == spare
