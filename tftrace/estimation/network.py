"""Predict a whole network that never ran here: from its traced graph to layers and a total."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any, TypeAlias

import pandas as pd

from tftrace.counts.count import OpCount, count_flow
from tftrace.counts.dependence import Dependence
from tftrace.counts.flow import Flow, flow_of
from tftrace.estimation.fusion import fuse_kernels
from tftrace.estimation.given import data_bytes, variables
from tftrace.estimation.kernels import Estimate, estimate_kernels, estimate_predict
from tftrace.graph import FlatOp, Program, TensorSpec
from tftrace.graph.phases import BACKWARD, phase_of
from tftrace.machine.kernels import KernelWork
from tftrace.machine.model import MachineModel
from tftrace.units import with_units

TIMED_ALONE = "kernels timed alone"
CALIBRATION = "calibration"
TIMES = ("ms", "low_ms", "high_ms", "mac_only_ms")
TIMES_OF_FIT = ("forward_ms", "backward_ms", "optimizer_ms")
"""What ``ms`` of a training step is the sum of."""

_CALLS = ("PartitionedCall", "StatefulPartitionedCall", "While", "StatelessWhile", "If", "Case")
_NEVER_RUN = ("Const", "Placeholder", "NoOp", "Identity", "IdentityN")
_BINARY = ("Mul", "AddV2", "Add", "Sub", "RealDiv", "Maximum", "Minimum", "BiasAdd")


@dataclass(frozen=True)
class NetworkEstimate:
    """Predicted time of one ``model.predict``, or of one epoch of ``model.fit`` (``phase``).

    ``total`` is the whole call, ``batch`` samples per batch, ``batches`` batches. ``layers``, one
    row per call site for one batch: ``path, type, macs, ms, low_ms, high_ms, mac_only_ms``; of fit
    also ``macs_backward, forward_ms, backward_ms, optimizer_ms``, the last three of which sum to
    ``ms``.
    ``unknown`` lists operation types whose time or number of runs could not be predicted: they
    are not in the total, which is then a bound from below, and the times of their layers are null.
    ``basis`` says what the times rest on: `TIMED_ALONE` or `CALIBRATION`.
    """

    total: Estimate
    layers: pd.DataFrame
    batch: int
    batches: float
    unknown: tuple[str, ...]
    basis: str = CALIBRATION
    phase: str = "predict"

    @property
    def samples(self) -> int:
        """Of the whole call."""
        return round(self.batch * self.batches)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        from tftrace.tables.frame import records

        return {
            "schema": 1,
            "total": asdict(self.total),
            "batch": self.batch,
            "batches": self.batches,
            "unknown": list(self.unknown),
            "basis": self.basis,
            "phase": self.phase,
            "layers": records(self.layers),
        }

    def _repr_html_(self) -> str:
        from tftrace.report.notebook import estimate_html

        return estimate_html(self)


def estimate_program(
    program: Program, sites: Sequence[Any], machine: MachineModel, batch: int, batches: float = 1
) -> NetworkEstimate:
    """Predict ``batches`` calls of a program that was traced on ``batch`` samples.

    Args:
        sites: the program's call sites, in execution order (``path`` and ``type`` are read).
        machine: from a full calibration.

    Raises:
        ValueError: the calibration was not a full one.
    """
    flow = flow_of(program)
    counts = count_flow(flow)
    works, reads, unknown = _kernels(flow, counts)
    # A calibration that does not say is of a version that knew no oneDNN.
    running = fuse_kernels(works, reads, onednn=bool(machine.onednn))
    table = estimate_kernels(running, machine)
    priceless = set(table.loc[table["ms"].isna(), "name"])
    times = {c.key: c.times or 1 for c in counts}
    table["times"] = [times[name] for name in table["name"]]
    for column in ("ms", "low_ms", "high_ms", "mac_only_ms"):
        table[column] *= table["times"]
    survivors = {work.name for work in running}
    macs = {work.name: work.macs for work in works}
    owners = {c.key: c.owner for c in counts}
    table["owner"] = [owners[_product(name, reads, survivors, macs)] for name in table["name"]]
    names = {count.type for count in unknown}
    names |= {f"{work.op_type} in {work.dtype}" for work in running if work.name in priceless}
    without = {count.owner for count in unknown}
    without |= set(table.loc[table["ms"].isna(), "owner"])
    data = data_bytes(flow)
    if data is None:
        names.add("the copies that predict makes of its data")
    return NetworkEstimate(
        total=estimate_predict(table, machine, batches, data or 0, variables(program)),
        layers=layers_table(table, sites, flow, counts, without),
        batch=batch,
        batches=batches,
        unknown=tuple(sorted(names)),
    )


def _kernels(
    flow: Flow, counts: Sequence[OpCount]
) -> tuple[list[KernelWork], dict[str, list[str]], list[OpCount]]:
    """What runs, what each kernel reads, and the operations whose time cannot be predicted."""
    works: list[KernelWork] = []
    reads: dict[str, list[str]] = {}
    unknown: list[OpCount] = []
    constant = {c.key for c in counts if c.depends_on is Dependence.CONSTANT}
    same: dict[str, str] = {}
    for count in counts:
        op = flow.ops[count.key]
        if not count.live or count.key in constant or count.type in (*_CALLS, *_NEVER_RUN):
            continue
        sources = [flow.resolve(edge).name for edge in op.inputs]
        kept = _unchanged(op)
        if kept is not None:
            same[count.key] = same.get(sources[kept], sources[kept])
            continue
        work = kernel_work(op, count)
        if work is None or count.times is None:
            unknown.append(count)
            continue
        works.append(work)
        reads[count.key] = [same.get(name, name) for name in sources if name not in constant]
    return works, reads, unknown


def fused_kernels(flow: Flow, onednn: bool) -> list[KernelWork]:
    """The kernels that one call of the program would run, as far as they are known.

    Args:
        flow: the traced program.
        onednn: whether oneDNN's kernels would run.
    """
    works, reads, _ = _kernels(flow, count_flow(flow))
    return fuse_kernels(works, reads, onednn)


def _unchanged(op: FlatOp) -> int | None:
    """Which input an operation hands on as it is: what is multiplied by one is not multiplied."""
    if op.node.type != "Mul" or not op.node.outputs:
        return None
    for one, other in ((0, 1), (1, 0)):
        same = op.sources[other] == op.node.outputs[0]
        if op.input_values[one] == 1.0 and same:
            return other
    return None


def kernel_work(op: FlatOp, count: OpCount) -> KernelWork | None:
    """The quantities that the time of ``op`` depends on, or None when a shape is unknown."""
    output = op.node.outputs[0] if op.node.outputs else TensorSpec("float32", ())
    inputs = [spec for spec in op.sources if spec.dtype not in ("resource", "variant")]
    sizes = [spec.bytes for spec in inputs]
    work = count.work
    if output.bytes is None or None in sizes or work.macs is None or work.flops is None:
        return None
    batch, height, width, channels = _extents(output)
    general = KernelWork(
        op_type=op.node.type,
        macs=work.macs,
        flops=work.flops,
        transcendental=work.transcendentals or 0,
        bytes_in=sum(size for size in sizes if size is not None),
        bytes_out=output.bytes,
        dtype=output.dtype,
        batch=batch,
        out_h=height,
        out_w=width,
        cin=_extents(inputs[0])[3] if inputs else channels,
        cout=channels,
        # A single number is an operand of its own kind: no row is repeated for it.
        broadcast=op.node.type in _BINARY and any(s.size not in (1, output.size) for s in inputs),
        name=op.key,
    )
    shaped = _SHAPED.get(op.node.type)
    return general if shaped is None else shaped(general, op)


def _convolution(work: KernelWork, op: FlatOp) -> KernelWork:
    kernel = op.sources[1].shape
    if kernel is None or len(kernel) != 4 or None in kernel:
        return work
    height, width, inner, outer = (int(d) for d in kernel if d is not None)
    depthwise = op.node.type == "DepthwiseConv2dNative"
    return replace(
        work,
        kernel_h=height,
        kernel_w=width,
        stride=_stride(op),
        groups=inner if depthwise else max(1, work.cin // inner),
        cout=inner * outer if depthwise else outer,
    )


def _pooling(work: KernelWork, op: FlatOp) -> KernelWork:
    window = op.node.attrs.get("ksize") or [1, 1, 1, 1]
    return replace(work, kernel_h=window[1], kernel_w=window[2], stride=_stride(op))


def _matrix_product(work: KernelWork, op: FlatOp) -> KernelWork:
    left, right = op.sources[0].shape, op.sources[1].shape
    if left is None or right is None or len(left) != 2:
        return work
    inner = left[0] if op.node.attrs.get("transpose_a") else left[1]
    return replace(work, batch=work.batch, cin=int(inner or 1))


_SHAPED: Mapping[str, Callable[[KernelWork, FlatOp], KernelWork]] = {
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _convolution,
    "MaxPool": _pooling,
    "AvgPool": _pooling,
    "MatMul": _matrix_product,
}


def _stride(op: FlatOp) -> int:
    return prod(op.node.attrs.get("strides") or [1])


def _extents(spec: TensorSpec) -> tuple[int, int, int, int]:
    """Batch, height, width and channels; axes between the first and the last are one height."""
    shape = [int(d or 1) for d in spec.shape or ()]
    if len(shape) == 4:
        return shape[0], shape[1], shape[2], shape[3]
    if len(shape) < 2:
        return 1, 1, 1, prod(shape)
    return shape[0], prod(shape[1:-1]), 1, shape[-1]


def _product(
    name: str, reads: Mapping[str, Sequence[str]], running: set[str], macs: Mapping[str, int]
) -> str:
    """The member of a fused kernel that multiplies: its layer owns the kernel's time."""
    at = name
    while not macs.get(at):
        inside = [source for source in reads[at] if source in macs and source not in running]
        if not inside:
            return name
        at = inside[0]
    return at


