"""The executions of operations in a trace, and what surrounds them, as columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tftrace.attribution.devices import DeviceWork, device_work, is_device, launches_work
from tftrace.attribution.intervals import enclosing
from tftrace.attribution.spans import Spans, spans
from tftrace.graph.flatten import CALLS
from tftrace.parsers import StatNames, Trace

Int = npt.NDArray[np.int64]

WINDOW = "tftrace window"
STEP = "tftrace step"
STATS = StatNames(
    ints=(
        *("id", "step_num", "_pt", "_p", "_ct", "_c", "program_id"),
        *("correlation_id", "group_id"),
    ),
    strings=(
        *("hlo_op", "hlo_module", "name", "kernel_type", "tf_function_call"),
        *("tf_op", "annotation", "level 0"),
    ),
)

_OP = re.compile(r"([A-Za-z0-9.][A-Za-z0-9_.\\/>-]*):([A-Z_][A-Za-z0-9_]*)$")
_FUNCTION = "EagerLocalExecute: "
_PROCESS = "ExecutorState::Process"
_RUN = "FunctionRun"
_NEXT = "IteratorGetNextOp::DoCompute"
_ASYNC = "ExecutorState::ProcessAsync::Start"


@dataclass(frozen=True)
class Runs:
    """Executions of the predict function, in time order.

    ``function`` is the name in the trace (``__inference_…_225``), ``id`` the executor's step id.
    """

    id: Int
    function: list[str]
    start: Int
    end: Int


@dataclass(frozen=True)
class Executions:
    """One entry per execution of an operation inside the window; times in ps since the base.

    ``event`` is the index in the trace; ``run`` the index of the run of the predict function
    that it belongs to, -1 outside the model; ``op`` and ``type`` are codes into ``ops`` and
    ``types``; ``caller`` is the execution that called the function it runs in, -1 for the
    predict function itself (what runs in a function has its call's name before its own);
    ``hlo`` is the XLA module (into ``modules``: name and program id, as the trace
    names its proto), -1 for TensorFlow's own kernels.
    """

    event: Int
    line: Int
    start: Int
    end: Int
    run: Int
    op: Int
    type: Int
    hlo: Int
    caller: Int
    ops: list[str]
    types: list[str]
    modules: list[str]

    def __len__(self) -> int:
        return len(self.event)


@dataclass(frozen=True)
class Window:
    """The measured stretch of the trace: [start, end) in ps, and the line that drives it."""

    start: int
    end: int
    line: int


def find_window(trace: Trace) -> Window | None:
    """The window that the tracer marked, or None in a trace from elsewhere."""
    found = named(trace, lambda name: name == WINDOW)
    if not len(found):
        return None
    event = found[-1]
    start = int(trace.events.start_ps[event])
    duration = int(trace.events.duration_ps[event])
    return Window(start, start + duration, int(trace.events.line[event]))


def whole_window(trace: Trace) -> Window:
    """The window of a trace without marks: from its first to its last event."""
    host = named(trace, lambda _: True)
    start = trace.events.start_ps[host]
    end = start + trace.events.duration_ps[host]
    runs = named(trace, lambda name: name == _RUN)
    driver = trace.events.line[runs[0]] if len(runs) else trace.events.line[host[0]]
    return Window(int(start.min()), int(end.max()), int(driver))


def find_runs(trace: Trace, window: Window, functions: set[str] | None) -> Runs:
    """Runs of the model's functions inside the window.

    Args:
        functions: names of the traced predict functions; None takes every function that the
            window's own thread runs.
    """
    events = trace.events
    runs = _inside(trace, named(trace, lambda name: name == _RUN), window)
    calls = named(trace, lambda name: name.startswith(_FUNCTION))
    at = _enclosing_event(trace, runs, calls)
    names = [
        trace.event_name(int(e)).removeprefix(_FUNCTION) if e >= 0 else "" for e in at.tolist()
    ]
    mine = [
        i
        for i, name in enumerate(names)
        if (name in functions if functions is not None else name)
        and (functions is not None or events.line[runs[i]] == window.line)
    ]
    mine.sort(key=lambda i: int(events.start_ps[runs[i]]))
    chosen = runs[np.array(mine, np.int64)]
    call = at[np.array(mine, np.int64)]
    return Runs(
        id=events.stats["id"].at(chosen),
        function=[names[i] for i in mine],
        start=events.start_ps[call],
        end=events.start_ps[call] + events.duration_ps[call],
    )


def find_executions(trace: Trace, window: Window, runs: Runs) -> Executions:
    """Every execution of an operation, a kernel of XLA, or a call that runs as one kernel.

    What runs on a device is there instead of the host's operation that launched it.
    """
    events = trace.events
    device = device_work(trace)
    launched = frozenset(device.op)
    hosted = _on_host(trace, events.stats["hlo_op"].events)
    operations = named(
        trace, lambda name: bool(_OP.match(name)) and not launches_work(name, launched)
    )
    parts = (
        operations,
        _unnamed_calls(trace, operations),
        np.setdiff1d(hosted, named(trace, lambda name: name.startswith("end: "))),
        device.event,
    )
    found = _inside(trace, np.sort(np.concatenate(parts)), window)
    process = named(trace, lambda name: name == _PROCESS)
    within = _enclosing_event(trace, found, process)
    ids = np.where(within >= 0, events.stats["id"].at(np.maximum(within, 0)), 0)
    run = _lookup(ids, runs.id)
    names, types = _op_names(trace, found, device)
    caller = _callers(trace, found, types, ids)
    called = np.flatnonzero(caller >= 0)
    for i in called[np.argsort(events.start_ps[found[called]], kind="stable")].tolist():
        run[i] = run[caller[i]]
        names[i] = f"{names[caller[i]]}/{names[i]}" if run[i] >= 0 else names[i]
    hlo, modules = _modules(trace, found)
    # XLA's kernels also run on worker threads, outside any executor: they belong to the run
    # during which they started.
    # A device's work belongs to the run that launched it.
    asked = events.start_ps[found]
    mine = np.isin(found, device.event)
    order = np.argsort(device.event)
    asked[mine] = device.launched[order][np.searchsorted(device.event[order], found[mine])]
    late = ((hlo >= 0) | mine) & (run < 0) & (len(runs.id) > 0)
    run = np.where(late, np.searchsorted(runs.start, asked, side="right") - 1, run)
    ops, op = np.unique(names, return_inverse=True)
    kinds, kind = np.unique(types, return_inverse=True)
    start = events.start_ps[found]
    return Executions(
        event=found,
        line=events.line[found].astype(np.int64),
        start=start,
        end=start + events.duration_ps[found],
        run=run,
        op=op.astype(np.int64),
        type=kind.astype(np.int64),
        hlo=hlo,
        caller=np.where(run >= 0, caller, -1),
        ops=[str(o) for o in ops],
        types=[str(k) for k in kinds],
        modules=modules,
    )


def _unnamed_calls(trace: Trace, operations: Int) -> Int:
    """Starts of asynchronous operations that have no event of their own around them."""
    starts = named(trace, lambda name: name == _ASYNC)
    around = _enclosing_event(trace, starts, operations)
    name = trace.events.stats["name"].at(starts)
    own = [
        at >= 0 and code >= 0 and trace.event_name(at).rpartition(":")[0] == trace.strings[code]
        for at, code in zip(around.tolist(), name.tolist(), strict=True)
    ]
    return starts[~np.array(own, bool)]


def _callers(trace: Trace, found: Int, types: list[str], ids: Int) -> Int:
    """The call (an index into ``found``) in whose function each execution runs, -1 without.

    A call runs its function under an executor of its own, started on the call's thread.
    """
    events = trace.events
    calls = np.array([i for i, kind in enumerate(types) if kind in CALLS], np.int64)
    started = named(trace, lambda name: name == _RUN)
    around = _enclosing_event(trace, started, found[calls])
    started, around = started[around >= 0], around[around >= 0]
    known = events.stats["id"].at(started)
    place = _lookup(ids, known)
    if not len(known):
        return place
    position = calls[np.searchsorted(found[calls], around)]
    return np.where(place >= 0, position[np.maximum(place, 0)], -1)


def executor_spans(trace: Trace, runs: Runs, executions: Executions) -> Spans:
    """When the executor was at work for the model: from a run's first to its last trace."""
    events = trace.events
    process = named(trace, lambda name: name == _PROCESS)
    ids = events.stats["id"].at(process)
    process = process[_lookup(ids, runs.id) >= 0]
    run = np.r_[executions.run, _lookup(events.stats["id"].at(process), runs.id)]
    start = np.r_[executions.start, events.start_ps[process]]
    end = np.r_[executions.end, events.start_ps[process] + events.duration_ps[process]]
    first = np.full(len(runs.id), np.iinfo(np.int64).max)
    last = np.zeros(len(runs.id), np.int64)
    known = run >= 0
    np.minimum.at(first, run[known], start[known])
    np.maximum.at(last, run[known], end[known])
    return spans(first, last)


def waiting_for_data(trace: Trace, runs: Runs) -> Int:
    """Events of the model's own wait for its next batch (in Keras 2 the graph asks for it)."""
    found = named(trace, lambda name: name == _NEXT)
    return found[_lookup(trace.events.stats["id"].at(found), runs.id) >= 0]


def named(trace: Trace, wanted: Callable[[str], bool]) -> Int:
    """Indices of the host's events whose name is wanted."""
    return trace.where(lambda plane, name: plane.name.startswith("/host:CPU") and wanted(name))


def event_spans(trace: Trace, events: Int) -> Spans:
    """The time that the events cover."""
    start = trace.events.start_ps[events]
    return spans(start, start + trace.events.duration_ps[events])


def _inside(trace: Trace, found: Int, window: Window) -> Int:
    start = trace.events.start_ps[found]
    return found[(start >= window.start) & (start < window.end)]


def _enclosing_event(trace: Trace, inner: Int, outer: Int) -> Int:
    """The event of ``outer`` that encloses each of ``inner`` on its line, -1 without."""
    events = trace.events
    if not len(inner) or not len(outer):
        return np.full(len(inner), -1, np.int64)
    start = events.start_ps[outer]
    at = enclosing(
        events.line[inner].astype(np.int64),
        events.start_ps[inner],
        events.line[outer].astype(np.int64),
        start,
        start + events.duration_ps[outer],
    )
    return np.where(at >= 0, outer[np.maximum(at, 0)], -1)


def _lookup(ids: Int, known: Int) -> Int:
    """Position of each id in ``known``, -1 where it is not."""
    if not len(known):
        return np.full(len(ids), -1, np.int64)
    order = np.argsort(known, kind="stable")
    place = np.minimum(np.searchsorted(known[order], ids), len(known) - 1)
    return np.where(known[order][place] == ids, order[place], -1)


def _modules(trace: Trace, found: Int) -> tuple[Int, list[str]]:
    """XLA module of each execution: its place among the modules that ran, -1 without."""
    name = trace.events.stats["hlo_module"].at(found)
    program = trace.events.stats["program_id"].at(found)
    kinds, place = np.unique(np.stack([name, program]), axis=1, return_inverse=True)
    modules = [f"{trace.strings[n]}({p})" for n, p in kinds.T.tolist() if n >= 0]
    missing = kinds.shape[1] - len(modules)
    return np.maximum(place.ravel() - missing, -1).astype(np.int64), modules


def _on_host(trace: Trace, events: npt.NDArray[np.int32]) -> Int:
    """Those of the events that are not a device's."""
    host = np.array([not is_device(trace.planes[n.plane].name) for n in trace.lines], bool)
    kept: Int = events[host[trace.events.line[events]]].astype(np.int64)
    return kept


def _op_names(trace: Trace, found: Int, device: DeviceWork) -> tuple[list[str], list[str]]:
    """Operation name and type of each execution."""
    events = trace.events
    full = trace.names(found)
    hlo = events.stats["hlo_op"].at(found)
    call = events.stats["name"].at(found)
    kind = events.stats["kernel_type"].at(found)
    on_device = dict(
        zip(device.event.tolist(), zip(device.op, device.type, strict=True), strict=True)
    )
    names, types = [], []
    for i, text in enumerate(full):
        match = _OP.match(text)
        if hlo[i] >= 0:
            names.append(trace.strings[hlo[i]])
            types.append("XLA")
        elif int(found[i]) in on_device:
            op, of_type = on_device[int(found[i])]
            names.append(op)
            types.append(of_type)
        elif text == _ASYNC and call[i] >= 0:
            names.append(trace.strings[call[i]])
            types.append(trace.strings[kind[i]] if kind[i] >= 0 else "PartitionedCall")
        else:
            assert match is not None
            names.append(match[1])
            types.append(match[2])
    return names, types
