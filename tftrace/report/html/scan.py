"""The page of a scan: what was read, stragglers, spread over hosts, totals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tftrace.report.exports.tables import write_text
from tftrace.report.html.page import document, plain_table
from tftrace.text import bytes_text, count_text, ms_text, share_text

if TYPE_CHECKING:
    import pandas as pd

    from tftrace.scan import ScanResult


def write_scan(result: ScanResult, path: Path) -> None:
    """Write the page of a scan.

    Raises:
        TftraceError: ``path`` cannot be written.
    """
    hosts = result.hosts
    size = bytes_text(int(hosts["bytes"].sum())) if len(hosts) else "0 B"
    verdict = [
        f"traces: {len(hosts):,} ({size}); runs: {hosts['run'].nunique():,}; "
        f"hosts: {hosts['host'].nunique():,}",
        *_stragglers(result),
    ]
    failed = len(result.errors)
    page = document(
        "A scan of runs: tftrace",
        {},
        {},
        name="Scan",
        verdict=verdict,
        warnings=[f"files that could not be read: {failed:,}, listed below"] if failed else [],
        tables=_tables(result),
    )
    write_text(path, page)


def _stragglers(result: ScanResult) -> list[str]:
    hosts = result.hosts
    if hosts.empty or not hosts["over_median"].notna().any():
        return ["stragglers: nothing to compare; no two captures are of the same work"]
    compared = int(hosts["over_median"].notna().sum())
    if result.stragglers.empty:
        widest = float(hosts["over_median"].max())
        return [
            f"stragglers: none; the slowest of {compared} compared takes {widest:.2f} x the median "
            "of its peers"
        ]
    return [f"stragglers: {len(result.stragglers)} of {compared} compared"]


def _tables(result: ScanResult) -> list[dict[str, Any]]:
    ratio = "{:.2f}".format
    found: list[tuple[str, pd.DataFrame, dict[str, Any]]] = [
        ("Files that could not be read", result.errors, {"url": str, "error": str}),
    ]
    if not result.hosts.empty:
        found += [
            ("Stragglers", result.stragglers, _host_columns(ratio)),
            ("Captures", result.hosts, _host_columns(ratio)),
            ("Layers over hosts", result.layer_spread, _spread_columns("path", "us", ratio)),
            ("Ops over hosts", result.op_spread, _spread_columns("op", "ms", ratio)),
        ]
        if len(result.layers):
            columns = {"layer": ("path", str), "type": str, "captures": str}
            columns |= {"ms": ("wall_ms", ms_text), "share": share_text}
            found.append(("Layers, all captures", result.layer_totals, columns))
        columns = {"op type": ("op_type", str), "on": ("device", str), "captures": str}
        columns |= {"occurrences": count_text, "own ms": ("own_ms", ms_text), "share": share_text}
        found.append(("Op types, all captures", result.op_types, columns))
    return [plain_table(title, rows, columns) for title, rows, columns in found if len(rows)]


def _host_columns(ratio: Any) -> dict[str, Any]:
    return {
        "host": str,
        "run": str,
        "wall ms": ("wall_ms", ms_text),
        "ops ms": ("ops_ms", ms_text),
        "device ms": ("device_ms", ms_text),
        "over median": ("over_median", ratio),
    }


def _spread_columns(name: str, unit: str, ratio: Any) -> dict[str, Any]:
    return {
        "layer" if name == "path" else "op": (name, str),
        "captures": str,
        f"min {unit}": (f"min_{unit}", ms_text),
        f"median {unit}": (f"median_{unit}", ms_text),
        f"max {unit}": (f"max_{unit}", ms_text),
        "max/median": ("max_over_median", ratio),
        "slowest": ("slowest_host", str),
    }
