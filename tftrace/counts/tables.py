"""Counts as tables: one row per layer call, one row per operation, and how much is covered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

import pandas as pd

from tftrace.counts.count import OpCount, count_flow
from tftrace.counts.flow import flow_of
from tftrace.counts.layers import LayerCount, layer_counts, total
from tftrace.counts.memory import Memory
from tftrace.counts.rule import rule_text
from tftrace.counts.training import Training
from tftrace.graph import Program
from tftrace.units import with_units

WORK_COLUMNS = (
    "mults",
    "macs",
    "flops",
    "transcendentals",
    "bytes",
    "mults_executed",
    "macs_executed",
    "bytes_executed",
)
OP_COLUMNS = ("mults", "macs", "flops", "transcendentals", "bytes")
OUTSIDE = "(outside the layers)"


class CallSite(Protocol):
    """What a table needs to know of one call of a layer."""

    path: str
    name: str
    type: str
    call: int
    depth: int
    output_shape: list[int | None] | None
    params: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the graph is counted: operations that run, and what is unknown of which types.

    ``reasons`` say why, by type; a run of tftrace 0.1 has none.
    """

    counted: int
    total: int
    unknown: dict[str, int]
    reasons: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        line = f"{self.counted} of {self.total} operations counted"
        if self.unknown:
            line += f"; not counted: {'; '.join(map(self._told, self.unknown))}"
        return line

    def _told(self, name: str) -> str:
        reason = self.reasons.get(name)
        return f"{name} ({self.unknown[name]})" + (f", {reason}" if reason else "")


@dataclass(frozen=True)
class Counts:
    """Work of a model per sample.

    ``layers``: one row per call site in execution order; its work columns are what the
    mathematics needs, ``*_executed`` what runs. ``ops``: one row per operation that runs, with
    what it executes. Numbers are integers wherever the batch divides them, null where unknown;
    ``note`` says why. ``totals`` sums the layers; a total with an unknown part is None, and
    ``known`` then is the sum of what is known. ``memory`` is what one batch takes, where that was
    computed, ``training`` what ``fit`` takes besides, where that was asked for.
    """

    layers: pd.DataFrame
    ops: pd.DataFrame
    coverage: Coverage
    rule: str
    totals: dict[str, int | float | None]
    known: dict[str, int | float]
    batch: int
    memory: Memory | None = None
    training: Training | None = None

    @classmethod
    def from_program(
        cls,
        program: Program,
        call_sites: Sequence[CallSite],
        batch: int,
        *,
        flops_per_mac: int = 2,
    ) -> Counts:
        """Count a traced program whose operations are owned by ``call_sites``.

        Args:
            program: the traced call of the model on one batch of ``batch`` samples.
            call_sites: in execution order; an owner of the program is a ``path`` of these.
            batch: samples per call, by which everything is divided.
            flops_per_mac: 2, or 1 for tables that are compared with papers.

        Raises:
            ValueError: ``batch`` is less than 1, ``flops_per_mac`` neither 1 nor 2.
        """
        if batch < 1:
            raise ValueError(f"a batch has at least one sample, not {batch}")
        rule = rule_text(flops_per_mac)
        flow = flow_of(program)
        counted = count_flow(flow)
        rows = _layer_rows(layer_counts(flow, counted), call_sites, batch, flops_per_mac)
        ops = _op_rows(counted, batch, flops_per_mac)
        return cls(
            layers=with_units(_table(rows, WORK_COLUMNS)),
            ops=with_units(_table(ops, OP_COLUMNS)),
            coverage=coverage_of(counted),
            rule=rule,
            totals={name: _sum(row[name] for row in rows) for name in (*WORK_COLUMNS, "params")},
            known={name: _known(row[name] for row in rows) for name in (*WORK_COLUMNS, "params")},
            batch=batch,
        )

    def _repr_html_(self) -> str:
        from tftrace.report.notebook import counts_html

        return counts_html(self)


