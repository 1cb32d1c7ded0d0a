"""One trace file to small tables: the task of one worker."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tftrace.api.load import load
from tftrace.errors import TftraceError
from tftrace.parsers import EmptyTrace
from tftrace.parsers.op_table import op_totals
from tftrace.runs.names import MANIFEST, TRACE
from tftrace.scan.find import Capture, is_local

INPUT_PIPELINE = "Dataset"
"""The op type that `op_totals` gives to stages of `tf.data`."""


@dataclass(frozen=True)
class Reading:
    """What one trace told.

    Attributes:
        facts: columns of `ScanResult.hosts` but for `run`, `host` and `url`.
        ops: the table of `op_totals`.
        layers: the table **layers** of the run; None without a usable manifest.
        manifest_error: why a manifest that is there is not usable.
    """

    capture: Capture
    facts: dict[str, Any]
    ops: pd.DataFrame
    layers: pd.DataFrame | None
    manifest_error: str | None


def read_capture(capture: Capture, threads: int = 1) -> Reading:
    """Read one trace on so many threads: workers are what runs side by side.

    Raises:
        TraceError: the trace is empty, truncated or not one.
        OSError: it cannot be read; remote file systems have further exceptions.
    """
    with _local_files(capture) as (trace, manifest):
        try:
            ops = op_totals(trace, threads=threads)
        except EmptyTrace:
            raise EmptyTrace(capture.url) from None  # a local copy's name means nothing to users
        facts: dict[str, Any] = {"bytes": trace.stat().st_size, **op_facts(ops)}
        if manifest is None:
            return Reading(capture, facts, ops, None, None)
        try:
            profile = load(manifest, threads=threads)
            layers = profile.layers
        except TftraceError as error:
            return Reading(capture, facts, ops, None, str(error))
        facts |= {
            "model": profile.model["name"],
            "batch_size": profile.run["batch_size"],
            "jit": profile.run["jit"],
            "machine": machine_text(profile.machine),
            "samples": profile.run["trace"]["samples"],
            "wall_ms": float(profile.wall["wall_ms"].sum()),
        }
        return Reading(capture, facts, ops, layers, None)


def machine_text(machine: Mapping[str, Any] | None) -> str | None:
    """What makes two machines the same kind, in one line; None where a run does not say."""
    if not machine:
        return None
    devices = [d.rpartition("device:")[2] for d in machine.get("devices") or []]
    onednn, limit = machine.get("onednn"), machine.get("instruction_limit")
    parts = [
        str(machine.get("cpu", "")),
        f"{machine['cores']} cores" if "cores" in machine else "",
        f"{machine['intra_op_threads']} threads" if "intra_op_threads" in machine else "",
        "" if onednn is None else f"oneDNN {'on' if onednn else 'off'}",
        f"held to {limit}" if limit else "",
        *(device for device in devices if not device.startswith("CPU")),
    ]
    return ", ".join(part for part in parts if part) or None


def own_ms(ops: pd.DataFrame) -> pd.Series:
    """Each op's time without that of ops inside it; its whole time where nesting is unknown."""
    return ops["self_ms"].fillna(ops["total_ms"])


def op_facts(ops: pd.DataFrame) -> dict[str, Any]:
    """What a table of ops adds up to, in ms: ops of the host, of devices, and the input pipeline.

    Null means that there was none.
    """
    own = own_ms(ops)
    on_device = ops["device"] == "device"
    input_pipeline = ops["op_type"] == INPUT_PIPELINE
    parts = {
        "ops_ms": ~on_device & ~input_pipeline,
        "device_ms": on_device,
        "input_ms": ~on_device & input_pipeline,
    }
    return {name: float(own[part].sum()) if part.any() else None for name, part in parts.items()}


@contextmanager
def _local_files(capture: Capture) -> Iterator[tuple[Path, Path | None]]:
    """Trace and manifest as local files; copies of remote ones live as long as the context."""
    import fsspec

    fs, remote = fsspec.core.url_to_fs(capture.url)
    if is_local(fs):
        yield Path(capture.url), None if capture.manifest is None else Path(capture.manifest)
        return
    with tempfile.TemporaryDirectory(prefix="tftrace-") as folder:
        trace = Path(folder) / f"{capture.host}{TRACE}"
        # To a file, not into memory: the reader lets go of mapped pages that it has passed.
        fs.get_file(remote, str(trace))
        if capture.manifest is None:
            yield trace, None
            return
        manifest = trace.with_name(f"{capture.host}{MANIFEST}")
        fs.get_file(fs._strip_protocol(capture.manifest), str(manifest))
        yield trace, manifest
