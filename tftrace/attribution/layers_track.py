"""A "Keras layers" track inside TensorFlow's own trace, for TensorBoard's trace viewer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tftrace.attribution.join import Join
from tftrace.attribution.kernel_owner import OUTSIDE
from tftrace.parsers.proto.xplane_proto import XSpace
from tftrace.runs.run import open_run

PLANE = "/device:CUSTOM:Keras layers"


def append_layers_track(folder: Path) -> None:
    """Append the plane to the trace in the run folder ``folder``.

    Concatenating a second XSpace is protobuf's merge: the trace's own bytes stay untouched.
    """
    run = open_run(folder)
    space = _space(Join(run))
    with run.trace_path.open("ab") as file:
        file.write(space.SerializeToString())


def _space(join: Join) -> XSpace:
    """One line per executor thread; consecutive operations of a layer are one slice."""
    e, trace = join.executions, join.run.trace
    site = np.full(len(e), OUTSIDE, np.int64)
    for row in join.rows:
        if row.info is not None:
            site[row.executions] = row.info.layer
    space = XSpace()
    plane = space.planes.add(id=1, name=PLANE)
    for number, info in enumerate(join.run.sites):
        plane.event_metadata[number + 1].id = number + 1
        plane.event_metadata[number + 1].name = info.path
        plane.event_metadata[number + 1].display_name = info.name
    for number, line in enumerate(np.unique(e.line[site >= 0]).tolist()):
        mine = np.flatnonzero((e.line == line) & (site >= 0))
        mine = mine[np.argsort(e.start[mine], kind="stable")]
        track = plane.lines.add(
            id=number + 1,
            name=f"Keras layers, thread {number + 1}",
            timestamp_ns=trace.base_ns,
        )
        changes = (np.diff(site[mine]) != 0) | (np.diff(e.run[mine]) != 0)
        cuts = np.flatnonzero(changes) + 1
        for group in np.split(mine, cuts):
            start, end = int(e.start[group].min()), int(e.end[group].max())
            track.events.add(
                metadata_id=int(site[group[0]]) + 1, offset_ps=start, duration_ps=end - start
            )
    return space
