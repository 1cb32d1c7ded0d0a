"""What a scan answers with: four tables, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from tftrace.parsers import TraceError
from tftrace.scan import summary
from tftrace.scan.find import Capture
from tftrace.scan.read import Reading
from tftrace.tables.frame import records
from tftrace.units import with_units

TABLES = ("ops", "layers", "hosts", "errors")

_TOLD = (
    *("hosts", "errors", "stragglers", "layer_spread", "op_spread", "layer_totals", "op_types"),
)
_KEYS = ["run", "host"]
_OPS = ["op", "op_type", "plane", "device", "occurrences", "total_ms", "mean_us", "self_ms"]
_LAYERS = ["path", "name", "type", "wall_ms"]  # the least there is when nothing was read
_ERRORS = ["url", "error"]
_HOSTS = {
    "url": "object",
    "bytes": "Int64",
    "model": "object",
    "batch_size": "Int64",
    "jit": "boolean",
    "machine": "object",
    "samples": "Int64",
    "wall_ms": "Float64",
    "ops_ms": "Float64",
    "device_ms": "Float64",
    "input_ms": "Float64",
}


@dataclass(frozen=True)
class ScanResult:
    """Many captures, each one host's trace of one run. All tables begin with `run` and `host`.

    Attributes:
        ops: per capture and op, the columns of `tftrace.parsers.op_table.op_totals`; the whole
            trace, in ms.
        layers: per capture with a manifest and layer, the columns of `Profile.layers`.
        hosts: per capture that could be read: `url`, `bytes`; from the manifest `model`,
            `batch_size`, `jit`, the `machine` in words, traced `samples` and `wall_ms`; own time of
            operations on the host (`ops_ms`), on devices (`device_ms`), of the input pipeline
            (`input_ms`); and the columns of `tftrace.scan.summary.compare_hosts`, which tell
            stragglers.
        errors: per file that could not be read: `url`, `error`.
    """

    ops: pd.DataFrame
    layers: pd.DataFrame
    hosts: pd.DataFrame
    errors: pd.DataFrame

    @cached_property
    def stragglers(self) -> pd.DataFrame:
        """Rows of `hosts` much slower than their peers, the slowest first."""
        return with_units(summary.stragglers(self.hosts), "hosts")

    @cached_property
    def layer_spread(self) -> pd.DataFrame:
        """Each layer's us per sample over the captures that are peers; see `summary.spread`."""
        return with_units(summary.layer_spread(self.layers, self.hosts))

    @cached_property
    def op_spread(self) -> pd.DataFrame:
        """Each op's ms over the captures that are peers; see `summary.spread`."""
        return with_units(summary.op_spread(self.ops, self.hosts))

    @cached_property
    def layer_totals(self) -> pd.DataFrame:
        """Time of each layer of each model over all captures."""
        return with_units(summary.layer_totals(self.layers, self.hosts))

    @cached_property
    def op_types(self) -> pd.DataFrame:
        """Time of each op type over all captures."""
        return with_units(summary.op_type_totals(self.ops))

    def to_dict(self) -> dict[str, Any]:
        """As JSON types: what all captures say together, and each host; not every op of each."""
        return {"schema": 1} | {name: records(getattr(self, name)) for name in _TOLD}


def assemble(
    readings: Sequence[Reading], failures: Sequence[tuple[Capture, Exception]]
) -> ScanResult:
    """Put together what was read, and what could not be."""
    hosts = [
        {"run": r.capture.run, "host": r.capture.host, "url": r.capture.url, **r.facts}
        for r in readings
    ]
    errors = [(c.run, c.host, c.url, _reason(error)) for c, error in failures] + [
        (r.capture.run, r.capture.host, r.capture.manifest, r.manifest_error)
        for r in readings
        if r.manifest_error is not None
    ]
    table = pd.DataFrame(hosts, columns=[*_KEYS, *_HOSTS]).astype(_HOSTS)
    return ScanResult(
        ops=with_units(_stack([(r.capture, r.ops) for r in readings], _OPS)),
        layers=with_units(
            _stack([(r.capture, r.layers) for r in readings if r.layers is not None], _LAYERS)
        ),
        hosts=with_units(summary.compare_hosts(table), "hosts"),
        errors=pd.DataFrame(errors, columns=[*_KEYS, *_ERRORS]),
    )


def _stack(parts: list[tuple[Capture, pd.DataFrame]], columns: list[str]) -> pd.DataFrame:
    """The tables of captures, one below the other."""
    tables = []
    for capture, part in parts:
        table = part.copy()
        table.insert(0, "run", capture.run)
        table.insert(1, "host", capture.host)
        tables.append(table)
    if not tables:
        return pd.DataFrame(columns=[*_KEYS, *columns])
    return pd.concat(tables, ignore_index=True)


def _reason(error: Exception) -> str:
    """One line; what is not meant for users is told with its type."""
    text = " ".join(str(error).split())
    return text if isinstance(error, TraceError) else f"{type(error).__name__}: {text}"
