"""GPU planes: built event by event, and a real one where it is at hand."""

from pathlib import Path

import pytest
from traces import function_of, run_of, write_trace

from tftrace.attribution.join import Join
from tftrace.tables.events import events_table
from tftrace.tables.layers import layers_table
from tftrace.tables.ops import ops_table
from tftrace.tables.wall import wall_table

REAL = Path(__file__).parents[3] / "shared" / "traces" / "gpu_alexnet_fit.xplane.pb"

CONV, SLOW, NORM = "m/conv/Conv2D:Conv2D", "m/slow/Conv2D:Conv2D", "m/norm/Fused:FusedBatchNormV3"


def kernel(name: str, start: int, end: int, launch: int, **stats: object):
    return (name, start, end, {"correlation_id": launch, "group_id": 0, **stats})


def host(*operations: tuple) -> dict:
    """A window of 1,000 us in which the predict function runs from 50 to 950."""
    run = {"id": 7}
    return {
        "python": [
            ("tftrace window", 0, 1000, {}),
            ("EagerLocalExecute: __inference_f", 50, 950, {}),
            ("FunctionRun", 60, 940, run),
        ],
        "tf_Compute/1": [("ExecutorState::Process", 70, 900, run), *operations],
    }


@pytest.fixture
def join(tmp_path: Path) -> Join:
    streams = {
        "Stream #13(Compute,MemcpyD2D)": [
            kernel("trial_a", 200, 260, 1, tf_op=SLOW),
            kernel("redzone_checker", 260, 270, 2, tf_op=SLOW),
            kernel("trial_b", 270, 300, 3, tf_op=SLOW),
            kernel("redzone_checker", 300, 310, 4, tf_op=SLOW),
            kernel("volta_scudnn", 310, 340, 5, tf_op=SLOW),
            kernel("winograd", 400, 500, 6, **{"level 0": CONV, "annotation": CONV}),
            kernel("MemcpyD2D", 500, 505, 7, annotation=NORM),
            kernel("bn_fw", 505, 545, 8, annotation=f"{NORM}::#edge_name=x#"),
            kernel("some_kernel", 600, 620, 9),
        ],
        "Stream #14(MemcpyH2D)": [kernel("MemcpyH2D", 120, 150, 10, annotation="in/_5:_Recv")],
        "Stream #18(Compute)": [kernel("gemm", 450, 550, 11, tf_op=CONV)],
        # The same time once more, in other shapes.
        "TensorFlow Ops": [(CONV, 400, 500, {}), (SLOW, 200, 340, {})],
        "TensorFlow Name Scope": [("m", 200, 620, {})],
        "XLA Modules": [("module", 100, 900, {})],
        "Steps": [("0", 100, 900, {})],
    }
    operations = (
        (SLOW, 80, 110, {}),
        ("cuLaunchKernel", 85, 90, {"correlation_id": 1}),
        (CONV, 112, 118, {}),
        ("m/text/Split:StringSplit", 700, 760, {}),
    )
    trace = write_trace(
        tmp_path / "gpu.xplane.pb", {"/host:CPU": host(*operations), "/device:GPU:0": streams}
    )
    function = function_of(
        ("m/conv/Conv2D", "Conv2D", 0, 1, {"macs": 40}),
        ("m/slow/Conv2D", "Conv2D", 1, 1, {"macs": 60}),
        ("m/norm/Fused", "FusedBatchNormV3", 2, 1, {}),
        ("m/text/Split", "StringSplit", 3, 1, {}),
    )
    return Join(run_of(trace, ["m/conv", "m/slow", "m/norm", "m/text"], function))


def test_kernels_on_streams_are_the_ops_and_derived_lines_add_nothing(join: Join):
    ops = ops_table(join).set_index(["op", "op_type"])
    conv = ops.loc["m/conv/Conv2D", "Conv2D"]
    assert (conv["layer"], conv["calls"], conv["device"]) == ("m/conv", 2, "/device:GPU:0")
    assert conv["busy_ms"] == pytest.approx(0.2)
    # 400 to 550, shared from 500 with the batch norm's copy and kernel on the other stream.
    assert conv["wall_ms"] == pytest.approx(0.100 + 0.0225 + 0.005)
    assert conv["macs"] == 20
    assert ops.loc["m/norm/Fused", "FusedBatchNormV3"]["wall_ms"] == pytest.approx(0.02)
    assert set(events_table(join)["line"]) == {
        *("Stream #13(Compute,MemcpyD2D)", "Stream #14(MemcpyH2D)"),
        *("Stream #18(Compute)", "tf_Compute/1"),
    }


def test_trying_out_algorithms_is_a_row_of_its_own(join: Join):
    ops = ops_table(join).set_index(["op", "op_type"])
    tried, real = (ops.loc["m/slow/Conv2D", kind] for kind in ("autotuning", "Conv2D"))
    assert (tried["calls"], tried["layer"] is None or tried["layer"] != tried["layer"]) == (4, True)
    assert tried["component"] == "model ops outside layers"
    assert tried["wall_ms"] == pytest.approx(0.11)
    assert (real["layer"], real["wall_ms"]) == ("m/slow", pytest.approx(0.03))


