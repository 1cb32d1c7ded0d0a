"""The five tables of a run, from its timeline and its graphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tftrace.attribution.join import Join
from tftrace.attribution.kernels import OUTSIDE, WORK, KernelInfo
from tftrace.attribution.rows import LAYERS, OUTSIDE_LAYERS, Row
from tftrace.tables.roofline import Roof, roof_of
from tftrace.timeline.marks import Mark
from tftrace.timeline.share_out import COMPILATION, DISPATCH, EXECUTOR, LOOP, PIPELINE

COMPONENTS = (LAYERS, OUTSIDE_LAYERS, EXECUTOR, PIPELINE, DISPATCH, LOOP, COMPILATION)

_PS_PER_MS = 1e9
_PS_PER_NS = 1000
_NEEDED = ("mults", "macs", "flops", "bytes")


def ops_table(join: Join) -> pd.DataFrame:
    """**ops**: one row per executed graph operation or kernel, longest first.

    A trace that tftrace did not take has one more column, ``note``: how certain the match is.
    """
    sites, totals = join.run.sites, join.totals
    rows = []
    every = join.timeline.busy
    for number, row in enumerate(join.rows):
        busy = np.sort(every[row.executions])
        count = len(busy)
        work = _per_sample(row.info, join)
        rows.append(
            {
                "op": row.name,
                "op_type": row.type,
                "layer": _path(row.info, sites),
                "component": row.component,
                "calls": count,
                "expected_calls": row.expected,
                "busy_ms": totals.busy[number] / _PS_PER_MS if count else None,
                "mean_us": totals.busy[number] / count / 1e6 if count else None,
                "p50_us": _quantile(busy, 0.5) / 1e6 if count else None,
                "p99_us": _quantile(busy, 0.99) / 1e6 if count else None,
                "wall_ms": totals.wall[number] / _PS_PER_MS if count else None,
                "thread_ms": totals.thread[number] / _PS_PER_MS if count else None,
                **{name: work[name] for name in _NEEDED},
                "members": list(row.info.members) if row.info else [],
                "device": _device(join, row.executions),
                "note": row.note,
            }
        )
    table = _table(
        rows,
        integers=("calls", "expected_calls"),
        numbers=("busy_ms", "mean_us", "p50_us", "p99_us", "wall_ms", "thread_ms", *_NEEDED),
    )
    if table["note"].isna().all():
        # Certain throughout, as in every run of tftrace: the column is for foreign traces.
        table = table.drop(columns="note")
    return table.sort_values("wall_ms", ascending=False, na_position="last", ignore_index=True)


def layers_table(join: Join) -> pd.DataFrame:
    """**layers**: one row per call site, in execution order; rows are exclusive."""
    sums = [_LayerSum() for _ in join.run.sites]
    totals = join.totals
    for number, row in enumerate(join.rows):
        if row.info is None:
            continue
        wall, busy, thread = (t[number] for t in (totals.wall, totals.busy, totals.thread))
        traffic = _per_sample(row.info, join)["bytes"]
        for site, weight in row.info.weights.items():
            if site != OUTSIDE:
                others = {s for s in row.info.weights if s not in (site, OUTSIDE)}
                sums[site].add(row, weight, wall, busy, thread, traffic, others)
    total = join.timeline.length
    rows = [
        _layer_row(join, site, found, total)
        for site, found in zip(join.run.sites, sums, strict=True)
    ]
    return _table(
        rows,
        integers=("call", "depth", "params", "ops", "calls", "expected_calls"),
        numbers=(
            *("wall_ms", "wall_share", "busy_ms", "thread_ms", "parallelism"),
            *(*_NEEDED, "bytes_executed", "gmacs_per_s", "gb_per_s", "intensity", "roof_share"),
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


def _layer_row(
    join: Join, site: Mapping[str, Any], found: _LayerSum, total_ps: int
) -> dict[str, Any]:
    counting = join.run.manifest["counting"]
    needed = counting["layers"].get(site["path"])
    work: dict[str, Any] = {
        name: _share(needed[name] if needed else 0, counting["batch"]) for name in _NEEDED
    }
    samples = join.run.manifest["run"]["trace"]["samples"]
    # Without the graph nothing is known of what must have run.
    expected, traffic = (found.expected, found.bytes) if join.run.functions else (None, None)
    seconds = found.wall / 1e12
    roof = _roof(join, work, found, samples)
    return {
        **{k: site[k] for k in ("path", "name", "type", "call", "depth")},
        "output_shape": site["output_shape"],
        "params": site["params"],
        "ops": found.ops,
        "calls": found.calls,
        "expected_calls": expected,
        "wall_ms": found.wall / _PS_PER_MS,
        "wall_share": found.wall / total_ps if total_ps else None,
        "busy_ms": found.busy / _PS_PER_MS,
        "thread_ms": found.thread / _PS_PER_MS,
        "parallelism": found.thread / found.busy if found.busy else None,
        **work,
        "bytes_executed": traffic,
        "gmacs_per_s": _rate(work["macs"], samples, seconds),
        "gb_per_s": _rate(traffic, samples, seconds),
        "intensity": work["flops"] / work["bytes"] if work["flops"] and work["bytes"] else None,
        "bound": roof.bound,
        "roof_share": roof.share,
        "fused_with": [join.run.sites[s]["path"] for s in sorted(found.others)],
        "note": _note(needed, found),
    }


def _roof(join: Join, work: Mapping[str, Any], found: _LayerSum, samples: int) -> Roof:
    """Against the roofs on an average batch: a working set is that of a batch, not of the run."""
    batches = max(1, len(join.runs.id))

    def per_batch(amount: float | None) -> float | None:
        return None if amount is None else amount * samples / batches

    return roof_of(
        join.machine,
        per_batch(work["macs"]),
        per_batch(work["bytes"]),
        found.ops,
        found.wall / 1e12 / batches,
    )


def _note(needed: Mapping[str, Any] | None, found: _LayerSum) -> str | None:
    notes = [*(needed["notes"] if needed else ()), *sorted(found.notes)]
    if found.expected and found.calls < found.expected:
        notes.append(f"{found.calls} of {found.expected} executions recorded")
    return "; ".join(notes) or None


def wall_table(join: Join) -> pd.DataFrame:
    """**wall**: one row per component; they sum to the measured window."""
    timeline = join.timeline
    parts: dict[str, float] = dict.fromkeys(COMPONENTS, 0.0)
    for row, wall in zip(join.rows, join.totals.wall, strict=False):
        if row.info is None:
            parts[row.component] += wall
            continue
        outside = row.info.weights.get(OUTSIDE, 0.0)
        parts[OUTSIDE_LAYERS] += outside * wall
        parts[LAYERS] += (1 - outside) * wall if outside else wall
    for name, gap in timeline.gaps.items():
        parts[name] += gap
    rows = [
        {
            "component": name,
            "wall_ms": ps / _PS_PER_MS,
            "wall_share": ps / timeline.length if timeline.length else None,
        }
        for name, ps in parts.items()
    ]
    return _table(rows, integers=(), numbers=("wall_ms", "wall_share"))


def events_table(join: Join) -> pd.DataFrame:
    """**events**: one row per recorded execution, in time order."""
    return _events(join, _in_time_order(join))


def event_chunks(join: Join, rows: int) -> Iterator[pd.DataFrame]:
    """**events** in parts of so many rows, of which only one need be in memory; at least one."""
    order = _in_time_order(join)
    for first in range(0, max(1, len(order)), rows):
        yield _events(join, order[first : first + rows])


def _in_time_order(join: Join) -> np.ndarray:
    return np.argsort(join.executions.start, kind="stable")


def _events(join: Join, which: np.ndarray) -> pd.DataFrame:
    """**events** of some executions."""
    e, trace, timeline, row = join.executions, join.run.trace, join.timeline, join.row_of[which]

    def of_row(values: list[str | None]) -> np.ndarray:
        return np.array([*values, None], object)[row]

    lines = np.array([line.name or str(line.id) for line in trace.lines], object)
    planes = np.array([trace.planes[line.plane].name for line in trace.lines], object)
    return pd.DataFrame(
        {
            "op": of_row([r.name for r in join.rows]),
            "op_type": of_row([r.type for r in join.rows]),
            "layer": of_row([_path(r.info, join.run.sites) for r in join.rows]),
            "device": planes[e.line[which]],
            "line": lines[e.line[which]],
            "step": pd.arrays.IntegerArray(e.run[which].astype(np.int64), e.run[which] < 0),
            # Whole: since the epoch they are beyond what a float holds to the nanosecond.
            "start_ns": trace.base_ns + e.start[which] // _PS_PER_NS,
            "duration_ns": (timeline.until[which] - timeline.start[which]) / _PS_PER_NS,
            "self_ns": timeline.self[which] / _PS_PER_NS,
        }
    )


def steps_table(join: Join) -> pd.DataFrame:
    """**steps**: one row per batch; times in ms, starts since the window's begin."""
    events, run = join.run.trace.events, join.run.manifest["run"]
    marks = join.marks.of(Mark.STEP)
    marks = marks[np.argsort(events.start_ps[marks], kind="stable")]
    start, duration = events.start_ps[marks], events.duration_ps[marks]
    wall, calls = _in_steps(join, start, duration)
    size = run["batch_size"] * run["steps_per_execution"] if len(marks) else 0
    left = run["trace"]["samples"]
    rows = []
    for step in range(len(marks)):
        rows.append(
            {
                "step": step,
                "samples": min(size, left),
                "start_ms": int(start[step] - join.window.start) / _PS_PER_MS,
                "wall_ms": int(duration[step]) / _PS_PER_MS,
                "ops_ms": wall[step] / _PS_PER_MS,
                "calls": int(calls[step]),
            }
        )
        left -= min(size, left)
    return _table(
        rows, integers=("step", "samples", "calls"), numbers=("start_ms", "wall_ms", "ops_ms")
    )