def layers_table(
    table: pd.DataFrame,
    sites: Sequence[Any],
    flow: Flow,
    counts: Sequence[OpCount],
    without: Collection[str | None],
    phase: str = "predict",
) -> pd.DataFrame:
    """One row per call site; those in ``without`` have an operation of unknown time."""
    training = phase == "fit"
    columns = [*TIMES, *(TIMES_OF_FIT if training else ())]
    sums = table.groupby("owner")[columns].agg(_whole_sum)
    forward, backward = _macs_by_layer(flow, counts)
    rows = []
    for site in sites:
        found = sums.loc[site.path] if site.path in sums.index else dict.fromkeys(columns, 0.0)
        known = site.path not in without
        macs = {"macs": forward.get(site.path, 0)}
        if training:
            macs["macs_backward"] = backward.get(site.path, 0)
        times = {column: float(found[column]) if known else None for column in columns}
        rows.append({"path": site.path, "type": site.type} | macs | times)
    whole = ["macs", "macs_backward"] if training else ["macs"]
    frame = pd.DataFrame(rows, columns=["path", "type", *whole, *columns])
    typed = frame.astype({**dict.fromkeys(whole, "Int64"), **dict.fromkeys(columns, "Float64")})
    return with_units(typed, "estimate")


def _whole_sum(values: pd.Series) -> float:
    """Of what is known; nan where a part is not."""
    return float(values.sum(skipna=False))


_Macs: TypeAlias = dict[str | None, int | None]


def _macs_by_layer(flow: Flow, counts: Sequence[OpCount]) -> tuple[_Macs, _Macs]:
    """Needed MACs per call site, forward and backward; None where an operation is unknown."""
    found: tuple[_Macs, _Macs] = {}, {}
    for count in (c for c in counts if c.live):
        macs = found[phase_of(flow.ops[count.key].phase) == BACKWARD]
        before, needed = macs.get(count.owner, 0), count.needed.macs
        if before is None or needed is None or (needed and count.times is None):
            macs[count.owner] = None
        else:
            macs[count.owner] = before + (count.times or 0) * needed
    return found
