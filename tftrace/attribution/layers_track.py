"""A "Keras layers" track inside TensorFlow's own trace, for TensorBoard's trace viewer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tftrace.attribution.join import Join
from tftrace.attribution.kernel_owner import OUTSIDE
from tftrace.attribution.live_line import live_line
from tftrace.attribution.memory import Held, held
from tftrace.graph.phases import PHASES, phase_of
from tftrace.parsers.proto.xplane_proto import XSpace
from tftrace.runs.manifest import Site
from tftrace.runs.names import LABELED, way_of
from tftrace.runs.run import open_run

PLANE = "/device:CUSTOM:Keras layers"
STATS = ("layer", "type", "MACs per sample", "kernel")
"""What a slice tells: path and class of the layer, what it multiplies, and the types of the kernels
that it ran itself in that stretch."""
OF_LABELED = "phase"
"""What a slice of a run with labels tells besides: the phase of the step."""

MEMORY = "bytes held"
"""Name of the counter of the memory, where it was noted."""
_COUNTERS = "_counters_"
"""What TensorFlow calls a line whose events are values (tsl/profiler/utils/xplane_schema.cc)."""

Int = npt.NDArray[np.int64]


def append_layers_track(folder: Path) -> None:
    """Append the plane to the trace in the run folder ``folder``.

    Concatenating a second XSpace is protobuf's merge: the trace's own bytes stay untouched.
    """
    run = open_run(folder)
    join = Join(run)
    space = _space(join)
    found = held(join.over(run.of_memory)) if run.manifest.run.memory else None
    if found is not None:
        _add_memory(space.planes[0], join, found)
    with run.trace_path.open("ab") as file:
        file.write(space.SerializeToString())


@dataclass(frozen=True)
class _Kernels:
    """The layers' executions on one thread, in order: ``kind`` indexes the rows of the join,
    ``phase`` is an index into `PHASES`."""

    site: Int
    step: npt.NDArray[np.int32]
    kind: Int
    phase: Int
    start: Int
    end: Int


def _space(join: Join) -> XSpace:
    """One line per executor thread: each layer as a slice below those of its containers."""
    e = join.executions
    site, kind = np.full(len(e), OUTSIDE, np.int64), np.full(len(e), -1, np.int64)
    phase = np.zeros(len(e), np.int64)
    labeled = way_of(join.run.manifest.run.call) in LABELED
    for number, row in enumerate(join.rows):
        if row.info is not None:
            site[row.executions] = row.info.layer
            kind[row.executions] = number
            phase[row.executions] = PHASES.index(phase_of(row.info.phase))
    space = XSpace()
    plane = space.planes.add(id=1, name=PLANE)
    texts = _Texts(plane)
    _name_sites(join, plane, texts)
    levels = _levels(join.run.sites)
    types = [row.type for row in join.rows]
    for number, line in enumerate(np.unique(e.line[site >= 0]).tolist(), start=1):
        mine = np.flatnonzero((e.line == line) & (site >= 0))
        mine = mine[np.argsort(e.start[mine], kind="stable")]
        track = plane.lines.add(
            id=number,
            name=f"Keras layers, thread {number}",
            timestamp_ns=join.run.trace.base_ns,
        )
        kernels = _Kernels(
            site[mine], e.run[mine], kind[mine], phase[mine], e.start[mine], e.end[mine]
        )
        for key, start, end, own, of in sorted(
            _slices(kernels, levels), key=lambda s: (s[1], -s[2])
        ):
            event = track.events.add(metadata_id=key + 1, offset_ps=start, duration_ps=end - start)
            if len(own):
                ran = ", ".join(dict.fromkeys(types[n] for n in own.tolist()))
                event.stats.add(metadata_id=texts.kernel, ref_value=texts.id_of(ran))
            if labeled:
                event.stats.add(metadata_id=texts.phase, ref_value=texts.id_of(PHASES[of]))
    return space


def _add_memory(plane: Any, join: Join, found: Held) -> None:
    """Bytes held over the window, as a line that viewers draw as a counter."""
    event_kind, stat = max(plane.event_metadata, default=0) + 1, max(plane.stat_metadata) + 1
    plane.event_metadata[event_kind].id, plane.stat_metadata[stat].id = event_kind, stat
    plane.event_metadata[event_kind].name, plane.stat_metadata[stat].name = MEMORY, "bytes"
    line = plane.lines.add(
        id=len(plane.lines) + 1, name=_COUNTERS, timestamp_ns=join.run.trace.base_ns
    )
    for time, size in zip(*(column.tolist() for column in live_line(join, found)), strict=True):
        event = line.events.add(metadata_id=event_kind, offset_ps=time)
        event.stats.add(metadata_id=stat, uint64_value=size)


class _Texts:
    """Names of stats, and their texts, each written once."""

    def __init__(self, plane: Any) -> None:
        self._plane = plane
        self._ids: dict[str, int] = {}
        self.layer, self.type, self.macs, self.kernel, self.phase = map(
            self.id_of, (*STATS, OF_LABELED)
        )

    def id_of(self, text: str) -> int:
        """The number under which the plane knows the text."""
        if text not in self._ids:
            self._ids[text] = number = len(self._ids) + 1
            self._plane.stat_metadata[number].id = number
            self._plane.stat_metadata[number].name = text
        return self._ids[text]


def _name_sites(join: Join, plane: Any, texts: _Texts) -> None:
    counting = join.run.manifest.counting
    for number, site in enumerate(join.run.sites, start=1):
        told = plane.event_metadata[number]
        told.id, told.name, told.display_name = number, site.path, site.name
        told.stats.add(metadata_id=texts.layer, ref_value=texts.id_of(site.path))
        told.stats.add(metadata_id=texts.type, ref_value=texts.id_of(site.type))
        work = counting.layers.get(site.path)
        macs = 0 if work is None else work.macs  # a layer without any has no entry
        if macs is not None:
            told.stats.add(metadata_id=texts.macs, double_value=macs / counting.batch)


def _levels(sites: Sequence[Site]) -> list[Int]:
    """Per depth the container of each site at that depth, itself at its own, -1 below."""
    number = {site.path: n for n, site in enumerate(sites)}
    chains: list[list[int]] = []
    for n, site in enumerate(sites):
        above = number.get(site.parent or "", -1)
        # A container's call begins before those inside it, so its chain is there already.
        chains.append([*(chains[above] if 0 <= above < n else ()), n])
    deepest = max(map(len, chains), default=0)
    return [np.array([c[d] if d < len(c) else -1 for c in chains], int) for d in range(deepest)]


def _slices(kernels: _Kernels, levels: Sequence[Int]) -> Iterator[tuple[int, int, int, Int, int]]:
    """Site, start, end, the kinds of kernels that it ran itself and the phase, for each stretch of
    a phase of a step in which one thread worked for it and what is inside it."""
    for level in levels:
        key = level[kernels.site]
        changes = [np.diff(each) != 0 for each in (key, kernels.step, kernels.phase)]
        cuts = np.flatnonzero(np.logical_or.reduce(changes)) + 1
        firsts = np.concatenate([np.zeros(min(len(key), 1), np.int64), cuts])
        for first, last in zip(firsts.tolist(), [*cuts.tolist(), len(key)], strict=False):
            site = int(key[first])
            if site >= 0:
                part = slice(first, last)
                own = kernels.kind[part][kernels.site[part] == site]
                ends = int(kernels.end[part].max())
                yield site, int(kernels.start[first]), ends, own, int(kernels.phase[first])
