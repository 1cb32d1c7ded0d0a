"""Predict a whole network from its kernels, each of which was timed alone on this machine."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from operator import mul
from typing import Any

import pandas as pd

from tftrace.attribution.kernel_owner import modelled_cost
from tftrace.attribution.provenance import KernelNodes, TracedOps, members_of_kernels
from tftrace.counts.count import OpCount, count_flow
from tftrace.counts.flow import Flow, flow_of
from tftrace.estimation.kernels import Estimate
from tftrace.estimation.network import TIMED_ALONE, NetworkEstimate, data_bytes, layers_table
from tftrace.graph import Program
from tftrace.graph.flatten import live_names
from tftrace.graph.forms import forms_of
from tftrace.machine.bench.alone import Unit
from tftrace.machine.bench.timing import Measured
from tftrace.machine.model import MachineModel

_QUANTILE = 1.645
"""Of the normal distribution, for an interval of 90 %."""
_QUARTILES = 1.349
"""Between the quartiles of a normal distribution, in standard deviations."""
_SPREAD = 0.06
"""Standard deviation of a call's error, as a share, beside that of its parts: chosen before the
networks of `benchmarks/RESULTS.md` were measured, and tried on them."""
_LAYER_SPREAD = 0.15
"""The same of a layer: caches and neighbors differ from kernel to kernel."""
_NEVER_RUN = ("Const", "Placeholder", "NoOp", "VarHandleOp")


def estimate_alone(
    program: Program,
    kernels: Program,
    units: Sequence[Unit],
    left: Sequence[str],
    times: Mapping[str, Measured],
    sites: Sequence[Any],
    machine: MachineModel,
    batch: int,
    batches: int = 1,
) -> NetworkEstimate:
    """Predict ``batches`` calls of a program that was traced on ``batch`` samples.

    Kernels run one after the other, each as it ran alone; what only hands a tensor on costs a
    dispatch. Operations of a kernel share its time by what they compute.

    Args:
        program: as traced; its operations say whose they are.
        kernels: what TensorFlow's optimizer makes of it.
        units: of the kernels, those that may be timed alone.
        left: names of the others that take time.
        times: seconds of the units, by digest; without those that could not be timed.
        sites: the program's call sites, in execution order (``path`` and ``type`` are read).
        machine: what predict itself and a dispatch cost.
    """
    flow = flow_of(program)
    counts = count_flow(flow)
    top = kernels.functions[kernels.root].nodes
    costs = _costs(flow, counts, kernels)
    timed = [unit for unit in units if unit.digest in times]
    untimed = set(left).union(*(unit.names for unit in units if unit.digest not in times))
    spent = [_Spent(_shares(unit.names, costs), times[unit.digest]) for unit in timed]
    priced = untimed.union(*(unit.names for unit in timed))
    dispatch = machine.dispatch_us.map(lambda us: us * 1e-6)
    spent += [
        _Spent(_shares([name], costs), dispatch)
        for name in live_names(kernels.functions[kernels.root]) - priced
        if top[name].type not in _NEVER_RUN
    ]
    unknown = {top[name].type for name in untimed}
    without = {owner for name in untimed for owner in _shares([name], costs)}
    data = data_bytes(flow)
    if data is None:
        unknown.add("the copies that predict makes of its data")
    table = _by_owner(spent, _mac_only(flow, counts, machine))
    return NetworkEstimate(
        total=_total(spent, table, machine, batches, data or 0),
        layers=layers_table(table, sites, counts, without),
        batch=batch,
        batches=batches,
        basis=TIMED_ALONE,
        unknown=tuple(sorted(unknown)),
    )


@dataclass(frozen=True)
class _Spent:
    """Seconds, and the shares of the layers in them."""

    shares: Mapping[str | None, float]
    seconds: Measured


def _joint_noise(parts: Iterable[Measured]) -> float:
    """Standard deviation of the sum of medians, from the quartiles of normal distributions.

    Equal kernels have one measurement, whose error counts for each of them.
    """
    times = Counter(parts)
    return math.sqrt(sum((n * measured.iqr / _QUARTILES) ** 2 for measured, n in times.items()))


def _costs(
    flow: Flow, counts: Sequence[OpCount], kernels: Program
) -> dict[str, dict[str | None, float]]:
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
    found: dict[str, dict[str | None, float]] = {}
    for name, members in members_of_kernels(traced, named).items():
        at = members.ops or ((position[name],) if name in position else ())
        costs: dict[str | None, float] = defaultdict(float)
        for i in at:
            costs[counts[i].owner] += modelled_cost(asdict(counts[i].work)) * (counts[i].times or 1)
        found[name] = costs
    return found


def _shares(
    names: Sequence[str], costs: Mapping[str, Mapping[str | None, float]]
) -> dict[str | None, float]:
    """Of the layers in the time of kernels that were timed together, by what they compute."""
    sums: dict[str | None, float] = defaultdict(float)
    for name in names:
        for owner, cost in costs.get(name, {None: 0.0}).items():
            sums[owner] += cost
    whole = sum(sums.values())
    return {owner: cost / whole if whole else 1 / len(sums) for owner, cost in sums.items()}


def _by_owner(spent: Sequence[_Spent], mac_only: Mapping[str | None, float]) -> pd.DataFrame:
    """One row per layer: its time, the interval around it, and that of its multiplications."""
    ms: dict[str | None, float] = dict.fromkeys(mac_only, 0.0)
    parts: dict[str | None, list[Measured]] = defaultdict(list)
    for one in spent:
        for owner, share in one.shares.items():
            part = one.seconds.map(partial(mul, share * 1e3))
            ms[owner] = ms.get(owner, 0.0) + part.median
            parts[owner].append(part)
    rows = []
    for owner, time in ms.items():
        spread = math.hypot(_LAYER_SPREAD, _joint_noise(parts[owner]) / time if time else 0.0)
        factor = math.exp(_QUANTILE * spread)
        rows.append((owner, time, time / factor, time * factor, mac_only.get(owner, 0.0)))
    return pd.DataFrame(rows, columns=["owner", "ms", "low_ms", "high_ms", "mac_only_ms"])


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
    machine: MachineModel,
    batches: int,
    batch_bytes: int,
) -> Estimate:
    network = sum(one.seconds.median for one in spent) * 1e3
    noise = 1e3 * _joint_noise(one.seconds for one in spent)
    around = [(machine.predict_call_ms, 1), (machine.predict_batch_ms, batches)]
    fixed = sum(times * part.median for part, times in around)
    fixed_noise = math.hypot(*(times * part.iqr / _QUARTILES for part, times in around))
    if machine.predict_gb is not None:
        fixed += batches * batch_bytes / machine.predict_gb.median / 1e6
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