def _in_steps(join: Join, start: np.ndarray, duration: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wall time (ps) and number of the model's executions that begin in each step (in order)."""
    e = join.executions
    mine = np.flatnonzero(e.run >= 0)
    step = np.searchsorted(start, e.start[mine], side="right") - 1
    inside = e.start[mine] < np.append(start + duration, 0)[step]
    mine, step = mine[inside], step[inside]
    wall = np.bincount(step, weights=join.timeline.wall[mine], minlength=len(start))
    return wall, np.bincount(step, minlength=len(start))


def _quantile(ordered: np.ndarray, part: float) -> float:
    """As `np.percentile`, whose overhead is most of the table for a thousand short rows."""
    place = (len(ordered) - 1) * part
    low = int(place)
    below, above = int(ordered[low]), int(ordered[min(low + 1, len(ordered) - 1)])
    weight = place - low
    if weight < 0.5:
        return below + (above - below) * weight
    return above - (above - below) * (1 - weight)


def _per_sample(info: KernelInfo | None, join: Join) -> dict[str, int | float | None]:
    """Executed work of a kernel per sample, over its executions in one call."""
    if info is None:
        return dict.fromkeys(WORK)
    result: dict[str, int | float | None] = {}
    for name in WORK:
        amount = info.work[name]
        if amount == 0:
            result[name] = 0
        elif amount is None or info.times is None:
            result[name] = None
        else:
            result[name] = _share(amount * info.times, info.batch)
    return result


def _share(amount: int | None, batch: int) -> int | float | None:
    """Per sample: an integer where the batch divides it."""
    if amount is None:
        return None
    share, rest = divmod(amount, batch)
    return amount / batch if rest else share


def _rate(per_sample: float | None, samples: int, seconds: float) -> float | None:
    """Billions per second."""
    if per_sample is None or not seconds:
        return None
    return per_sample * samples / seconds / 1e9


def _path(info: KernelInfo | None, sites: list[dict[str, Any]]) -> str | None:
    if info is None or info.layer == OUTSIDE:
        return None
    path: str = sites[info.layer]["path"]
    return path


def _device(join: Join, executions: np.ndarray) -> str:
    if not len(executions):
        return "/host:CPU"
    return join.run.trace.plane_of(int(join.executions.line[executions[0]])).name


def _table(
    rows: list[dict[str, Any]],
    integers: tuple[str, ...],
    numbers: tuple[str, ...],
    others: tuple[str, ...] = (),
) -> pd.DataFrame:
    """Nullable columns throughout: unknown is null. Whole numbers stay whole where all are.

    ``others`` are the columns that a table without rows has as well.
    """
    table = pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(others), dtype=object)
    for name in (*integers, *numbers):
        values = [row[name] for row in rows]
        whole = name in integers or (
            name in (*_NEEDED, "bytes_executed")
            and all(v is None or isinstance(v, int) for v in values)
        )
        table[name] = pd.array(values, "Int64" if whole else "Float64")
    return table