def coverage_of(counts: Iterable[OpCount]) -> Coverage:
    """Operations that run, how many have a count of multiplications, which do not, and why."""
    running = [count for count in counts if count.live]
    lacking = [c for c in running if total([(c.times, c.work.mults)]) is None]
    unknown = Counter(c.type for c in lacking)
    reasons: dict[str, dict[str, None]] = {name: {} for name in unknown}
    for count in lacking:
        reason = (count.work.reason or count.note) if count.known else "no formula"
        reasons[count.type].update({reason: None} if reason else {})
    return Coverage(
        counted=len(running) - len(lacking),
        total=len(running),
        unknown=dict(unknown.most_common()),
        reasons={name: " or ".join(found) for name, found in reasons.items()},
    )


def _layer_rows(
    layers: dict[str | None, LayerCount],
    sites: Sequence[CallSite],
    batch: int,
    flops_per_mac: int,
) -> list[dict[str, Any]]:
    nothing = LayerCount(0, 0, 0, 0, 0, 0, 0, 0)
    rows = [
        {
            "path": site.path,
            "name": site.name,
            "type": site.type,
            "call": site.call,
            "depth": site.depth,
            "output_shape": site.output_shape,
            "params": site.params,
            **_work(layers.get(site.path, nothing), batch, flops_per_mac),
        }
        for site in sites
    ]
    # Work of no call site, of the model's surroundings for one, is shown all the same.
    listed = {site.path for site in sites}
    for owner, layer in layers.items():
        if owner not in listed and any(getattr(layer, name) != 0 for name in WORK_COLUMNS):
            rows.append({**_unlisted(owner or OUTSIDE), **_work(layer, batch, flops_per_mac)})
    return rows


def _unlisted(path: str) -> dict[str, Any]:
    name = path.rpartition("/")[2]
    described = {"path": path, "name": name, "type": None, "call": 1, "depth": path.count("/")}
    return {**described, "output_shape": None, "params": 0}


def _work(layer: LayerCount, batch: int, flops_per_mac: int) -> dict[str, Any]:
    row = {name: _share(getattr(layer, name), batch) for name in WORK_COLUMNS}
    row["flops"] = _share(_flops(layer.flops, layer.macs, flops_per_mac), batch)
    return {**row, "note": "; ".join(layer.notes) or None}


def _op_rows(counts: Iterable[OpCount], batch: int, flops_per_mac: int) -> list[dict[str, Any]]:
    rows = []
    for count in counts:
        if not count.live:
            continue
        work = {name: total([(count.times, getattr(count.work, name))]) for name in OP_COLUMNS}
        work["flops"] = _flops(work["flops"], work["macs"], flops_per_mac)
        row: dict[str, Any] = {
            "op": count.key,
            "op_type": count.type,
            "layer": count.owner,
            "calls": count.times,
        }
        row |= {name: _share(value, batch) for name, value in work.items()}
        rows.append({**row, "note": count.note})
    return rows


def _flops(flops: int | None, macs: int | None, flops_per_mac: int) -> int | None:
    """Operations with a multiply-accumulate at ``flops_per_mac`` instead of two."""
    if flops is None or macs is None:
        return None
    return flops - (2 - flops_per_mac) * macs


def _share(amount: int | None, batch: int) -> int | float | None:
    """Per sample: an integer where the batch divides it."""
    if amount is None:
        return None
    share = Fraction(amount, batch)
    return share.numerator if share.denominator == 1 else float(share)


def _sum(values: Iterable[int | float | None]) -> int | float | None:
    listed = list(values)
    return None if None in listed else _known(listed)


def _known(values: Iterable[int | float | None]) -> int | float:
    return sum(value for value in values if value is not None)


def _table(rows: list[dict[str, Any]], numeric: tuple[str, ...]) -> pd.DataFrame:
    """Columns that are whole or null throughout are Int64, the others Float64."""
    table: pd.DataFrame = pd.DataFrame(rows)
    for name in (*numeric, "calls", "call", "depth", "params"):
        if name in table:
            # Of the rows: a column with a null in it is one of floats by now.
            values = [row[name] for row in rows]
            whole = all(value is None or isinstance(value, int) for value in values)
            table[name] = pd.array(values, "Int64" if whole else "Float64")
    return table
