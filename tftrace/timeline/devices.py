"""What ran on GPUs: kernels and copies on the streams, named by the operation behind them.

A device's plane repeats the streams' time in derived lines (TensorFlow Ops, Steps, XLA Modules …);
only the streams are read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tftrace.parsers import Trace
from tftrace.parsers.trials import AUTOTUNING, CHECK, only_tried

Int = npt.NDArray[np.int64]

DEVICE = "/device:GPU:"
UNNAMED = "kernel"
"""Type of a kernel that no operation is noted for; its name is the kernel's own."""

_STREAM = "Stream #"
_COPIES = ("Memcpy", "Memset", "__amd_rocclr_copy", "__amd_rocclr_fill")
_OP = re.compile(r"([A-Za-z0-9.][A-Za-z0-9_.\\/>-]*):([A-Z_][A-Za-z0-9_]*)(?:::?#.*)?$")
_SOURCES = ("tf_op", "level 0", "annotation")


@dataclass(frozen=True)
class DeviceWork:
    """Kernels and copies in the order of the trace.

    ``event`` are indices into the trace; ``launched`` is when the host asked for each, its own
    start where that is not recorded, in ps. A copy has the operation's name and ``MemcpyH2D`` or
    the like for a type; a kernel that was only tried has the type `AUTOTUNING`.
    """

    event: Int
    launched: Int
    op: list[str]
    type: list[str]


def device_work(trace: Trace) -> DeviceWork:
    """Everything on the streams of all GPUs."""
    parts = [
        np.arange(line.first, line.first + line.count)
        for line in trace.lines
        if is_device(trace.planes[line.plane].name) and is_stream(line.name)
    ]
    found = np.concatenate([*parts, np.empty(0, np.int64)]).astype(np.int64)
    full = [str(name) for name in trace.names(found)]
    notes = zip(*(_notes(trace, source, found) for source in _SOURCES), strict=True)
    named = [_operation(note) for note in notes]
    ops, types = [], []
    for name, known in zip(full, named, strict=True):
        op, kind = known or (name, UNNAMED)
        ops.append(op)
        types.append(name if name.startswith(_COPIES) else kind)
    tried = _tried(trace, found, ops, full)
    types = [AUTOTUNING if t else kind for t, kind in zip(tried, types, strict=True)]
    return DeviceWork(found, _launched(trace, found), ops, types)


def is_device(plane: str) -> bool:
    """Whether a plane is a GPU's."""
    return plane.startswith(DEVICE)


def is_stream(line: str) -> bool:
    """Whether a line of a GPU holds what ran, and does not repeat it in another shape."""
    return line.startswith(_STREAM)


def is_copy(kind: str) -> bool:
    """Whether a type is that of a copy (or fill) of device memory; ROCm's are kernels."""
    return kind.startswith(_COPIES)


def launches_work(name: str, launched: frozenset[str]) -> bool:
    """Whether the host's event of this name is an operation whose work a device did."""
    match = _OP.match(name)
    return match is not None and match[1] in launched


def launches(trace: Trace) -> Int:
    """The host's calls of the driver that launched something."""
    asked = trace.events.stats["correlation_id"].events.astype(np.int64)
    on_host = np.array([not is_device(trace.planes[n.plane].name) for n in trace.lines], bool)
    return asked[on_host[trace.events.line[asked]]] if len(asked) else asked


def _notes(trace: Trace, stat: str, events: Int) -> list[str]:
    codes = trace.events.stats[stat].at(events)
    return [trace.strings[c] if c >= 0 else "" for c in codes.tolist()]


def _operation(notes: tuple[str, ...]) -> tuple[str, str] | None:
    """Name and type of the operation in the first note that has them."""
    for note in notes:
        match = _OP.match(note)
        if match is not None:
            return match[1], match[2]
    return None


def _groups(trace: Trace, events: Int) -> Int:
    """The step that each event belongs to, as far as it is recorded."""
    return trace.events.stats["group_id"].at(events)


def _tried(trace: Trace, events: Int, ops: list[str], names: list[str]) -> list[bool]:
    """Kernels that were only tried."""
    number: dict[str, int] = {}
    of_op = np.array([number.setdefault(op, len(number)) for op in ops], np.int64)
    check = np.array([name == CHECK for name in names], bool)
    group, start = _groups(trace, events), trace.events.start_ps[events]
    tried: list[bool] = only_tried(of_op, group, start, check).tolist()
    return tried


def _launched(trace: Trace, events: Int) -> Int:
    """When the host launched each, by the id that both sides note."""
    ids = trace.events.stats["correlation_id"]
    asked = launches(trace)
    start = trace.events.start_ps
    if not len(asked):
        return start[events]
    known = ids.at(asked)
    order = np.argsort(known, kind="stable")
    mine = ids.at(events)
    place = np.minimum(np.searchsorted(known[order], mine), len(known) - 1)
    met = (known[order][place] == mine) & np.isin(events, ids.events)
    return np.where(met, start[asked[order][place]], start[events])
