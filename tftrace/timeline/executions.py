"""The executions of operations in a trace, as columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tftrace.graph.types import CALLS
from tftrace.native.loops import executions as execution_loops
from tftrace.parsers import MISSING, Events, Plane, Trace
from tftrace.timeline.arithmetic.intervals import enclosing
from tftrace.timeline.arithmetic.spans import Spans, spans
from tftrace.timeline.devices import is_device, launches
from tftrace.timeline.marks import FUNCTION, OPERATION, Mark, Marks
from tftrace.timeline.window import Runs, Window, around, look_up

Int = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]

XLA = "XLA"


@dataclass(frozen=True)
class Executions:
    """One entry per execution of an operation inside the window; times in ps since the base.

    ``event`` is the index in the trace, ascending; ``run`` the index of the run of the predict
    function that it belongs to, -1 outside the model; ``stranger`` that of a run of a function
    that is not known, -1 for all others; ``kind`` what it executed: a code into
    ``ops`` and ``types``, name and type of which no two kinds share both. ``caller`` is the
    execution that called the function it runs in, -1 for the predict function itself (what runs
    in a function has its call's name before its own). ``hlo`` is the XLA module (into
    ``modules``: name and program id, as the trace names its proto), -1 for TensorFlow's own
    kernels.
    """

    event: Int32
    line: Int32
    start: Int
    end: Int
    run: Int32
    stranger: Int32
    kind: Int32
    hlo: Int32
    caller: Int
    ops: list[str]
    types: list[str]
    modules: list[str]

    def __len__(self) -> int:
        return len(self.event)


def find_executions(
    marks: Marks,
    window: Window,
    runs: Runs,
    strangers: Runs | None = None,
    *,
    eager: bool = False,
) -> Executions:
    """Every execution of an operation, a kernel of XLA, or a call that runs as one kernel.

    What runs on a device is there instead of the host's operation that launched it.

    Args:
        strangers: runs of functions that are not known.
        eager: whether operations that Python executed one by one count too. Their events name
            no kernel: an operation is all that its call is known by.
    """
    trace = marks.trace
    every = runs if strangers is None else _one_after_the_other(runs, strangers)
    chosen = _executed(marks)
    if eager:
        chosen[_eager_operations(marks)] = True
    event, line, start, end = _collect(trace.events, chosen, window)
    process, kinds = marks.processes, _Names()
    within = enclosing(line, start, process.line, process.start, process.end)
    hlo, modules = _modules(trace, event)
    found = Executions(
        event=event,
        line=line,
        start=start,
        end=end,
        run=np.append(look_up(process.id, every.id), -1).astype(np.int32)[within],
        stranger=none(len(event), np.int32),
        kind=_kinds(marks, event, kinds),
        hlo=hlo,
        caller=none(len(event), np.int64),
        ops=kinds.ops,
        types=kinds.types,
        modules=modules,
    )
    found = _called(marks, found, within, kinds)
    found = replace(found, run=_late_runs(marks, found, every))
    own = len(runs.id)
    if not (found.run >= own).any():
        return found
    run, other = np.where(found.run < own, found.run, -1), np.maximum(found.run - own, -1)
    return replace(found, run=run.astype(np.int32), stranger=other.astype(np.int32))


def is_call(executions: Executions) -> npt.NDArray[np.bool_]:
    """Which executions are calls of functions."""
    calls = np.array([kind in CALLS for kind in executions.types], bool)
    which: npt.NDArray[np.bool_] = calls[executions.kind]
    return which


def executor_spans(marks: Marks, runs: Runs, executions: Executions) -> Spans:
    """When the executor was at work for the model: from a run's first to its last trace."""
    process = marks.processes
    first = np.full(len(runs.id), np.iinfo(np.int64).max)
    last = np.zeros(len(runs.id), np.int64)
    for run, begin, end in (
        (executions.run, executions.start, executions.end),
        (look_up(process.id, runs.id).astype(np.int32), process.start, process.end),
    ):
        execution_loops.extents(len(run), run, begin, end, first, last)
    return spans(first, last)


