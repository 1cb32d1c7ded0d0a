"""**layers**: one row per layer call site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tftrace.attribution.join import Join
from tftrace.attribution.kernel_owner import OUTSIDE
from tftrace.attribution.rows import Row
from tftrace.graph.phases import BACKWARD, FORWARD, OPTIMIZER, RECOMPUTATION, phase_of
from tftrace.runs.manifest import LayerWork, Site
from tftrace.runs.names import LABELED, NAME_SCOPE, way_of
from tftrace.tables.frame import NEEDED, PS_PER_MS, per_sample, rate, share_per_sample, table_of
from tftrace.tables.memory import output_bytes
from tftrace.tables.roofline import UNKNOWN, Roof, roof_of

TRAINING = (
    *("forward_ms", "backward_ms", "optimizer_ms", "recomputed_ms"),
    *("mults_backward", "macs_backward"),
)
"""Columns of runs with labels: the parts of ``wall_ms``, and the work of the gradients."""
MEMORY = ("output_bytes", "peak_live_bytes")
"""Columns of bytes, as in **memory**."""


def layers_table(join: Join, live: Sequence[int | None] | None = None) -> pd.DataFrame:
    """**layers**: one row per call site, in execution order; rows are exclusive.

    Of a run with labels, there are the columns of `TRAINING` besides.

    Args:
        live: per call site ``peak_live_bytes``, where the run noted its memory.
    """
    sums = [_LayerSum() for _ in join.run.sites]
    totals = join.totals
    for number, row in enumerate(join.rows):
        if row.info is None:
            continue
        wall, busy, thread = (t[number] for t in (totals.wall, totals.busy, totals.thread))
        traffic = per_sample(row.info, join)["bytes"]
        for site, weight in row.info.weights.items():
            if site != OUTSIDE:
                others = {s for s in row.info.weights if s not in (site, OUTSIDE)}
                sums[site].add(row, weight, wall, busy, thread, traffic, others)
        for (site, phase), share in row.info.shares.items():
            if site != OUTSIDE:
                sums[site].add_phase(phase, share * wall)
    total = join.whole
    sites = join.run.sites
    outputs = output_bytes(join.run.manifest)
    rows = [
        _layer_row(join, site, found, total) | dict(zip(MEMORY, sizes, strict=True))
        for site, found, *sizes in zip(
            sites, sums, outputs, live or [None] * len(sites), strict=True
        )
    ]
    return table_of(
        rows,
        integers=("call", "depth", "params", "ops", "calls", "expected_calls", *MEMORY),
        numbers=(
            *("wall_ms", "wall_share", "busy_ms", "thread_ms", "parallelism"),
            *(*NEEDED, "bytes_executed", "gmacs_per_s", "gb_per_s", "intensity", "roof_share"),
            *(TRAINING if way_of(join.run.manifest.run.call) in LABELED else ()),
        ),
        others=("path", "name", "type", "output_shape", "bound", "fused_with", "note"),
    )


class _LayerSum:
    """What the kernels of one call site add up to."""

    def __init__(self) -> None:
        self.ops = 0
        self.calls = 0
        self.expected: int | None = 0
        self.wall = self.busy = self.thread = 0.0
        self.by_phase = dict.fromkeys((FORWARD, BACKWARD, OPTIMIZER), 0.0)
        self.recomputed = 0.0
        self.bytes: float | None = 0.0
        self.others: set[int] = set()
        self.notes: set[str] = set()

    def add(
        self,
        row: Row,
        weight: float,
        wall: float,
        busy: float,
        thread: float,
        traffic: float | None,
        others: set[int],
    ) -> None:
        self.ops += 1
        self.calls += len(row.executions)
        known = self.expected is not None and row.expected is not None
        self.expected = self.expected + row.expected if known else None  # type: ignore[operator]
        self.wall += weight * wall
        self.busy += weight * busy
        self.thread += weight * thread
        both = self.bytes is not None and traffic is not None
        self.bytes = self.bytes + weight * traffic if both else None  # type: ignore[operator]
        self.others |= others
        self.notes |= {row.note} if row.note else set()

    def add_phase(self, phase: str, wall: float) -> None:
        """Time that is in ``wall`` too. What a layer does for the loss or a metric is forward."""
        whole = phase_of(phase)
        self.by_phase[whole if whole in self.by_phase else FORWARD] += wall
        self.recomputed += wall if phase == RECOMPUTATION else 0.0


def _layer_row(join: Join, site: Site, found: _LayerSum, total_ps: int) -> dict[str, Any]:
    counting = join.run.manifest.counting
    needed = counting.layers.get(site.path)
    work: dict[str, Any] = {
        name: share_per_sample(getattr(needed, name) if needed else 0, counting.batch)
        for name in NEEDED
    }
    samples = join.run.manifest.run.trace.samples
    # Without the graph nothing is known of what must have run.
    expected, traffic = (found.expected, found.bytes) if join.functions else (None, None)
    seconds = found.wall / 1e12
    training = _training(join, needed, found)
    macs = _plus(work["macs"], training.get("macs_backward", 0))
    # What a gradient needs to move at least is not known, so neither is the roof of both passes.
    trains = way_of(join.run.manifest.run.call) == "fit"
    roof = UNKNOWN if trains else _roof(join, work, found, samples)
    return {
        **{k: getattr(site, k) for k in ("path", "name", "type", "call", "depth")},
        "output_shape": site.output_shape,
        "params": site.params,
        "ops": found.ops,
        "calls": found.calls,
        "expected_calls": expected,
        "wall_ms": found.wall / PS_PER_MS,
        "wall_share": found.wall / total_ps if total_ps else None,
        "busy_ms": found.busy / PS_PER_MS,
        "thread_ms": found.thread / PS_PER_MS,
        "parallelism": found.thread / found.busy if found.busy else None,
        **work,
        "bytes_executed": traffic,
        "gmacs_per_s": rate(macs, samples, seconds),
        "gb_per_s": rate(traffic, samples, seconds),
        "intensity": work["flops"] / work["bytes"] if work["flops"] and work["bytes"] else None,
        "bound": roof.bound,
        "roof_share": roof.share,
        **dict.fromkeys(MEMORY),
        "fused_with": [join.run.sites[s].path for s in sorted(found.others)],
        "note": _note(site, needed, found),
        **training,
    }


def _training(join: Join, needed: LayerWork | None, found: _LayerSum) -> dict[str, Any]:
    """What a run with labels has besides."""
    run, batch = join.run.manifest.run, join.run.manifest.counting.batch
    if way_of(run.call) not in LABELED:
        return {}
    return {
        **{f"{phase}_ms": ps / PS_PER_MS for phase, ps in found.by_phase.items()},
        "recomputed_ms": found.recomputed / PS_PER_MS,
        "mults_backward": share_per_sample(needed.mults_backward if needed else 0, batch),
        "macs_backward": share_per_sample(needed.macs_backward if needed else 0, batch),
    }


def _plus(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left + right


def _roof(join: Join, work: Mapping[str, Any], found: _LayerSum, samples: int | None) -> Roof:
    """Against the roofs on an average batch: a working set is that of a batch, not of the run."""
    batches = max(1, len(join.runs.id))

    def per_batch(amount: float | None) -> float | None:
        return None if amount is None or samples is None else amount * samples / batches

    return roof_of(
        join.machine,
        per_batch(work["macs"]),
        per_batch(work["bytes"]),
        found.ops,
        found.wall / 1e12 / batches,
    )


def _note(site: Site, needed: LayerWork | None, found: _LayerSum) -> str | None:
    notes = ["told by name scope"] if site.type == NAME_SCOPE else []
    notes += [*(needed.notes if needed else ()), *sorted(found.notes)]
    if found.expected and found.calls < found.expected:
        notes.append(f"{found.calls} of {found.expected} executions recorded")
    return "; ".join(notes) or None
