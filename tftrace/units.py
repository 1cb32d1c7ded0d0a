"""The unit of every column with numbers: in a table's ``attrs``, in Parquet, and in the docs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

UNITS: dict[str, tuple[str, ...]] = {
    "ms": (
        *("active_ms", "backward_ms", "busy_ms", "device_ms", "end_ms", "extra_ms", "first_ms"),
        *("fixed_ms", "forward_ms", "high_ms", "input_ms", "later_ms", "low_ms", "mac_only_ms"),
        *("max_ms", "median_ms", "min_ms", "ms", "ops_ms", "optimizer_ms", "own_ms", "pass_ms"),
        *("reason_ms", "recomputed_ms", "self_ms", "start_ms", "thread_ms", "time_ms", "total_ms"),
        *("wait_ms", "waits_ms", "wall_ms"),
    ),
    "us": ("mean_us", "p50_us", "p99_us", "us_per_element"),
    "ns": ("duration_ns", "self_ns", "start_ns"),
    "ms/sample": ("a_ms", "b_ms", "difference_ms", "sample_ms"),
    "us/sample": ("max_us", "median_us", "min_us"),
    "mult/sample": ("a_mults", "b_mults", "mults", "mults_backward", "mults_executed"),
    "MAC/sample": ("macs", "macs_backward", "macs_executed"),
    "FLOP/sample": ("flops", "transcendentals"),
    "byte/sample": ("bytes", "bytes_executed"),
    "byte": (
        "asked_bytes",
        *("change_bytes", "held_at_peak_bytes", "held_bytes", "limit_bytes", "live_bytes"),
        *("output_bytes", "peak_bytes", "peak_live_bytes", "process_peak_bytes"),
        *("rounding_bytes", "temp_bytes", "weights_bytes"),
    ),
    "1e9 MAC/s": ("gmacs_per_s",),
    "1e9 byte/s": ("gb_per_s",),
    "FLOP/byte": ("intensity",),
    "1": (
        *(
            "a",
            "allocations",
            "b",
            "batch",
            "batch_size",
            "bend",
            "busy_share",
            "calls",
            "captures",
            "devices",
        ),
        *(
            "events",
            "expected_calls",
            "kernel_calls",
            "max_over_median",
            "mults_share",
            "occurrences",
            "ops",
        ),
        *("over_median", "parallelism", "params", "roof_share", "samples", "share"),
        *("time_share", "wall_share"),
    ),
}
"""Columns by their unit; ``1`` are counts, and shares from 0 to 1. Names and numbers of order
(``call``, ``depth``, ``epoch``, ``step``) have none."""

ELSEWHERE = {("estimate", "macs"): "MAC/batch", ("hosts", "bytes"): "byte"}
"""Tables in which a column of that name has another unit."""

_BY_COLUMN = {column: unit for unit, columns in UNITS.items() for column in columns}
KEY = "units"
"""In the ``attrs`` of a table, and in the metadata of a Parquet schema."""


def units_of(columns: Iterable[str], table: str = "") -> dict[str, str]:
    """The units of those of the columns that have one.

    Args:
        table: its name, for the columns of `ELSEWHERE`.
    """
    units = {name: ELSEWHERE.get((table, name), _BY_COLUMN.get(name)) for name in columns}
    return {name: unit for name, unit in units.items() if unit is not None}


class Units(dict[str, str]):
    """Units by column, not to be changed: pandas copies ``attrs`` deeply at every operation, which
    would take a tenth of a report."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Units:
        """Itself."""
        return self


def with_units(table: pd.DataFrame, name: str = "") -> pd.DataFrame:
    """The same table, which says in ``attrs["units"]`` what its columns are measured in."""
    table.attrs[KEY] = Units(units_of(map(str, table.columns), name))
    return table


def schema_with_units(schema: Any, units: dict[str, str]) -> Any:
    """A schema of pyarrow's with the units: of each field as its ``unit``, and of all as JSON under
    ``units`` (which tools that know no Arrow read: DuckDB's ``parquet_kv_metadata``) and where
    pandas finds the ``attrs`` of what it reads."""
    for index, name in enumerate(schema.names):
        if name in units:
            field = schema.field(index).with_metadata({"unit": units[name]})
            schema = schema.set(index, field)
    told = {KEY: json.dumps(units), "PANDAS_ATTRS": json.dumps({KEY: units})}
    return schema.with_metadata((schema.metadata or {}) | told)
