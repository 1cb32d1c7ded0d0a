"""Traces built event by event, for what this machine cannot record."""

from pathlib import Path

from tftrace.attribution.function import Function
from tftrace.attribution.provenance import KernelNodes, TracedOps
from tftrace.parsers.proto.xplane_proto import XSpace
from tftrace.runs.manifest import (
    Counting,
    Coverage,
    KernelColumns,
    Latency,
    Manifest,
    Model,
    OpColumns,
    Settings,
    Site,
    TracedFunction,
    TracedPass,
)
from tftrace.runs.run import Run

WORK = {"mults": 0, "macs": 0, "flops": 0, "transcendentals": 0, "bytes": 0}

Event = tuple[str, int, int, dict]
"""(name, start in us, end in us, stats)"""


def write_trace(
    path: Path, planes: dict[str, dict[str, list[Event]]], modules: dict[str, bytes] | None = None
) -> Path:
    """A trace of planes of lines of events; integer stats are int64, others strings.

    ``modules`` are serialized HLO protos by name and program id.
    """
    space = XSpace()
    for name, lines in planes.items():
        plane = space.planes.add(name=name)
        names: dict[str, int] = {}
        stats: dict[str, int] = {}
        for number, (line_name, events) in enumerate(lines.items(), 1):
            line = plane.lines.add(id=number, name=line_name)
            for event_name, start, end, values in sorted(events, key=lambda e: (e[1], -e[2])):
                event = line.events.add(metadata_id=names.setdefault(event_name, len(names) + 1))
                event.offset_ps, event.duration_ps = start * 10**6, (end - start) * 10**6
                for stat, value in values.items():
                    field = event.stats.add(metadata_id=stats.setdefault(stat, len(stats) + 1))
                    if isinstance(value, int):
                        field.int64_value = value
                    else:
                        field.str_value = value
        for event_name, key in names.items():
            plane.event_metadata[key].id, plane.event_metadata[key].name = key, event_name
        for stat, key in stats.items():
            plane.stat_metadata[key].id, plane.stat_metadata[key].name = key, stat
    plane = space.planes.add(name="/host:metadata")
    plane.stat_metadata[1].id, plane.stat_metadata[1].name = 1, "Hlo Proto"
    for key, (name, data) in enumerate((modules or {}).items(), 1):
        plane.event_metadata[key].id, plane.event_metadata[key].name = key, name
        plane.event_metadata[key].stats.add(metadata_id=1, bytes_value=data)
    path.write_bytes(space.SerializeToString())
    return path


def function_of(*ops: tuple[str, str, int, int, dict]) -> Function:
    """A function of (key, type, owner, times, work) operations, all needed."""
    keys, types = [o[0] for o in ops], [o[1] for o in ops]
    return Function(
        name="__inference_f",
        batch=2,
        counted_batch=2,
        ops=TracedOps(keys, types, [[] for _ in ops], [True] * len(ops)),
        owner=[o[2] for o in ops],
        times=[o[3] for o in ops],
        work=[{**WORK, **o[4]} for o in ops],
        out_bytes=[8] * len(ops),
        kernels=KernelNodes([], [], []),
    )


def run_of(trace: Path, layers: list[str], function: Function) -> Run:
    """A run of one batch over ``layers``, all below the model ``m``."""
    sites = [Site(path=path, name=path, type="Layer", call=1, depth=1, params=0) for path in layers]
    manifest = Manifest(
        model=Model(name="m"),
        run=Settings(batch_size=2, steps_per_execution=1, trace=TracedPass(samples=2)),
        latency=Latency(),
        counting=Counting(rule="", coverage=Coverage(), batch=2, layers={}),
        sites=sites,
        functions=[recorded(function)],
    )
    return Run(trace.parent, trace, manifest)


def recorded(function: Function) -> TracedFunction:
    """The function as a manifest has it."""
    ops, kernels = function.ops, function.kernels
    return TracedFunction(
        name=function.name,
        batch=function.batch,
        counted_batch=function.counted_batch,
        ops=OpColumns(
            key=list(ops.key),
            type=list(ops.type),
            owner=function.owner,
            times=function.times,
            live=[int(live) for live in ops.live],
            inputs=[list(sources) for sources in ops.inputs],
            out_bytes=function.out_bytes,
            work=function.work,
            form=None if ops.form is None else list(ops.form),
        ),
        kernels=KernelColumns(list(kernels.name), list(kernels.type), list(kernels.inputs)),
    )
