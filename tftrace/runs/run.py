"""A run folder, opened: its manifest, and its trace as columns."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tftrace.errors import TftraceError
from tftrace.files import replacing
from tftrace.parsers import (
    StatNames,
    Trace,
    TraceError,
    TruncatedTrace,
    read_hlo_protos,
    read_trace,
)
from tftrace.runs.epochs import Epochs
from tftrace.runs.find import other_hosts
from tftrace.runs.manifest import Manifest, OnednnRun, Site, read_manifest, write_manifest
from tftrace.runs.names import HOST, MANIFEST, MEMORY, MEMORY_STATS, STATS, TRACE


@dataclass(frozen=True)
class Run:
    """A run folder's contents.

    ``salvage`` and ``threads`` say how to read the trace, as `read_trace` takes them;
    ``several_hosts`` which of several that captured the run this is, in words.
    """

    folder: Path
    trace_path: Path
    manifest: Manifest
    salvage: bool = False
    threads: int | None = None
    several_hosts: str | None = None
    stats: StatNames = field(default=STATS, repr=False)

    @property
    def manifest_path(self) -> Path:
        """The manifest's file, beside the trace."""
        return self.trace_path.with_name(self.trace_path.name.removesuffix(TRACE) + MANIFEST)

    @property
    def sites(self) -> list[Site]:
        """The model's call sites in execution order."""
        return self.manifest.sites

    @cached_property
    def trace(self) -> Trace:
        """The trace's events.

        Raises:
            TftraceError: the trace is empty, not one, or truncated: without ``salvage``, or so
                early that the names of its events are lost.
        """
        try:
            trace = read_trace(
                self.trace_path, self.stats, salvage=self.salvage, threads=self.threads
            )
        except TruncatedTrace as error:
            raise TftraceError(
                f"{self.trace_path}: {error}; `tftrace report --salvage` reports what is whole"
            ) from error
        except TraceError as error:
            raise TftraceError(f"{self.trace_path}: {error}") from error
        except OSError as error:
            raise TftraceError(f"cannot read {self.trace_path}: {error.strerror}") from error
        if trace.truncated_at is not None and not _named_on_host(trace):
            raise TftraceError(
                f"{self.trace_path}: truncated at byte {trace.truncated_at}, {len(trace.events)} "
                "events read, none with its name, which comes behind the events: nothing to report"
            )
        return trace

    @cached_property
    def of_memory(self) -> Run:
        """This run with what its allocator noted: in a trace of its own, where there is one."""
        own = self.trace_path.with_name(self.trace_path.name.removesuffix(TRACE) + MEMORY)
        return replace(
            self, trace_path=own if own.exists() else self.trace_path, stats=MEMORY_STATS
        )

    @property
    def recorded_on_host(self) -> bool:
        """Whether any event of a host has a name."""
        return _named_on_host(self.trace)

    @property
    def lost(self) -> str | None:
        """What a salvaged trace lacks, in words; None when the trace is whole."""
        trace = self.trace
        if trace.truncated_at is None:
            return None
        unnamed = int(np.count_nonzero(trace.classify(lambda _, name: not name)))
        return (
            f"the trace is truncated at byte {trace.truncated_at}: only what lies before was read, "
            f"{len(trace.events)} events"
            + (f", {unnamed} of them without their names" if unnamed else "")
        )

    @cached_property
    def hlo_protos(self) -> dict[str, bytes]:
        """Serialized modules of XLA by name and program id, as the trace carries them."""
        return read_hlo_protos(self.trace_path)


def open_run(path: Path, *, salvage: bool = False, threads: int | None = None) -> Run:
    """Open a run: its folder, its manifest, or a folder that holds runs (the newest is taken).

    Its trace is read when first asked for, as ``salvage`` and ``threads`` say.

    Raises:
        TftraceError: there is no run, or it was written by a later tftrace.
    """
    manifest_path = find_manifest(path)
    manifest = read_manifest(manifest_path)
    trace = manifest_path.with_name(manifest_path.name.removesuffix(MANIFEST) + TRACE)
    if not trace.exists():
        raise TftraceError(f"{trace} is missing")
    hosts = other_hosts(path, trace)
    return Run(manifest_path.parent, trace, manifest, salvage, threads, hosts)


def find_manifest(path: Path) -> Path:
    """The manifest that ``path`` means.

    Raises:
        TftraceError: nothing there was written by tftrace.
    """
    if not os.path.exists(path):
        raise TftraceError(f"no run at {path}")
    if os.path.isfile(path):
        if path.name.endswith(MANIFEST):
            return path
        raise TftraceError(f"{path} is not a run folder")
    found = manifests_in(path)
    if found:
        return found[-1]
    raise TftraceError(f"{path} holds no run of tftrace (no .tftrace.json)")


def add_onednn(folder: Path, found: OnednnRun) -> None:
    """Add what oneDNN's log showed to the run in ``folder``: in one step, or not at all.

    Raises:
        TftraceError: there is no run, or it cannot be written.
    """
    _change(folder, onednn=found)


def add_epochs(folder: Path, found: Epochs) -> None:
    """Have the run in ``folder`` tell of those epochs: in one step, or not at all.

    Raises:
        TftraceError: there is no run, or it cannot be written.
    """
    _change(folder, epochs=found)


def _change(folder: Path, **fields: Any) -> None:
    path = find_manifest(folder)
    manifest = msgspec.structs.replace(read_manifest(path), **fields)
    with replacing(path) as part:
        write_manifest(part, manifest)


def manifest_beside(trace: Path) -> Path | None:
    """The manifest of the run whose trace that is; None for a trace that another program took."""
    if not trace.name.endswith(TRACE):
        return None
    manifest = trace.with_name(trace.name.removesuffix(TRACE) + MANIFEST)
    return manifest if manifest.exists() else None


def manifests_in(folder: Path) -> list[Path]:
    """Manifests of the run in ``folder`` or of the runs below it, the newest last."""
    for pattern in (f"*{MANIFEST}", f"plugins/profile/*/*{MANIFEST}", f"**/*{MANIFEST}"):
        found = sorted(folder.glob(pattern), key=lambda p: p.stat().st_mtime_ns)
        if found:
            return found
    return []


def _named_on_host(trace: Trace) -> bool:
    """Whether any event of a host has a name."""
    return bool(
        trace.classify(lambda plane, name: plane.name.startswith(HOST) and name != "").any()
    )
