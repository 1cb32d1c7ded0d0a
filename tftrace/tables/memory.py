"""**memory** and its timeline: who holds how many bytes, and when."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pandas as pd

from tftrace.attribution.join import Join
from tftrace.attribution.memory import INPUTS, UNNAMED, Held
from tftrace.graph.types import DTYPE_BYTES
from tftrace.runs.manifest import Manifest, Site, TracedFunction
from tftrace.tables.frame import PS_PER_MS, table_of
from tftrace.timeline.memory import GPU

OTHERS = ("inputs", "weights", "unnamed")
"""Rows behind those of the call sites: the data's batches; the model's weights; what is known to
be of neither, or of nobody."""

_NOT_NOTED = (
    "the trace does not show what the allocator handed out: TensorFlow notes it by itself only "
    "where oneDNN is on; measure with memory=True (--memory)"
)
_ALL_SMALL = (
    "the trace shows nothing that the allocator handed out: with oneDNN, TensorFlow notes only "
    "what is 256 KiB or larger"
)

_ONLY_KNOWN = (
    "of what was there before, only the weights and an optimizer's variables are known: without "
    "oneDNN, TensorFlow does not say"
)
_OF_XLA = (
    "its part of the one buffer that XLA asks for, by XLA's own assignment, when that is fullest"
)


def memory_table(join: Join, found: Held | None) -> pd.DataFrame:
    """**memory**: one row per call site, in execution order, then those of `OTHERS`; in bytes.

    ``output_bytes`` is of a layer's output for one full batch. ``peak_live_bytes``: the most bytes
    held, whoever holds them, while one of its kernels ran. ``held_at_peak_bytes``: what its own
    kernels had asked for and was still held at the moment of the window's peak; the column sums to
    that peak; of a buffer of XLA it has what its values fill when that is fullest. ``temp_bytes``:
    the most at once of what its kernels asked for and that did not outlive the kernel.
    ``weights_bytes``: of the weights that are its own. ``basis`` says
    ``measured``, ``computed``, or is null with a reason in ``note``.

    Args:
        found: the buffers of ``join`` with their holders, as `held` gives them.
    """
    manifest = join.run.manifest
    reason = _missing(manifest) if found is None else None
    sizes = output_bytes(manifest)
    rows = [_site_row(site, size, reason) for site, size in zip(manifest.sites, sizes, strict=True)]
    rows += [_other_row(name, reason) for name in OTHERS]
    if found is not None:
        _measure(found, rows)
    return table_of(
        rows,
        integers=(
            *("output_bytes", "peak_live_bytes", "held_at_peak_bytes", "temp_bytes"),
            "weights_bytes",
        ),
        numbers=(),
        others=("path", "basis", "note"),
    )


def memory_timeline(found: Held | None) -> pd.DataFrame:
    """Bytes held over the step of the peak: one row per holder when the step begins, then one per
    change.

    Columns: ``time_ms`` since the step began (the first rows are at 0), ``path`` the holder (a row
    of **memory**), ``change_bytes`` what it gained, ``held_bytes`` what it holds from then on,
    ``live_bytes`` what all hold. Empty where the trace does not show it.
    """
    columns = ("change_bytes", "held_bytes", "live_bytes")
    if found is None:
        return table_of([], columns, ("time_ms",), ("time_ms", "path", *columns))
    return table_of(_changes(found), columns, ("time_ms",), ("path",))


def _missing(manifest: Manifest) -> str:
    machine = manifest.machine
    return _ALL_SMALL if machine is not None and machine.onednn else _NOT_NOTED


def _site_row(site: Site, output: int | None, reason: str | None) -> dict[str, Any]:
    return {
        "path": site.path,
        "output_bytes": output,
        **_nothing(reason, site.weights_bytes),
    }


def _other_row(name: str, reason: str | None) -> dict[str, Any]:
    return {"path": name, "output_bytes": None, **_nothing(reason, None)}


def _nothing(reason: str | None, weights: int | None) -> dict[str, Any]:
    """What is known before any buffer is looked at."""
    return {
        **dict.fromkeys(("peak_live_bytes", "held_at_peak_bytes", "temp_bytes")),
        "weights_bytes": weights,
        "basis": None if reason else "measured",
        "note": reason,
    }


def output_bytes(manifest: Manifest) -> list[int | None]:
    """Per call site the bytes of its (first) output for one full batch, or all samples where those
    are fewer; None where its shape or element type is not known."""
    types, run = _output_types(manifest), manifest.run
    full = [size for size in (run.batch_size, run.samples) if size is not None]
    batch = min(full) if run.batch_size is not None else None
    return [
        _size(site.output_shape, batch, types[number]) for number, site in enumerate(manifest.sites)
    ]


def _size(shape: list[int | None] | None, batch: int | None, types: set[str | None]) -> int | None:
    widths = {DTYPE_BYTES.get(name or "") for name in _floats(types)}
    width = widths.pop() if len(widths) == 1 else None
    if not shape or batch is None or width is None:
        return None
    sizes = [batch if shape[0] is None else shape[0], *shape[1:]]
    known = [size for size in sizes if size is not None]
    return None if len(known) < len(sizes) else prod(known) * width


def _output_types(manifest: Manifest) -> list[set[str | None]]:
    """Per call site the element types of what it, with all inside it, hands to others."""
    number = {site.path: n for n, site in enumerate(manifest.sites)}
    inside = [_ancestors(site.path, number) for site in manifest.sites]
    found: list[set[str | None]] = [set() for _ in manifest.sites]
    # The model's many operations hand on few kinds of value between few pairs of call sites.
    for dtype, owner, reader in set().union(*map(_handed_on, manifest.functions)):
        for site in set(inside[owner]).difference(inside[reader] if reader >= 0 else ()):
            found[site].add(dtype)
    return found


def _handed_on(function: TracedFunction) -> set[tuple[str | None, int, int]]:
    """What passes between call sites: element type, whose it is and who reads it (-1: no call)."""
    ops, types = function.ops, function.ops.dtype
    if types is None:
        return set()
    found: set[tuple[str | None, int, int]] = set()
    read: set[int] = set()
    for reader, sources in enumerate(ops.inputs):
        if not ops.live[reader]:
            continue
        own = ops.owner[reader]
        read.update(sources)
        found.update((types[s], ops.owner[s], own) for s in sources if ops.owner[s] != own)
    # What nobody reads is a result of the function, or done for its effect.
    found.update(
        (types[op], owner, -1)
        for op, owner in enumerate(ops.owner)
        if ops.live[op] and op not in read
    )
    return {each for each in found if each[1] >= 0}


def _ancestors(path: str, number: dict[str, int]) -> tuple[int, ...]:
    """The call site and those that it lies in."""
    parts = path.split("/")
    heads = ("/".join(parts[:length]) for length in range(1, len(parts) + 1))
    return tuple(number[head] for head in heads if head in number)


def _floats(types: set[str | None]) -> set[str | None]:
    """The element types of values: those of shapes and indices stand beside them in a layer."""
    return {name for name in types if name and "float" in name} or types


def _measure(found: Held, rows: list[dict[str, Any]]) -> None:
    """Fill in what the buffers show."""
    sites = len(found.join.run.sites)
    alive = found.at(found.peak_ps)
    held_by = _by_holder(found, alive, sites)
    temporary = _temporary(found, sites)
    running = peak_live_bytes(found)
    for site in range(sites):
        rows[site]["held_at_peak_bytes"] = held_by[site]
        rows[site]["temp_bytes"] = temporary[site]
        rows[site]["peak_live_bytes"] = running[site]
        if site in found.shared:
            rows[site]["basis"], rows[site]["note"] = "computed", _OF_XLA
    inputs, weights, unnamed = rows[sites:]
    inputs["held_at_peak_bytes"] = held_by[INPUTS]
    base, own = found.base, found.weights
    notes = []
    if found.buffers.allocator.startswith(GPU):
        notes.append(f"all rows are of {found.buffers.allocator}; other devices are not told")
    if found.unassigned:
        notes.append(
            f"{found.unassigned:,} bytes that calls of XLA asked for are in no allocation of a "
            "module that the trace has"
        )
    unnamed["note"] = "; ".join(notes) or None
    if base is None or own is None:
        weights["note"] = "the run does not say how large the model's weights are"
        weights["basis"] = None
        unnamed["held_at_peak_bytes"] = None if base is None else held_by[UNNAMED] + base
        return
    weights["held_at_peak_bytes"] = min(own, base)
    unnamed["held_at_peak_bytes"] = held_by[UNNAMED] + base - min(own, base)
    known = found.join.run.manifest.model.weights_bytes or []
    weights["weights_bytes"] = sum(known)
    if found.buffers.before is None:
        weights["basis"], weights["note"] = "computed", "by the model: they were made before"
        unnamed["note"] = "; ".join([*notes, _ONLY_KNOWN])
    elif sum(known) > own:
        weights["note"] = (
            f"{sum(known) - own:,} bytes of weights are smaller than {found.smallest:,} each and "
            "lie outside the allocator"
        )


def _by_holder(found: Held, which: np.ndarray, sites: int) -> dict[int, int]:
    totals = dict.fromkeys((*range(sites), INPUTS, UNNAMED), 0)
    for holder, size in zip(
        found.holder[which].tolist(), found.buffers.bytes[which].tolist(), strict=True
    ):
        totals[holder] += size
    return totals


def _temporary(found: Held, sites: int) -> list[int]:
    """Per call site, the most at once of what ended with the kernel that had asked for it."""
    b, e = found.buffers, found.join.executions
    until = np.append(e.end, np.iinfo(np.int64).min)[found.execution]
    most = [0] * sites
    by_execution: dict[tuple[int, int], list[int]] = {}
    for i in np.flatnonzero((found.holder >= 0) & (b.end <= until)).tolist():
        key = int(found.execution[i]), int(found.holder[i])
        by_execution.setdefault(key, []).append(i)
    for own in by_execution.values():
        time = np.r_[b.start[own], b.end[own]]
        change = np.r_[b.bytes[own], -b.bytes[own]]
        # What is taken back at a moment makes room for what is handed out then.
        order = np.lexsort((change, time))
        site = int(found.holder[own[0]])
        most[site] = max(most[site], int(np.cumsum(change[order]).max()))
    return most


def holders(found: Held) -> dict[int, str]:
    """Rows of **memory** by holder."""
    paths = {n: site.path for n, site in enumerate(found.join.run.sites)}
    return paths | {INPUTS: "inputs", UNNAMED: "unnamed"}


def peak_live_bytes(found: Held) -> list[int | None]:
    """Per call site, the most bytes held by all while one of its kernels ran; None where none was
    recorded."""
    e, join, sites = found.join.executions, found.join, len(found.join.run.sites)
    owner = np.array([-1 if r.info is None else r.info.layer for r in join.rows] or [-1], np.int64)
    row = join.row_of
    own = np.flatnonzero((row >= 0) & (owner[row] >= 0))
    most = np.zeros(sites, np.int64)
    base = 0 if found.buffers.before is not None else found.base or 0
    live = found.buffers.most(e.start[own], e.end[own]) + base
    np.maximum.at(most, owner[row[own]], live)
    ran = set(owner[row[own]].tolist())
    return [int(most[site]) if site in ran else None for site in range(sites)]


def _changes(found: Held) -> list[dict[str, Any]]:
    """The rows of the timeline: what each holder had when the step began, then the changes."""
    b = found.buffers
    paths = holders(found)
    begin, end = found.step
    first = _by_holder(found, found.at(begin), len(found.join.run.sites))
    base, own = found.base or 0, found.weights
    holds = {paths[holder]: size for holder, size in first.items()}
    holds["weights"] = min(own or 0, base)
    holds["unnamed"] += base - holds["weights"]
    live, rows = 0, []
    for path, size in holds.items():
        if size:
            live += size
            rows.append(_change(0, path, size, size, live))
    moments = [(int(b.start[i]), i, 1) for i in range(len(b)) if begin < b.start[i] < end]
    moments += [(int(b.end[i]), i, -1) for i in range(len(b)) if begin < b.end[i] < end]
    for moment, i, sign in sorted(moments, key=lambda m: m[0]):
        path, change = paths[int(found.holder[i])], sign * int(b.bytes[i])
        holds[path] += change
        live += change
        rows.append(_change(moment - begin, path, change, holds[path], live))
    return rows


def _change(time: int, path: str, change: int, holds: int, live: int) -> dict[str, Any]:
    return {
        "time_ms": time / PS_PER_MS,
        "path": path,
        "change_bytes": change,
        "held_bytes": holds,
        "live_bytes": live,
    }