def test_copies_are_rows_of_their_own(join: Join):
    ops = ops_table(join).set_index(["op", "op_type"])
    inside, given = ops.loc["m/norm/Fused", "MemcpyD2D"], ops.loc["in/_5", "MemcpyH2D"]
    assert (inside["layer"], inside["wall_ms"]) == ("m/norm", pytest.approx(0.0025))
    assert (given["component"], given["wall_ms"]) == (
        "model ops outside layers",
        pytest.approx(0.03),
    )


def test_the_host_dispatches_and_the_wall_closes(join: Join):
    ops = ops_table(join)
    on_host = ops[ops["device"] == "/host:CPU"]
    assert list(on_host["op"]) == ["m/text/Split"]
    wall = wall_table(join).set_index("component")["wall_ms"]
    assert wall.sum() == pytest.approx(1.0, rel=1e-9)
    # Launches 80-110 and 112-118, and the call around the executor: 50-70, 900-950.
    assert wall["function dispatch"] == pytest.approx(0.036 + 0.070)
    assert wall["layers"] == pytest.approx(layers_table(join)["wall_ms"].sum())
    assert wall["layers"] == pytest.approx(0.030 + 0.150 + 0.060)


def test_a_kernel_that_nobody_names_keeps_its_own_name(join: Join):
    ops = ops_table(join).set_index("op")
    assert ops.loc["some_kernel", "op_type"] == "kernel"
    assert ops.loc["some_kernel", "component"] == "model ops outside layers"


def test_each_device_has_rows_of_its_own(tmp_path: Path):
    devices = {
        f"/device:GPU:{i}": {"Stream #1": [kernel("k", 200, 300 + 100 * i, 1, tf_op=CONV)]}
        for i in range(2)
    }
    trace = write_trace(tmp_path / "two.xplane.pb", {"/host:CPU": host(), **devices})
    function = function_of(("m/conv/Conv2D", "Conv2D", 0, 1, {}))
    ops = ops_table(Join(run_of(trace, ["m/conv"], function))).set_index("device")
    assert dict(ops["busy_ms"]) == pytest.approx({"/device:GPU:0": 0.1, "/device:GPU:1": 0.2})
    assert ops["wall_ms"].sum() == pytest.approx(0.2)


def test_compiled_kernels_of_a_device_are_found_through_their_module(tmp_path: Path):
    from tensorflow.compiler.xla.service import hlo_pb2

    proto = hlo_pb2.HloProto()
    proto.hlo_module.name, proto.hlo_module.entry_computation_id = "a_inference_f", 1
    entry = proto.hlo_module.computations.add(id=1, name="entry", root_id=2)
    for number, opcode, op_name in ((1, "parameter", ""), (2, "convolution", "m/conv/Conv2D")):
        made = entry.instructions.add(id=number, name=f"{opcode}.1", opcode=opcode)
        made.metadata.op_name = op_name
        made.shape.dimensions.extend([4])
    module = {"hlo_op": "convolution.1", "hlo_module": "a_inference_f", "program_id": 3}
    call = {"name": "Call", "kernel_type": "StatefulPartitionedCall"}
    trace = write_trace(
        tmp_path / "xla.xplane.pb",
        {
            "/host:CPU": host(("ExecutorState::ProcessAsync::Start", 80, 800, call)),
            "/device:GPU:0": {"Stream #1": [kernel("cudnn", 200, 300, 1, **module)]},
        },
        {"a_inference_f(3)": proto.SerializeToString()},
    )
    function = function_of(
        ("Call", "StatefulPartitionedCall", -1, 1, {}),
        ("Call/m/conv/Conv2D", "Conv2D", 0, 1, {"macs": 8}),
    )
    ops = ops_table(Join(run_of(trace, ["m/conv"], function))).set_index("op")
    conv = ops.loc["convolution.1"]
    assert (conv["layer"], conv["op_type"], conv["macs"]) == ("m/conv", "convolution", 4)
    assert conv["wall_ms"] == pytest.approx(0.1)
    assert ops.loc["Call", "component"] == "executor and unrecorded ops"
    assert ops.loc["Call", "wall_ms"] == pytest.approx(0.62)


@pytest.mark.skipif(not REAL.exists(), reason="the real trace is not here")
def test_a_real_gpu_trace_adds_up_to_its_kernels_and_copies():
    from tftrace.attribution.by_name.foreign import foreign_join
    from tftrace.parsers.proto.xplane_proto import XSpace

    space = XSpace.FromString(REAL.read_bytes())
    (plane,) = [p for p in space.planes if p.name == "/device:GPU:0"]
    streams = [line for line in plane.lines if line.name.startswith("Stream")]
    events = [event for line in streams for event in line.events]
    checks = [k for k, m in plane.event_metadata.items() if m.name == "redzone_checker"]
    checking = sum(e.duration_ps for e in events if e.metadata_id in checks)
    assert checking

    ops = ops_table(foreign_join(REAL))
    device = ops[ops["device"] == "/device:GPU:0"]
    assert device["calls"].sum() == len(events)
    assert device["busy_ms"].sum() == pytest.approx(sum(e.duration_ps for e in events) / 1e9)
    tried = device[device["op_type"] == "autotuning"]["busy_ms"].sum()
    # The checks are a part of trying out; the trials that they check take far longer.
    assert tried > checking / 1e9
    assert not ops["op_type"].eq("kernel").any()