class _Names:
    """Gives every pair of name and type a number."""

    def __init__(self) -> None:
        self.ops: list[str] = []
        self.types: list[str] = []
        self._known: dict[tuple[str, str], int] = {}

    def code(self, op: str, kind: str) -> int:
        code = self._known.setdefault((op, kind), len(self.ops))
        if code == len(self.ops):
            self.ops.append(op)
            self.types.append(kind)
        return code


def _collect(
    events: Events, chosen: npt.NDArray[np.bool_], window: Window
) -> tuple[Int32, Int32, Int, Int]:
    """Index, line, start and end (ps) of the chosen events that start in the window."""
    length = np.count_nonzero(chosen)
    event, line = (np.empty(length, np.int32) for _ in range(2))
    start, end = (np.empty(length, np.int64) for _ in range(2))
    count = execution_loops.collect(
        len(events),
        chosen.view(np.int8),
        window.start,
        window.end,
        events.line,
        events.start_ps,
        events.duration_ps,
        event,
        line,
        start,
        end,
    )
    return event[:count], line[:count], start[:count], end[:count]


def _executed(marks: Marks) -> npt.NDArray[np.bool_]:
    """Per event, whether it is an execution."""
    trace = marks.trace
    chosen = marks.operations()
    chosen[_unnamed_calls(marks)] = True
    chosen[_on_host(trace, trace.events.stats["hlo_op"].events)] = True
    chosen[marks.of(Mark.END)] = False
    chosen[marks.device.event] = True
    return chosen


def _unnamed_calls(marks: Marks) -> Int:
    """Starts of asynchronous operations that have no event of their own around them."""
    trace, starts = marks.trace, marks.of(Mark.ASYNC)
    if not len(starts):
        return starts
    codes = trace.events.stats["name"].at(starts).tolist()
    names = {trace.strings[code] for code in codes if code >= 0}
    named = np.flatnonzero(marks.operations(names))
    at = np.append(named, -1)[around(trace, starts, named)]
    own = [
        event >= 0
        and code >= 0
        and trace.event_name(event).rpartition(":")[0] == trace.strings[code]
        for event, code in zip(at.tolist(), codes, strict=True)
    ]
    return starts[~np.array(own, bool)]


def _eager_operations(marks: Marks) -> Int:
    """Calls of single operations inside which no execution, function or launch was recorded."""
    trace, calls = marks.trace, marks.of(Mark.FUNCTION)
    operations = np.flatnonzero(marks.operations())
    inside = np.r_[operations, marks.of(Mark.RUN), launches(trace)].astype(np.int64)
    alone = np.array([not name.startswith(FUNCTION + "__") for name in trace.names(calls)], bool)
    shown = around(trace, inside, calls)
    alone[shown[shown >= 0]] = False
    return calls[alone]


def _on_host(trace: Trace, events: Int32) -> Int32:
    """Those of the events that are a host's; its launches of kernels name the kernel too."""
    host = np.array([not is_device(trace.planes[n.plane].name) for n in trace.lines], bool)
    mine = events[host[trace.events.line[events]]]
    return mine[~np.isin(mine, trace.events.stats["correlation_id"].events)]


def _kinds(marks: Marks, event: Int32, kinds: _Names) -> Int32:
    """What each execution executed: XLA's kernel, a device's, a call, or the named operation."""
    trace, stats, device = marks.trace, marks.trace.events.stats, marks.device

    def named(_: Plane, name: str) -> int:
        if name.startswith(FUNCTION):
            return kinds.code(name, name.removeprefix(FUNCTION))
        match = OPERATION.match(name)
        return kinds.code(match[1], match[2]) if match is not None else -1

    kind = trace.codes(event, named)
    place, mine = _places(marks.of(Mark.ASYNC), event)
    calls = event[place]
    for i, name, of_type in zip(
        place.tolist(),
        stats["name"].at(calls).tolist(),
        stats["kernel_type"].at(calls).tolist(),
        strict=True,
    ):
        known = trace.strings[of_type] if of_type >= 0 else "PartitionedCall"
        kind[i] = kinds.code(trace.strings[name] if name >= 0 else "", known)
    place, mine = _places(device.event, event)
    codes = [kinds.code(*both) for both in zip(device.op, device.type, strict=True)]
    kind[place] = np.array(codes, np.int32)[mine]
    place, mine = _places(stats["hlo_op"].events, event)
    values, inverse = np.unique(stats["hlo_op"].values[mine], return_inverse=True)
    codes = [kinds.code(trace.strings[value], XLA) for value in values.tolist()]
    kind[place] = np.array(codes, np.int32)[inverse]
    return kind


