"""A run folder, opened: the manifest as dataclasses and the trace as columns. No TensorFlow."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tftrace.attribution.provenance import (
    KernelNodes,
    Members,
    TracedOps,
    constant_kernels,
    members_of_kernels,
)
from tftrace.errors import TftraceError
from tftrace.graph.flatten import CALLS, flat_name
from tftrace.parsers import Trace, TraceError, TruncatedTrace, read_hlo_protos, read_trace
from tftrace.runs.find import other_hosts
from tftrace.runs.names import HOST, MANIFEST, SCHEMA, STATS, TRACE


@dataclass(frozen=True)
class Function:
    """One trace of the predict function, in columns over its operations.

    ``owner`` is an index into the run's sites (-1: none), ``times`` executions per call (None:
    depends on data), ``work`` the executed work of one execution over ``counted_batch`` samples.
    """

    name: str | None
    batch: int | None
    counted_batch: int
    ops: TracedOps
    owner: list[int]
    times: list[int | None]
    work: list[dict[str, Any]]
    out_bytes: list[int | None]
    kernels: KernelNodes

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of each operation by its flat key."""
        return {key: i for i, key in enumerate(self.ops.key)}

    @cached_property
    def kernel_type(self) -> dict[str, str]:
        """Type of each kernel by its flat name; empty without graphs."""
        return {
            flat_name(name): kind
            for name, kind in zip(self.kernels.name, self.kernels.type, strict=True)
        }

    @cached_property
    def constant(self) -> frozenset[str]:
        """Flat names of the kernels that rest on constants alone."""
        return frozenset(flat_name(name) for name in constant_kernels(self.kernels))

    @cached_property
    def _whole_calls(self) -> tuple[str, ...]:
        return tuple(f"{name}/" for name, kind in self.kernel_type.items() if kind in CALLS)

    def executes(self, flat: str) -> bool:
        """Whether a call of this function runs the kernel of that flat name.

        What the optimiser or the runtime folded away does not run; what runs in a function that
        is called, or without the optimised graph, is taken to run.
        """
        if not self.kernels.name or flat.startswith(self._whole_calls):
            return True
        if flat in self.kernel_type:
            return flat not in self.constant
        op = self.index.get(flat)
        return op is not None and self.ops.type[op] == "Placeholder"

    @cached_property
    def members(self) -> dict[str, Members]:
        """What each kernel does the work of; an operation stands for itself without graphs."""
        if not self.kernels.name:
            return {key: Members((i,)) for i, key in enumerate(self.ops.key) if self.ops.live[i]}
        return members_of_kernels(self.ops, self.kernels)


@dataclass(frozen=True)
class Run:
    """A run folder's contents; ``manifest`` as written, ``functions`` opened up.

    ``salvage`` and ``threads`` say how to read the trace, as `read_trace` takes them;
    ``several_hosts`` which of several that captured the run this is, in words.
    """

    folder: Path
    trace_path: Path
    manifest: dict[str, Any]
    functions: list[Function]
    salvage: bool = False
    threads: int | None = None
    several_hosts: str | None = None

    @property
    def sites(self) -> list[dict[str, Any]]:
        """The model's call sites in execution order."""
        sites: list[dict[str, Any]] = self.manifest["sites"]
        return sites

    @cached_property
    def trace(self) -> Trace:
        """The trace's events.

        Raises:
            TftraceError: the trace is empty, not one, or truncated: without ``salvage``, or so
                early that the names of its events are lost.
        """
        try:
            trace = read_trace(self.trace_path, STATS, salvage=self.salvage, threads=self.threads)
        except TruncatedTrace as error:
            raise TftraceError(
                f"{self.trace_path}: {error}; `tftrace report --salvage` reports what is whole"
            ) from error
        except TraceError as error:
            raise TftraceError(f"{self.trace_path}: {error}") from error
        if trace.truncated_at is not None and not _named_on_host(trace):
            raise TftraceError(
                f"{self.trace_path}: truncated at byte {trace.truncated_at}, {len(trace.events)} "
                "events read, none with its name, which comes behind the events: nothing to report"
            )
        return trace

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
    try:
        manifest = json.loads(manifest_path.read_text())
    except (ValueError, UnicodeDecodeError) as error:
        raise TftraceError(f"{manifest_path} is damaged: {error}") from error
    if manifest.get("schema") != SCHEMA:
        raise TftraceError(
            f"{manifest_path} has schema {manifest.get('schema')}, this tftrace reads {SCHEMA}"
        )
    trace = manifest_path.with_name(manifest_path.name.removesuffix(MANIFEST) + TRACE)
    if not trace.exists():
        raise TftraceError(f"{trace} is missing")
    functions = [_function(f) for f in manifest["functions"]]
    hosts = other_hosts(path, trace)
    return Run(manifest_path.parent, trace, manifest, functions, salvage, threads, hosts)


def find_manifest(path: Path) -> Path:
    """The manifest that ``path`` means.

    Raises:
        TftraceError: nothing there was written by tftrace.
    """
    if not path.exists():
        raise TftraceError(f"no run at {path}")
    if path.is_file():
        if path.name.endswith(MANIFEST):
            return path
        raise TftraceError(f"{path} is not a run folder")
    found = manifests_in(path)
    if found:
        return found[-1]
    raise TftraceError(f"{path} holds no run of tftrace (no .tftrace.json)")


def add_to_manifest(folder: Path, key: str, value: Any) -> None:
    """Add an optional key to the manifest of the run in ``folder``: in one step, or not at all.

    Raises:
        TftraceError: there is no run, or it cannot be written.
    """
    path = find_manifest(folder)
    manifest = json.loads(path.read_text()) | {key: value}
    scratch = path.with_name(path.name + ".part")
    try:
        scratch.write_text(json.dumps(manifest, separators=(",", ":"), allow_nan=False))
        os.replace(scratch, path)
    except OSError as error:
        raise TftraceError(f"cannot write {path}: {error.strerror}") from error


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


def _function(data: dict[str, Any]) -> Function:
    ops, kernels = data["ops"], data["kernels"]
    return Function(
        name=data["name"],
        batch=data["batch"],
        counted_batch=data["counted_batch"],
        ops=TracedOps(
            ops["key"], ops["type"], ops["inputs"], [bool(v) for v in ops["live"]], ops.get("form")
        ),
        owner=ops["owner"],
        times=ops["times"],
        work=ops["work"],
        out_bytes=ops["out_bytes"],
        kernels=KernelNodes(kernels["name"], kernels["type"], kernels["inputs"]),
    )
