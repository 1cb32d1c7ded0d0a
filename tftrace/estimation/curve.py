"""How a network's predicted time grows with the batch: fixed, and for each sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from tftrace.estimation.network import NetworkEstimate
from tftrace.units import with_units

_NEAR = 1.1
"""Times the least per sample: from there on a larger batch gains next to nothing."""


@dataclass(frozen=True)
class BatchCurve:
    """Estimates of one call at several batch sizes, ascending."""

    estimates: tuple[NetworkEstimate, ...]

    @property
    def table(self) -> pd.DataFrame:
        """One row per batch size: ``batch, ms, low_ms, high_ms`` of the call, ``sample_ms``."""
        rows = [
            (e.batch, e.total.ms, e.total.low_ms, e.total.high_ms, e.total.ms / e.samples)
            for e in self.estimates
        ]
        names = ["batch", "ms", "low_ms", "high_ms", "sample_ms"]
        return with_units(pd.DataFrame(rows, columns=names))

    @property
    def layers(self) -> pd.DataFrame:
        """One row per call site, for one batch: ``path, type, fixed_ms, sample_ms, bend``.

        The time of a batch is ``fixed_ms + batch * sample_ms``, the line with neither below 0 that
        has the least relative errors (least squares over ``ms``; Lawson and Hanson 1974, chapter
        23). ``bend``: the batch from which on a sample costs at most 10 % more than it does at
        best. All null where the time of the layer is not known.
        """
        first = self.estimates[0].layers
        batches = [estimate.batch for estimate in self.estimates]
        times = np.array([e.layers["ms"].to_numpy(float) for e in self.estimates])
        rows = []
        for site, ms in zip(first[["path", "type"]].itertuples(index=False), times.T, strict=True):
            fixed, sample, bend = _line(batches, ms)
            rows.append((*site, fixed, sample, bend))
        table = pd.DataFrame(rows, columns=["path", "type", "fixed_ms", "sample_ms", "bend"])
        return with_units(table.astype({"bend": "Int64"}))

    @property
    def bend(self) -> int:
        """The batch from which on a sample of the call costs at most 10 % more than at best."""
        table = self.table
        return _bend(list(table["batch"]), table["sample_ms"].to_numpy(float))

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        from tftrace.tables.frame import records

        return {
            "schema": 1,
            "batches": records(self.table),
            "bend": self.bend,
            "unknown": sorted({name for e in self.estimates for name in e.unknown}),
            "layers": records(self.layers),
        }


def curve_of(estimates: Mapping[int, NetworkEstimate]) -> BatchCurve:
    """The curve through estimates by batch size.

    Raises:
        ValueError: there are fewer than two.
    """
    if len(estimates) < 2:
        raise ValueError("a curve takes two batch sizes at least")
    return BatchCurve(tuple(estimates[batch] for batch in sorted(estimates)))


def _line(batches: Sequence[int], ms: Any) -> tuple[float, float, int | None]:
    if np.isnan(ms).any():
        return np.nan, np.nan, None
    if not ms.any():
        return 0.0, 0.0, None
    sizes = np.array(batches, float)
    (fixed, sample), _ = nnls(np.column_stack([1 / ms, sizes / ms]), np.ones(len(ms)))
    return float(fixed), float(sample), _bend(batches, ms / sizes)


def _bend(batches: Sequence[int], per_sample: Any) -> int:
    near = per_sample <= _NEAR * per_sample.min()
    return int(next(b for b, enough in zip(batches, near, strict=True) if enough))
