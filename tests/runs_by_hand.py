"""Runs made by hand: tables like a Profile's, for rules that a real run triggers only by chance."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pandas as pd

from tftrace.attribution.rows import LAYERS
from tftrace.machine.bench.timing import Measured
from tftrace.machine.model import MachineModel
from tftrace.runs.epochs import OF_CALLER
from tftrace.runs.layer_graph import LayerGraph
from tftrace.runs.manifest import Site
from tftrace.tables.primitives import primitives_table
from tftrace.tables.wall import COMPONENTS

_LAYER_NUMBERS = (
    *("wall_ms", "mults", "macs", "flops", "bytes", "bytes_executed", "gmacs_per_s"),
    *("intensity", "roof_share", "parallelism"),
)


ONEDNN = False
"""Whether the runs are of a machine with oneDNN: a fixture sets it."""

_ONEDNN_NAMES = {
    "BatchMatMulV2": "_MklBatchMatMulV2",
    "Conv2D": "_MklNativeConv2D",
    "DepthwiseConv2dNative": "_MklNativeDepthwiseConv2dNative",
    "FusedBatchNormV3": "_MklNativeFusedBatchNormV3",
    "MatMul": "_MklMatMul",
    "Transpose": "_MklTranspose",
    "_FusedConv2D": "_MklNativeFusedConv2D",
    "_FusedMatMul": "_MklNativeFusedMatMul",
}


def named(op_type: str) -> str:
    """What a kernel of that type is called in a run."""
    return _ONEDNN_NAMES.get(op_type, op_type) if ONEDNN else op_type


def layer(path: str, type: str, wall_ms: float, **columns: Any) -> dict[str, Any]:
    """A row of **layers**; what is not given is 0, rates and shares are unknown."""
    unknown = dict.fromkeys(_LAYER_NUMBERS[-4:])
    work = dict.fromkeys(_LAYER_NUMBERS[1:-4], 0)
    row = {"path": path, "name": path.rpartition("/")[2], "type": type, "wall_ms": wall_ms}
    return row | {"bound": None, "note": None} | unknown | work | columns


def kernel(
    op: str, op_type: str, layer: str | None, ms: float, calls: int = 4, **columns: Any
) -> dict[str, Any]:
    """A row of **ops** whose executions all took the same time, on two threads."""
    row = {
        "op": op,
        "op_type": op_type,
        "layer": layer,
        "component": LAYERS,
        "calls": calls,
        "expected_calls": calls,
        "wall_ms": ms,
        "busy_ms": ms,
        "thread_ms": 2 * ms,
        "p50_us": 1e3 * ms / calls if calls else None,
        "macs": 0,
        "device": "/host:CPU",
        "phase": None,
        "members": [op],
    }
    return row | columns


def primitive(op: str, role: str, ms: float, calls: int = 4, **columns: Any) -> dict[str, Any]:
    """What a kernel of oneDNN (``_MklNativeConv2D``) ran once per execution, as logged."""
    row = {
        "op": op,
        "op_type": "_MklNativeConv2D",
        "kernel_calls": calls,
        "primitive": "convolution" if role == "compute" else "reorder",
        "role": role,
        "implementation": "jit:avx512_core",
        "layout": "src acdb, dst Acdb16a",
        "problem": "8x3x3x3",
        "attributes": "",
        "variable": True if role == "reorder of weights" else None,
        "calls": calls,
        "busy_ms": ms,
    }
    return row | columns


def buffer(
    path: str,
    op_type: str | None,
    size: int,
    start_ms: float | None = None,
    end_ms: float | None = None,
    at_peak: bool = True,
    **columns: Any,
) -> dict[str, Any]:
    """A row of **buffers** that a kernel of the forward pass asked for, for its output."""
    row = {
        "path": path,
        "op": path,
        "op_type": None if op_type is None else named(op_type),
        "phase": "forward",
        "region": "output",
        "dtype": "float32",
        "last_reader": None,
        "last_phase": "forward",
        "next_reader": None,
        "asked_bytes": size,
        "held_bytes": size,
        "start_ms": start_ms,
        "end_ms": end_ms,
        "waits_ms": None,
        "at_peak": at_peak,
    }
    return row | columns


def graph(*ops: Sequence[Any], types: dict[str, str] | None = None) -> LayerGraph:
    """Operations as ``(key, type, layer or None, inputs, dtype)``; the last two may be left out.

    Types of layers are given by path; output shapes are unknown.
    """
    keys = [op[0] for op in ops]
    paths = list(dict.fromkeys(op[2] for op in ops if op[2] is not None))
    return LayerGraph(
        key=keys,
        type=[op[1] for op in ops],
        owner=[-1 if op[2] is None else paths.index(op[2]) for op in ops],
        inputs=[[keys.index(i) for i in (op[3] if len(op) > 3 else ())] for op in ops],
        out_bytes=[None] * len(ops),
        dtype=[op[4] if len(op) > 4 else "float32" for op in ops],
        sites=[
            Site(path=path, name=path, type=(types or {}).get(path, "Layer"), call=1, depth=0)
            for path in paths
        ],
    )


def run(
    layers: Sequence[dict[str, Any]],
    kernels: Sequence[dict[str, Any]] = (),
    graph: LayerGraph | None = None,
    wall: dict[str, float] | None = None,
    steps: Sequence[tuple[float, float, float]] = (),
    roofs: MachineModel | None = None,
    primitives: Sequence[dict[str, Any]] = (),
    stages: Sequence[dict[str, Any]] = (),
    buffers: Sequence[dict[str, Any]] = (),
    epochs: Sequence[dict[str, Any]] = (),
    **settings: Any,
) -> SimpleNamespace:
    """A run; ``steps`` are ``(start_ms, wall_ms, ops_ms)``, primitives as the manifest has them.

    Settings: call, epochs_of, samples, batch_size, jit, median_ms, threads, onednn; of_samples and
    of_steps are those of the whole call where the traced pass is shorter.
    """
    kernels = [row | {"op_type": named(row["op_type"])} for row in kernels]
    table = pd.DataFrame(list(layers))
    for name in _LAYER_NUMBERS:
        table[name] = table[name].astype("Float64")
    ops = pd.DataFrame(list(kernels), columns=list(kernel("", "", None, 0.0)))
    for name in ("wall_ms", "busy_ms", "thread_ms", "p50_us", "macs"):
        ops[name] = ops[name].astype("Float64")
    for name in ("calls", "expected_calls"):
        ops[name] = ops[name].astype("Int64")
    parts = dict.fromkeys(COMPONENTS, 0.0) | {LAYERS: float(table["wall_ms"].sum())} | (wall or {})
    samples = settings.get("samples", 32)
    return SimpleNamespace(
        layers=table,
        ops=ops,
        wall=pd.DataFrame({"component": list(parts), "wall_ms": list(parts.values())}),
        steps=pd.DataFrame(list(steps), columns=["start_ms", "wall_ms", "ops_ms"]),
        primitives=primitives_table(list(primitives), ops),
        input=pd.DataFrame(list(stages)),
        buffers=pd.DataFrame(list(buffers)),
        epochs=pd.DataFrame(list(epochs)),
        epochs_of=settings.get("epochs_of", OF_CALLER if epochs else None),
        layer_graph=graph or _EMPTY,
        roofs=roofs,
        run={
            "samples": settings.get("of_samples", samples),
            "steps": settings.get("of_steps", len(steps)),
            "batch_size": settings.get("batch_size", 32),
            "jit": settings.get("jit", False),
            "call": settings.get("call", "predict"),
            "own_batches": bool(stages),
            "trace": {
                "samples": samples,
                "steps": len(steps),
                "whole": settings.get("of_steps", len(steps)) == len(steps),
            },
        },
        latency={"median_ms": settings.get("median_ms")},
        machine={
            "intra_op_threads": settings.get("threads", 2),
            "onednn": settings.get("onednn", ONEDNN),
        },
    )


_EMPTY = LayerGraph([], [], [], [], [], [], [])


def machine() -> MachineModel:
    """50 GMAC/s in float32, 20 in float64; 100 GB/s in the cache and 10 from memory."""

    def steady(value: float) -> Measured:
        return Measured(best=value, median=value, iqr=0.0, n=5)

    return MachineModel(
        machine="made by hand",
        tensorflow="0",
        threads=(0, 0),
        matmul_gmacs={"float32": steady(50.0), "float64": steady(20.0)},
        conv_gmacs=steady(40.0),
        bandwidth_gb=((1_000_000, steady(100.0)), (100_000_000, steady(10.0))),
        dispatch_us=steady(1.0),
        predict_batch_ms=steady(1.0),
        predict_call_ms=steady(30.0),
    )
