"""Read an XSpace trace (`.xplane.pb`) into columns.

A file is read into memory and indexed in Python without touching its events (`trace_file`), its
lines are scanned and decoded by compiled loops, on all cores (`lines`, `columns`).
"""

from __future__ import annotations

from tftrace.parsers.columns import read_columns
from tftrace.parsers.lines import scan_lines
from tftrace.parsers.trace import DEFAULT_STATS, Line, StatNames, Trace
from tftrace.parsers.trace_file import Source, open_trace

_HLO_STATS = frozenset({"Hlo Proto", "hlo_proto"})


def read_trace(
    source: Source,
    stats: StatNames = DEFAULT_STATS,
    *,
    salvage: bool = False,
    threads: int | None = None,
) -> Trace:
    """All events of a trace file (path, or its bytes) as columns.

    Args:
        source: a path to a local file, or the serialized XSpace.
        stats: which stats to decode; the others cost little.
        salvage: of a file that ends early, return what is whole: whole planes, and of the plane
            that is cut its whole events (their names may be lost: they are written behind them).
        threads: decode on so many threads; None for one per available core.

    Raises:
        EmptyTrace: there are no bytes at all.
        TruncatedTrace: the file ends in the middle of a message, and `salvage` is false.
        MalformedTrace: the bytes are not an XSpace. Payloads nobody asked for are not checked.
        OversizedTrace: they describe more things than a file of that size can be expected to.
        ChangedTrace: the file was written to while it was read.
        OSError: the file cannot be read.
    """
    file = open_trace(source, stats.__contains__)
    heads = scan_lines(file, threads, salvage)
    events, strings, base_ns = read_columns(file, heads, stats, threads)
    lines = []
    first = 0
    for head in heads:
        lines.append(
            Line(
                head.plane,
                head.id,
                head.name,
                head.display_name,
                head.timestamp_ns,
                first,
                head.events,
            )
        )
        first += head.events
    return Trace(
        planes=file.planes,
        lines=lines,
        base_ns=base_ns,
        events=events,
        strings=strings,
        hostnames=file.hostnames,
        errors=file.errors,
        warnings=file.warnings,
        truncated_at=file.truncated_at,
    )


def read_hlo_protos(source: Source) -> dict[str, bytes]:
    """Serialized `HloProto` of every XLA module in the trace, by module name.

    The name is as the trace has it, program id included: `a_inference_one_step(7)`.
    Empty if nothing was compiled by XLA, or the trace does not carry the modules. Of a file that
    ends early, the modules of whole planes.

    Raises:
        EmptyTrace, MalformedTrace, OSError: as `read_trace`.
    """
    protos: dict[str, bytes] = {}
    for plane in open_trace(source, _HLO_STATS.__contains__).planes:
        if plane.name == "/host:metadata":
            for key, stats in plane.event_stats.items():
                for value in stats.values():
                    if isinstance(value, bytes):
                        protos[plane.event_names[key]] = value
    return protos
