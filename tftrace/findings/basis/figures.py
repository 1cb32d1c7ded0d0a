"""Figures of a run that several rules ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import nan
from typing import NamedTuple

import numpy as np
import pandas as pd

from tftrace.attribution.rows import LAYERS
from tftrace.findings.basis.evidence import Evidence
from tftrace.graph.kernel_types import is_onednn, plain_type
from tftrace.text import share_text, short_names
from tftrace.timeline.share_out import PIPELINE


def layers_ms(profile: Evidence) -> float:
    """Time of all layers in ms."""
    return float(profile.layers["wall_ms"].sum())


def component_ms(profile: Evidence, name: str) -> float:
    """One component of **wall** in ms."""
    wall = profile.wall
    return float(wall.loc[wall["component"] == name, "wall_ms"].sum())


def of_predict(profile: Evidence, ms: float, way: str = "predict") -> str:
    """``13.7% of predict``: of the wall time of the traced pass, the base of every report."""
    return f"{share_text(float(ms) / float(profile.wall['wall_ms'].sum()))} of {way}"


def name_of(profile: Evidence, path: str) -> str:
    """The layer's shortest name that no other has."""
    return _names(_Same(profile.layers)).get(path, path)


class Kernel(NamedTuple):
    """A layer's kernel that was seen to run, as in **ops**; ``macs`` is NaN when unknown."""

    op: str
    op_type: str
    layer: str
    device: str
    calls: float
    busy_ms: float
    p50_us: float
    wall_ms: float
    thread_ms: float
    macs: float
    members: list[str]

    @property
    def plain_type(self) -> str:
        """What it computes, whatever it is called."""
        return plain_type(self.op_type)

    @property
    def settled_ms(self) -> float:
        """The wall time in ms, had every execution taken the median.

        One pass is short: an execution that another process held up would promise a saving that
        nobody sees again.
        """
        typical = self.p50_us * self.calls / 1e3
        return self.wall_ms * (min(typical / self.busy_ms, 1.0) if self.busy_ms > 0 else 1.0)


_PLAIN = ("op", "op_type", "layer", "device", "members")


def kernels(profile: Evidence) -> tuple[Kernel, ...]:
    """The layers' kernels that were seen to run, longest first."""
    return _kernels(_Same(profile.ops))


def by_layer(some: Iterable[Kernel]) -> dict[str, list[Kernel]]:
    """Kernels by the path of their layer, in order."""
    return _by(some, lambda kernel: kernel.layer)


def by_op(some: Iterable[Kernel]) -> dict[str, list[Kernel]]:
    """Kernels by name: one for each device and type that an operation ran as."""
    return _by(some, lambda kernel: kernel.op)


def _by(some: Iterable[Kernel], key: Callable[[Kernel], str]) -> dict[str, list[Kernel]]:
    found: dict[str, list[Kernel]] = {}
    for kernel in some:
        found.setdefault(key(kernel), []).append(kernel)
    return found


def settled_ms(some: Iterable[Kernel]) -> float:
    """Time of some kernels in ms, had every execution taken its median."""
    return total(kernel.settled_ms for kernel in some)


def settled_part(mine: Iterable[Kernel]) -> float:
    """The settled share of the wall time of some kernels."""
    wall = total(kernel.wall_ms for kernel in mine)
    return settled_ms(mine) / wall if wall > 0 else 1.0


def total(values: Iterable[float]) -> float:
    """The sum as DataFrames have it: Python's own differs between its versions."""
    return float(np.sum(np.fromiter(values, float)))


@dataclass(frozen=True, eq=False)
class _Same:
    """A table as a key: the same object is the same key."""

    table: pd.DataFrame

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.table is self.table

    def __hash__(self) -> int:
        return id(self.table)


@lru_cache(maxsize=1)
def _names(key: _Same) -> dict[str, str]:
    return short_names(list(key.table["path"]))


# Every rule asks, about one run after the other. Rules take the kernels apart layer by layer,
# which costs ten times more in a DataFrame.
@lru_cache(maxsize=1)
def _kernels(key: _Same) -> tuple[Kernel, ...]:
    ops = key.table
    seen = ops[(ops["component"] == LAYERS) & ops["layer"].notna() & (ops["calls"] > 0)]
    columns = (
        seen[name].tolist() if name in _PLAIN else seen[name].to_numpy(float, na_value=nan).tolist()
        for name in Kernel._fields
    )
    return tuple(map(Kernel, *columns))


@dataclass(frozen=True)
class CallTimes:
    """One ``predict`` call in ms: before its first batch, in its batches, after its last.

    ``fixed`` is the part of ``batches`` in which none of the model's kernels ran.
    """

    before: float
    batches: float
    after: float
    fixed: float
    count: int

    @property
    def around(self) -> float:
        """What comes once per call."""
        return self.before + self.after


def onednn_ran(profile: Evidence) -> bool:
    """Whether oneDNN's kernels ran: as the run says, else as the names of its kernels tell."""
    told = profile.machine.get("onednn")
    return any(map(is_onednn, profile.ops["op_type"])) if told is None else bool(told)


def steps_per_traced_step(profile: Evidence) -> float:
    """Steps of the whole call over those of the traced pass: 1 unless that was shortened."""
    run = profile.run
    return run["steps"] / run["trace"]["steps"] if run["trace"]["whole"] is False else 1.0


def call_times(profile: Evidence) -> CallTimes | None:
    """How the traced call splits; None when no batch was marked."""
    steps = profile.steps
    if not len(steps):
        return None
    batches = float(steps["wall_ms"].sum())
    last = steps.iloc[-1]
    before = float(steps["start_ms"].iloc[0])
    after = float(profile.wall["wall_ms"].sum()) - float(last["start_ms"] + last["wall_ms"])
    fixed = max(0.0, batches - float(steps["ops_ms"].sum()))
    return CallTimes(before, batches, max(0.0, after), fixed, len(steps))


def waited_ms(profile: Evidence, times: CallTimes) -> float:
    """What the batches behind the first waited for the input pipeline at least, in ms.

    The first always waits. Whatever is around the batches may be the pipeline's: what is left of it
    surely is in them.
    """
    return min(idle_ms(profile), component_ms(profile, PIPELINE) - times.around)


def idle_ms(profile: Evidence) -> float:
    """The time in the batches behind the first in which no kernel of the model ran, in ms."""
    later = profile.steps.iloc[1:]
    return float((later["wall_ms"] - later["ops_ms"]).sum())
