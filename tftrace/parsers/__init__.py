"""Bytes to columns: XSpace traces, HLO metadata, per-op timing."""

from tftrace.parsers.errors import EmptyTrace, MalformedTrace, TraceError, TruncatedTrace
from tftrace.parsers.trace import (
    DEFAULT_STATS,
    MISSING,
    Events,
    Line,
    Plane,
    StatColumn,
    StatNames,
    Trace,
)
from tftrace.parsers.xspace import read_hlo_protos, read_trace

__all__ = [
    "DEFAULT_STATS",
    "MISSING",
    "EmptyTrace",
    "Events",
    "Line",
    "MalformedTrace",
    "Plane",
    "StatColumn",
    "StatNames",
    "Trace",
    "TraceError",
    "TruncatedTrace",
    "read_hlo_protos",
    "read_trace",
]
