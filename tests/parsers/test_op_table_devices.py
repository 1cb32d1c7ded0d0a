"""Per-op totals of devices: XLA's kernels by instruction, trials of algorithms apart."""

from collections import Counter
from pathlib import Path

import pytest
from traces import write_trace

from tftrace.parsers.op_table import op_totals
from tftrace.parsers.proto.xplane_proto import XSpace

REAL = Path(__file__).parents[3] / "shared" / "traces"


def event(name: str, start: int, end: int, **stats: object):
    return (name, start, end, {"correlation_id": start, **stats})


def compiled(name: str, start: int, end: int, hlo_op: str, module: str = "jit_f", **stats: object):
    return event(name, start, end, hlo_op=hlo_op, hlo_module=module, **stats)


def rows(path: Path) -> dict[tuple[str, str, str], tuple[int, float]]:
    table = op_totals(path)
    keys = zip(table["op"], table["op_type"], table["plane"], strict=True)
    return dict(zip(keys, zip(table["occurrences"], table["total_ms"], strict=True), strict=True))


def test_kernels_of_xla_are_told_by_program_and_instruction(tmp_path: Path):
    from tensorflow.compiler.xla.service import hlo_pb2

    proto = hlo_pb2.HloProto()
    proto.hlo_module.name = "jit_f"
    entry = proto.hlo_module.computations.add(id=1, name="entry", root_id=1)
    entry.instructions.add(id=1, name="dot.1", opcode="custom-call")
    planes = {
        "/host:CPU": {"launcher": [compiled("cuLaunchKernel", 0, 5, "dot.1")]},
        "/device:GPU:0": {
            "Stream #13(Compute)": [
                compiled("gemm", 10, 30, "dot.1", tf_op="XlaModule:"),
                compiled("helper", 30, 35, "dot.1", tf_op="XlaModule:"),
                compiled("loop_fusion", 40, 50, "fusion.2"),
                compiled("loop_fusion", 50, 53, "fusion.2", "jit_g"),
                event("gemm", 60, 70, tf_op="m/dense/MatMul:MatMul"),
            ],
            "XLA Ops": [compiled("dot.1", 10, 35, "dot.1")],
        },
        "/device:GPU:1": {"Stream #14(Kernel)": [compiled("gemm.kd", 10, 31, "dot.1")]},
    }
    trace = write_trace(tmp_path / "a.xplane.pb", planes, {"jit_f(1)": proto.SerializeToString()})
    zero, one = "/device:GPU:0", "/device:GPU:1"
    assert rows(trace) == {
        ("jit_f/dot.1", "custom-call", zero): (2, pytest.approx(0.025)),
        ("jit_f/fusion.2", "XLA", zero): (1, pytest.approx(0.010)),
        ("jit_g/fusion.2", "XLA", zero): (1, pytest.approx(0.003)),
        ("m/dense/MatMul", "MatMul", zero): (1, pytest.approx(0.010)),
        ("jit_f/dot.1", "custom-call", one): (1, pytest.approx(0.021)),
    }


def test_kernels_that_were_only_tried_are_apart(tmp_path: Path):
    conv = {"tf_op": "m/conv/Conv2D:Conv2D", "group_id": 0}
    stream = [
        event("trial_a", 0, 40, **conv),
        event("redzone_checker", 40, 41, **conv),
        event("winograd", 50, 60, **conv),
        # In the next step nothing is tried any more.
        event("winograd", 100, 110, **{**conv, "group_id": 1}),
    ]
    other = [event("winograd", 0, 10, **conv)]
    planes = {
        "/device:GPU:0": {"Stream #13(Compute)": stream},
        "/device:GPU:1": {"Stream #13(Compute)": other},
    }
    assert rows(write_trace(tmp_path / "a.xplane.pb", planes)) == {
        ("m/conv/Conv2D", "autotuning", "/device:GPU:0"): (2, pytest.approx(0.041)),
        ("m/conv/Conv2D", "Conv2D", "/device:GPU:0"): (2, pytest.approx(0.020)),
        ("m/conv/Conv2D", "Conv2D", "/device:GPU:1"): (1, pytest.approx(0.010)),
    }


def test_a_host_that_ran_xla_alone_has_its_kernels(tmp_path: Path):
    kernel = {"hlo_op": "fusion.1", "hlo_module": "jit_f"}
    planes = {
        "/host:CPU": {
            "tf_XLAEigen": [
                ("fusion.1", 0, 10, kernel),
                ("end: fusion.1", 12, 12, kernel),
                ("fusion.1", 20, 25, kernel),
                ("PjitFunction(f)", 30, 90, {}),
            ]
        }
    }
    trace = write_trace(tmp_path / "a.xplane.pb", planes)
    assert rows(trace) == {("jit_f/fusion.1", "XLA", "/host:CPU"): (2, pytest.approx(0.015))}
    assert op_totals(trace)["self_ms"].isna().all()


@pytest.mark.parametrize("name", ["gpu_alexnet_fit", "gpu_bert_8_replicas", "gpu_mi300_jax_conv"])
def test_a_real_traces_devices_add_up(name: str):
    path = REAL / f"{name}.xplane.pb"
    if not path.exists():
        pytest.skip("the real trace is not here")
    busy: Counter[str] = Counter()
    for plane in XSpace.FromString(path.read_bytes()).planes:
        for line in plane.lines:
            if plane.name.startswith("/device:GPU:") and line.name.startswith("Stream #"):
                busy[plane.name] += sum(event.duration_ps for event in line.events)
    table = op_totals(path)
    found = table[table["device"] == "device"].groupby("plane")["total_ms"].sum()
    assert dict(found) == pytest.approx({k: ps / 1e9 for k, ps in busy.items()})
    assert not table["op"].str.startswith("XlaModule").any()