def _places(wanted: npt.NDArray[np.integer], event: Int32) -> tuple[Int, Int]:
    """Positions in ``event`` (ascending) of the wanted events, and which of them are there."""
    # Of one type, or the search would copy all of them.
    place = np.searchsorted(event, wanted.astype(np.int32, copy=False))
    there = np.flatnonzero(place < len(event))
    there = there[event[place[there]] == wanted[there]]
    return place[there], there


def _modules(trace: Trace, event: Int32) -> tuple[Int32, list[str]]:
    """XLA module of each execution: its place among the modules that ran, -1 without."""
    column = trace.events.stats["hlo_module"]
    place, mine = _places(column.events, event)
    if not len(place):
        return none(len(event), np.int32), []
    program = trace.events.stats["program_id"].at(event[place])
    programs, which = np.unique(program, return_inverse=True)
    both = column.values[mine].astype(np.int64) * len(programs) + which
    kinds, inverse = np.unique(both, return_inverse=True)
    hlo = np.full(len(event), -1, np.int32)
    hlo[place] = inverse
    names, which = np.divmod(kinds, len(programs))
    return hlo, [
        trace.strings[name] + ("" if number == MISSING else f"({number})")
        for name, number in zip(names.tolist(), programs[which].tolist(), strict=True)
    ]


def _called(marks: Marks, found: Executions, within: Int, kinds: _Names) -> Executions:
    """The executions with their callers, whose run they share and whose name comes before theirs.

    A call runs its function under an executor of its own, started on the call's thread.

    Args:
        within: the stretch of an executor's work that each execution ran in.
    """
    trace = marks.trace
    calls = np.flatnonzero(is_call(found))
    started = marks.of(Mark.RUN)
    by = around(trace, started, found.event[calls])
    place = look_up(marks.processes.id, trace.events.stats["id"].at(started[by >= 0]))
    of_process = np.append(calls[by[by >= 0]], -1)[place]
    if not (of_process >= 0).any():
        return found
    caller = np.append(of_process, -1)[within]
    run, kind = found.run.copy(), found.kind.copy()
    open_ = caller >= 0
    # From the outside in: a call may itself run in a function.
    while len(ready := np.flatnonzero(open_ & ~open_[caller])):
        run[ready] = run[caller[ready]]
        named = ready[run[ready] >= 0]
        pairs = kind[caller[named]].astype(np.int64) << 32 | kind[named]
        unique, inverse = np.unique(pairs, return_inverse=True)
        codes = [
            kinds.code(f"{kinds.ops[outer]}/{kinds.ops[own]}", kinds.types[own])
            for outer, own in ((pair >> 32, pair & 0xFFFFFFFF) for pair in unique.tolist())
        ]
        kind[named] = np.array(codes, np.int32)[inverse]
        open_[ready] = False
    return replace(found, run=run, kind=kind, caller=np.where(run >= 0, caller, -1))


def _late_runs(marks: Marks, found: Executions, runs: Runs) -> Int32:
    """The run of each execution, of those outside any executor too.

    XLA's kernels also run on worker threads: they belong to the run during which they started.
    A device's work belongs to the run that launched it.
    """
    if not len(runs.id) or not (found.modules or len(marks.device.event)):
        return found.run
    asked = found.start.copy()
    place, mine = _places(marks.device.event, found.event)
    asked[place] = marks.device.launched[mine]
    outside = found.hlo >= 0
    outside[place] = True
    late = np.flatnonzero(outside & (found.run < 0))
    run = found.run.copy()
    order = np.argsort(runs.start, kind="stable")
    before = np.searchsorted(runs.start[order], asked[late], side="right") - 1
    run[late] = np.append(order, -1)[before]
    return run


def _one_after_the_other(first: Runs, second: Runs) -> Runs:
    return Runs(
        np.r_[first.id, second.id],
        first.function + second.function,
        np.r_[first.start, second.start],
        np.r_[first.end, second.end],
    )


def none(length: int, dtype: Any) -> npt.NDArray[Any]:
    """-1 so many times, in no memory."""
    return np.broadcast_to(np.array(-1, dtype), length)
