"""Figures of a run that several rules ask for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import nan

import pandas as pd

from tftrace.advice.findings.evidence import Evidence
from tftrace.attribution.rows import LAYERS


def layers_ms(profile: Evidence) -> float:
    """Time of all layers in ms."""
    return float(profile.layers["wall_ms"].sum())


def component_ms(profile: Evidence, name: str) -> float:
    """One component of **wall** in ms."""
    wall = profile.wall
    return float(wall.loc[wall["component"] == name, "wall_ms"].sum())


def kernels(profile: Evidence) -> pd.DataFrame:
    """The layers' kernels that were seen to run, with ``settled_ms``; numbers are float64.

    ``settled_ms`` is the wall time had every execution taken the median: one pass is short, and
    an execution that another process held up would promise a saving that nobody sees again.
    """
    return _kernels(_Same(profile.ops))


@dataclass(frozen=True, eq=False)
class _Same:
    """A table as a key: the same object is the same key."""

    table: pd.DataFrame

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.table is self.table

    def __hash__(self) -> int:
        return id(self.table)


# Every rule asks, about one run after the other.
@lru_cache(maxsize=1)
def _kernels(key: _Same) -> pd.DataFrame:
    ops = key.table
    seen = (ops["component"] == LAYERS) & ops["layer"].notna() & (ops["calls"] > 0)
    # Plain columns: rules take these rows apart layer by layer, which nullable ones make slow.
    found = pd.DataFrame({name: _plain(column[seen]) for name, column in ops.items()})
    typical = found["p50_us"] * found["calls"] / 1e3
    part = (typical / found["busy_ms"].where(found["busy_ms"] > 0)).clip(upper=1.0).fillna(1.0)
    found["settled_ms"] = found["wall_ms"] * part
    return found


def _plain(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column):
        return pd.Series(column.to_numpy(float, na_value=nan))
    return pd.Series(column.to_numpy(object), dtype=object)


def settled_layers_ms(profile: Evidence) -> float:
    """Time of all layers' recorded kernels in ms, had every execution taken its median."""
    return float(kernels(profile)["settled_ms"].sum())


def settled_part(mine: pd.DataFrame) -> float:
    """The settled share of the wall time of some kernels."""
    wall = float(mine["wall_ms"].sum())
    return float(mine["settled_ms"].sum()) / wall if wall > 0 else 1.0


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

    @property
    def total(self) -> float:
        """The whole call, what passes between batches left out."""
        return self.before + self.batches + self.after


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
