"""Predict a whole network from its kernels, each of which was timed alone on this machine."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import pandas as pd

from tftrace.attribution.kernel_owner import modelled_cost
from tftrace.attribution.provenance import KernelNodes, TracedOps, members_of_kernels
from tftrace.counts.count import OpCount, count_flow
from tftrace.counts.flow import Flow, flow_of
from tftrace.estimation.given import data_bytes, variables
from tftrace.estimation.kernels import Estimate
from tftrace.estimation.network import (
    TIMED_ALONE,
    TIMES,
    TIMES_OF_FIT,
    NetworkEstimate,
    layers_table,
)
from tftrace.estimation.pieces import ALONE, Beside, pieces_of, side_by_side
from tftrace.graph import Program
from tftrace.graph.forms import forms_of
from tftrace.graph.phases import BACKWARD, FORWARD, OPTIMIZER, phase_of
from tftrace.machine.bench.alone import Unit
from tftrace.machine.bench.timing import Measured
from tftrace.machine.model import CallCost, MachineModel

_QUANTILE = 1.645
"""Of the normal distribution, for an interval of 90 %."""
_QUARTILES = 1.349
"""Between the quartiles of a normal distribution, in standard deviations."""
_SPREAD = 0.06
"""Standard deviation of a call's error, as a share, beside that of its parts: chosen before the
networks of `benchmarks/RESULTS.md` were measured, and tried on them."""
_LAYER_SPREAD = 0.15
"""The same of a layer: caches and neighbors differ from kernel to kernel."""


def estimate_alone(
    program: Program,
    kernels: Program,
    units: Sequence[Unit],
    left: Sequence[str],
    times: Mapping[str, Measured],
    sites: Sequence[Any],
    machine: MachineModel,
    batch: int,
    batches: float = 1,
    beside: Beside = ALONE,
    phase: str = "predict",
    around: CallCost | None = None,
) -> NetworkEstimate:
    """Predict ``batches`` runs of a program that was traced on ``batch`` samples.

    Kernels run as their inputs and the threads let them, each as it ran alone, or as it ran beside
    itself where others run at the same time; what only hands a tensor on costs a dispatch.
    Operations of a kernel share its time by what they compute.

    Args:
        program: as traced; its operations say whose they are.
        kernels: what TensorFlow's optimizer makes of it.
        units: of the kernels, those that may be timed alone.
        left: names of the others that take time.
        times: seconds of the units, by digest; without those that could not be timed.
        sites: the program's call sites, in execution order (``path`` and ``type`` are read).
        machine: what predict itself and a dispatch cost.
        beside: how kernels run beside one another; by default one after the other.
        phase: ``predict`` or ``fit``: what calls the program.
        around: what that costs around the program; by default what ``machine`` says of predict.
    """
    flow = flow_of(program)
    counts = count_flow(flow)
    top = kernels.functions[kernels.root]
    costs = _costs(flow, counts, kernels)
    around = around or machine.predict_cost
    pieces = pieces_of(top, units, left, times, dispatch_seconds(machine))
    ran = side_by_side(top, pieces, beside)
    spent = [
        _Spent(_shares(piece.names, costs), piece.time, of.wall)
        for piece, of in zip(pieces, ran, strict=True)
        if piece.time is not None
    ]
    untimed = [name for piece in pieces if piece.time is None for name in piece.names]
    unknown = {top.nodes[name].type for name in untimed}
    without = {whose.layer for name in untimed for whose in _shares([name], costs)}
    data = data_bytes(flow)
    if data is None:
        unknown.add(f"the copies that {phase} makes of its data")
    given = machine.handing_over_ms(data or 0, variables(program))
    table = _by_owner(spent, _mac_only(flow, counts, machine))
    return NetworkEstimate(
        total=_total(spent, table, around, batches, given),
        layers=layers_table(table, sites, flow, counts, without, phase),
        batch=batch,
        batches=batches,
        basis=TIMED_ALONE,
        unknown=tuple(sorted(unknown)),
        phase=phase,
    )


def dispatch_seconds(machine: MachineModel) -> Measured:
    """What an operation costs that computes nothing."""
    return machine.dispatch_us.map(lambda us: us * 1e-6)


class _Whose(NamedTuple):
    """Whose time it is: the call site's, None where it is no layer's, and what for."""

    layer: str | None
    phase: str


@dataclass(frozen=True)
class _Spent:
    """The time of a piece alone, its seconds of the wall, and the shares of the layers in it."""

    shares: Mapping[_Whose, float]
    alone: Measured
    wall: float


def _joint_noise(parts: Iterable[tuple[Measured, float]]) -> float:
    """Standard deviation of a sum of seconds, from the quartiles of normal distributions.

    Equal kernels have one measurement, whose error counts for each of them.

    Args:
        parts: what was measured, and the seconds that it became in the sum.
    """
    sums: dict[Measured, float] = defaultdict(float)
    for measured, seconds in parts:
        sums[measured] += seconds
    relative = ((sum_, m.iqr / m.median / _QUARTILES) for m, sum_ in sums.items() if m.median)
    return math.sqrt(sum((sum_ * spread) ** 2 for sum_, spread in relative))


def _costs(
    flow: Flow, counts: Sequence[OpCount], kernels: Program
) -> dict[str, dict[_Whose, float]]:
    """What each kernel computes for each layer, in operations, by the kernel's name."""
    position = {key: i for i, key in enumerate(flow.ops)}
    ops = list(flow.ops.values())
    traced = TracedOps(
        key=[op.key for op in ops],
        type=[op.node.type for op in ops],
        inputs=[[position[edge.name] for edge in op.inputs] for op in ops],
        live=[op.live for op in ops],
        form=forms_of(ops),
    )
    nodes = list(kernels.functions[kernels.root].nodes.values())
    named = KernelNodes(
        name=[node.name for node in nodes],
        type=[node.type for node in nodes],
        inputs=[[edge.name for edge in node.inputs] for node in nodes],
    )
    found: dict[str, dict[_Whose, float]] = {}
    for name, members in members_of_kernels(traced, named).items():
        at = members.ops or ((position[name],) if name in position else ())
        costs: dict[_Whose, float] = defaultdict(float)
        for i in at:
            whose = _Whose(counts[i].owner, phase_of(ops[i].phase))
            costs[whose] += modelled_cost(asdict(counts[i].work)) * (counts[i].times or 1)
        found[name] = costs
    return found


