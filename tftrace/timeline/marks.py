"""The events of a trace that say what happens around the operations, found in one look at names.

Nine events in ten are the executor's or the pool's bookkeeping; what is asked for by name is rare
beside them, so names are classified once and the rest is done with the few that were found.
"""

from __future__ import annotations

import re
from enum import IntFlag
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tftrace.native.loops.thread_pool import OP, RECORD, START, STOP
from tftrace.parsers import Plane, Trace
from tftrace.runs.names import HOST, STEP, WINDOW
from tftrace.timeline.arithmetic.spans import Spans, spans
from tftrace.timeline.devices import DeviceWork, device_work, launches_work
from tftrace.timeline.open_ends import Processes, with_open_ends

Int = npt.NDArray[np.int64]

FUNCTION = "EagerLocalExecute: "

OPERATION = re.compile(r"([A-Za-z0-9.][A-Za-z0-9_.\\/>-]*):([A-Z_][A-Za-z0-9_]*)$")
"""Name and type of an operation, as the name of the event of its execution has them."""

_POOL = {
    "ThreadpoolListener::Record": RECORD,
    "ThreadpoolListener::StartRegion": START,
    "ThreadpoolListener::StopRegion": STOP,
}
_MARK, _MARKED_OP = 5, 6  # what else an event is; an operation may be a mark as well


class Mark(IntFlag):
    """What the name of an event can say; one name may say several things."""

    WINDOW = 1 << 0
    STEP = 1 << 1
    RUN = 1 << 2
    FUNCTION = 1 << 3
    PROCESS = 1 << 4
    NEXT = 1 << 5
    ASYNC = 1 << 6
    END = 1 << 7
    COMPILER = 1 << 8
    EXECUTE = 1 << 9
    WAIT = 1 << 10
    PIPELINE = 1 << 11
    LAUNCH = 1 << 12
    STAGE = 1 << 13


_EXACT = {
    WINDOW: Mark.WINDOW,
    STEP: Mark.STEP,
    "FunctionRun": Mark.RUN,
    "ExecutorState::Process": Mark.PROCESS,
    "IteratorGetNextOp::DoCompute": Mark.NEXT,
    "ExecutorState::ProcessAsync::Start": Mark.ASYNC,
}
_PREFIXES = {
    FUNCTION: Mark.FUNCTION,
    "end: ": Mark.END,
    "CpuCompiler::": Mark.COMPILER,
    "GpuCompiler::": Mark.COMPILER,
    "CpuExecutable::Execute": Mark.EXECUTE,
    "GpuExecutable::Execute": Mark.EXECUTE,
    "BlockUntilReady": Mark.WAIT,
}
_ANY_PREFIX = tuple(_PREFIXES)
_STAGE = re.compile(
    r"(Make)?Iterator::|InstantiatedCapturedFunction::Run|[A-Z][A-Za-z0-9]+Produce$"
)
_PIPELINE_EVENT = re.compile("Iterator|Dataset|tf\\.function-graph_building|DeleteTensorHandle")


class Marks:
    """A trace with its marks. All are the host's; indices of events are ascending."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def of(self, mark: Mark) -> Int:
        """The events that bear the mark."""
        return self._marked[mark].astype(np.int64)

    @cached_property
    def device(self) -> DeviceWork:
        """What ran on devices."""
        return device_work(self.trace)

    @cached_property
    def processes(self) -> Processes:
        """What the executors did: each stretch of their work on a thread."""
        events, found = self.trace.events, self.of(Mark.PROCESS)
        start = events.start_ps[found]
        end = start + events.duration_ps[found]
        whole = Processes(events.line[found], start, end, events.stats["id"].at(found))
        return with_open_ends(self.trace, self.kind, self.operations(), whole)

    @cached_property
    def kind(self) -> npt.NDArray[np.int8]:
        """Per event, `RECORD`, `START` or `STOP` of the thread pool, or something else."""
        return self.trace.classify(self._kind_of)

    def operations(self, names: set[str] | None = None) -> npt.NDArray[np.bool_]:
        """Per event, whether it is an operation (of these names) that a host executed."""
        if names is None:
            which = self.kind == OP
            which |= self.kind == _MARKED_OP
            return which

        def wanted(plane: Plane, name: str) -> int:
            of_op = name.rpartition(":")[0] in names and self._kind_of(plane, name)
            return of_op in (OP, _MARKED_OP)

        return self.trace.classify(wanted).view(bool)

    @cached_property
    def _marked(self) -> dict[Mark, npt.NDArray[np.int32]]:
        found = np.flatnonzero(self.kind >= _MARK)
        flags = self.trace.codes(found, self._flags_of)
        return {mark: found[flags & mark != 0].astype(np.int32) for mark in Mark}

    def _kind_of(self, plane: Plane, name: str) -> int:
        if not plane.name.startswith(HOST):
            return 0
        if name in _POOL:
            return _POOL[name]
        flags = self._flags_of(plane, name)
        if OPERATION.match(name) and not flags & Mark.LAUNCH:
            return _MARKED_OP if flags else OP
        return _MARK if flags else 0

    def _flags_of(self, plane: Plane, name: str) -> int:
        if not plane.name.startswith(HOST):
            return 0
        flags = int(_EXACT.get(name, 0))
        if name.startswith(_ANY_PREFIX):
            for prefix, mark in _PREFIXES.items():
                flags |= mark if name.startswith(prefix) else 0
        flags |= Mark.STAGE if _STAGE.match(name) else 0
        if _PIPELINE_EVENT.search(name):
            flags |= Mark.PIPELINE
        if self._launched and launches_work(name, self._launched):
            flags |= Mark.LAUNCH
        return flags

    @cached_property
    def _launched(self) -> frozenset[str]:
        return frozenset(self.device.op)


def event_spans(trace: Trace, events: Int) -> Spans:
    """The time that the events cover."""
    start = trace.events.start_ps[events]
    return spans(start, start + trace.events.duration_ps[events])