def _shares(
    names: Sequence[str], costs: Mapping[str, Mapping[_Whose, float]]
) -> dict[_Whose, float]:
    """Of the layers in the time of kernels that were timed together, by what they compute."""
    sums: dict[_Whose, float] = defaultdict(float)
    for name in names:
        for whose, cost in costs.get(name, {_Whose(None, FORWARD): 0.0}).items():
            sums[whose] += cost
    whole = sum(sums.values())
    return {whose: cost / whole if whole else 1 / len(sums) for whose, cost in sums.items()}


def _by_owner(spent: Sequence[_Spent], mac_only: Mapping[str | None, float]) -> pd.DataFrame:
    """One row per layer: its time, the interval around it, and that of its multiplications; and
    what of its time is of each phase."""
    ms: dict[str | None, float] = dict.fromkeys(mac_only, 0.0)
    of_phase: dict[_Whose, float] = defaultdict(float)
    parts: dict[str | None, list[tuple[Measured, float]]] = defaultdict(list)
    for one in spent:
        for whose, share in one.shares.items():
            part = 1e3 * share * one.wall
            ms[whose.layer] = ms.get(whose.layer, 0.0) + part
            of_phase[whose] += part
            parts[whose.layer].append((one.alone, part))
    rows = []
    for owner, time in ms.items():
        spread = math.hypot(_LAYER_SPREAD, _joint_noise(parts[owner]) / time if time else 0.0)
        factor = math.exp(_QUANTILE * spread)
        after = [of_phase[_Whose(owner, phase)] for phase in (BACKWARD, OPTIMIZER)]
        row = (owner, time, time / factor, time * factor, mac_only.get(owner, 0.0))
        rows.append((*row, time - sum(after), *after))
    return pd.DataFrame(rows, columns=["owner", *TIMES, *TIMES_OF_FIT])


def _mac_only(
    flow: Flow, counts: Sequence[OpCount], machine: MachineModel
) -> dict[str | None, float]:
    """Milliseconds of the multiply-accumulates at the peak rate; nan where that is not known."""
    found: dict[str | None, float] = defaultdict(float)
    for count in counts:
        outputs = flow.ops[count.key].node.outputs
        if count.live and count.work.macs != 0:
            known = outputs and outputs[0].dtype in machine.matmul_gmacs
            macs = count.work.macs if count.times is not None else None
            found[count.owner] += (
                math.nan
                if macs is None or count.times is None or not known
                else count.times * macs / machine.peak_gmacs(outputs[0].dtype) / 1e6
            )
    return found


def _total(
    spent: Sequence[_Spent],
    table: pd.DataFrame,
    around: CallCost,
    batches: float,
    given_ms: float,
) -> Estimate:
    """Of all batches, to hand over each of which takes so long."""
    network = sum(one.wall for one in spent) * 1e3
    noise = 1e3 * _joint_noise((one.alone, one.wall) for one in spent)
    costs = [(around.call_ms, 1), (around.batch_ms, batches)]
    fixed = sum(times * part.median for part, times in costs) + batches * given_ms
    fixed_noise = math.hypot(*(times * part.iqr / _QUARTILES for part, times in costs))
    ms = fixed + batches * network
    spread = math.hypot(_SPREAD * ms, batches * noise, fixed_noise) / ms
    factor = math.exp(_QUANTILE * spread)
    mac_only = batches * float(table["mac_only_ms"].sum(skipna=False))
    return Estimate(
        ms=ms,
        low_ms=ms / factor,
        high_ms=ms * factor,
        mac_only_ms=None if math.isnan(mac_only) else mac_only,
    )
