"""A run's trace joined to its graphs: executions, the time they take, and what they stand for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tftrace.attribution.as_run import function_as_run, runs_as
from tftrace.attribution.function import Function
from tftrace.attribution.hlo.rows import Modules, calling_info, xla_rows
from tftrace.attribution.kernel_owner import WORK, KernelInfo, kernel_info
from tftrace.attribution.provenance import MACHINERY
from tftrace.attribution.rows import (
    OUTSIDE_LAYERS,
    Row,
    Totals,
    UnknownFunction,
    asks_for_data,
    component_of,
)
from tftrace.attribution.runnable import EVERY_OP, HIDDEN_NOTE, hidden, runnable
from tftrace.errors import TftraceError
from tftrace.graph.flatten import flat_name
from tftrace.graph.kernel_types import kernel_type
from tftrace.graph.types import CALLS
from tftrace.machine.model import MachineModel
from tftrace.parsers.hlo import HloModule
from tftrace.parsers.trials import AUTOTUNING
from tftrace.runs.run import Run
from tftrace.timeline.arithmetic.groups import grouped
from tftrace.timeline.devices import is_copy, is_device
from tftrace.timeline.executions import Executions, find_executions
from tftrace.timeline.marks import Marks
from tftrace.timeline.share_out import PIPELINE, UNKNOWN, Timeline, build_timeline
from tftrace.timeline.window import (
    Runs,
    Window,
    find_runs,
    find_window,
    unknown_runs,
    whole_window,
)
from tftrace.timeline.workers import Workers, calls_of, find_workers

Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Compiled:
    """A module of XLA: serialized, parsed, and the call site of each instruction by its name."""

    data: bytes
    module: HloModule
    sites: dict[str, int]


class Join:
    """A run's trace joined to its graphs. Everything is computed when first asked for."""

    def __init__(self, run: Run) -> None:
        self.run = run
        _ = self.machine  # damaged roofs are an error now, not behind half a report
        self._infos: dict[tuple[int, str, str], KernelInfo | None] = {}

    def over(self, run: Run) -> Join:
        """The same of another reading of the run."""
        return Join(run)

    @cached_property
    def machine(self) -> MachineModel | None:
        """The roofs, when the machine was calibrated.

        Raises:
            TftraceError: the manifest has something else in their place.
        """
        roofs = self.run.manifest.roofs
        try:
            return None if roofs is None else MachineModel.from_dict(roofs)
        except ValueError as error:
            raise TftraceError(f"{self.run.manifest_path} is damaged: roofs: {error}") from error

    @cached_property
    def marks(self) -> Marks:
        """What the names of the trace's events say."""
        return Marks(self.run.trace)

    @cached_property
    def window(self) -> Window:
        """The measured stretch of the trace."""
        found = find_window(self.marks)
        if found is None and self.run.manifest.functions and not self.run.recorded_on_host:
            raise TftraceError(
                f"{self.run.trace_path} has no event of the host: the capture failed, or the trace "
                "is another's"
            )
        return found or whole_window(self.marks)

    @cached_property
    def runs(self) -> Runs:
        """Executions of the predict function."""
        return find_runs(self.marks, self.window, self._names)

    @cached_property
    def strangers(self) -> Runs:
        """Executions of functions that the run does not know."""
        return unknown_runs(self.marks, self.window, self._names)

    @cached_property
    def _names(self) -> set[str] | None:
        """What the trace calls the traces of the predict function; None when it is hidden."""
        names = {f.name for f in self.run.manifest.functions if f.name}
        hidden = any(f.name is None for f in self.run.manifest.functions)
        return None if hidden or not names else names

    @cached_property
    def unknown(self) -> list[UnknownFunction]:
        """The functions that ran in the window without being known, in order of first run."""
        found: dict[str, UnknownFunction] = {}
        runs = self.strangers
        for name, time in zip(runs.function, (runs.end - runs.start).tolist(), strict=True):
            one = found.setdefault(name, UnknownFunction(name))
            found[name] = replace(one, calls=one.calls + 1, busy_ms=one.busy_ms + time / 1e9)
        return list(found.values())

    @cached_property
    def executions(self) -> Executions:
        """Executions of operations."""
        return find_executions(self.marks, self.window, self.runs, self.strangers)

    @cached_property
    def workers(self) -> Workers:
        """What the pool's threads did for the executions."""
        return find_workers(self.marks, self.executions)

    @cached_property
    def timeline(self) -> Timeline:
        """The window shared out."""
        return build_timeline(
            self.marks,
            self.window,
            self.runs,
            self.executions,
            self.workers,
            self.strangers,
            self._processors,
        )

    @property
    def _processors(self) -> int | None:
        machine = self.run.manifest.machine
        return None if machine is None else machine.usable_cores or machine.cores

    @cached_property
    def xla_calls(self) -> Int:
        """Per execution, the one that called XLA for it; -1 for what is not XLA's."""
        return calls_of(self.executions, self.workers)

    @cached_property
    def functions(self) -> list[Function]:
        """The traces of the predict function, each with the graph that ran; empty without."""
        e = self.executions
        ran = {e.ops[kind]: e.types[kind] for kind in np.unique(e.kind[e.run >= 0])}
        return [function_as_run(Function.of(f), ran) for f in self.run.manifest.functions]

    @cached_property
    def calls(self) -> Counter[int]:
        """How often each function (by index) ran in the window."""
        calls: Counter[int] = Counter()
        for name, count in Counter(self.runs.function).items():
            calls[self._function_of(name)] += count
        return calls

    @cached_property
    def rows(self) -> list[Row]:
        """Rows of **ops**: what was recorded, then what was not but must have run."""
        e = self.executions
        # XLA's kernels of the model have rows of their own.
        own = np.where(e.hlo < 0, -1, e.run >= 0) if e.modules else np.full(len(e), -1, np.int8)
        rows = []
        seen = set()
        keys = e.kind, self.planes, e.run >= 0, own, self._stranger
        for (kind, _, ran, xla, stranger), found in grouped(*keys):
            if ran:
                seen.add(e.ops[kind])
            if stranger >= 0:
                note = f"of the function {self.unknown[stranger].name}, which tftrace does not know"
                row = Row(e.ops[kind], e.types[kind], UNKNOWN, None, found, None, note)
                rows.append(row)
            elif xla < 1:
                rows.append(self._recorded(e.ops[kind], e.types[kind], bool(ran), found))
        if e.modules:
            which = np.array([self._function_of(name) for name in self.runs.function], np.int64)
            rows += xla_rows(self._modules, e, self.xla_calls, which)
        return rows + self._unrecorded(seen)

    @cached_property
    def _modules(self) -> Modules:
        return Modules(self.run, self.functions)

    def compiled(self, call: int) -> Compiled | None:
        """The module of XLA that an execution (an index) called; None where none of its kernels
        was recorded, where they are of several modules, and where the trace does not carry it."""
        e = self.executions
        kernels = np.flatnonzero((self.xla_calls == call) & (e.hlo >= 0))
        own = np.unique(e.hlo[kernels]).tolist()
        run = int(e.run[call])
        if len(own) != 1 or run < 0:
            return None
        name = e.modules[own[0]]
        module, data = self._modules.module(name), self.run.hlo_protos.get(name)
        if module is None or data is None:
            return None
        function = self._function_of(self.runs.function[run])
        known = self._modules.instructions(name, flat_name(e.ops[e.kind[call]]), function)
        return Compiled(data, module, {key: info.layer for key, info in known.items()})

    @property
    def whole(self) -> int:
        """What shares of layers are of, in ps."""
        return self.timeline.length

    @property
    def warnings(self) -> list[str]:
        """What the tables lack."""
        return []

    @cached_property
    def totals(self) -> Totals:
        """What the executions of each row add up to."""
        # First what needs the most room for a moment: the memory is free again for the rest.
        timeline = self.timeline
        return Totals.of(self.row_of, len(self.rows), timeline)

    @cached_property
    def row_of(self) -> npt.NDArray[np.int32]:
        """The row (an index) of each execution; -1 without."""
        row = np.full(len(self.executions), -1, np.int32)
        for number, own in enumerate(self.rows):
            row[own.executions] = number
        return row

    @property
    def planes(self) -> npt.NDArray[np.int32]:
        """The plane (an index) of each execution."""
        planes = np.array([line.plane for line in self.run.trace.lines], np.int32)
        of_each: npt.NDArray[np.int32] = planes[self.executions.line]
        return of_each

    @property
    def _stranger(self) -> npt.NDArray[np.int32]:
        """The unknown function (an index) of each execution; -1 for all others."""
        names = [function.name for function in self.unknown]
        of_run = [names.index(name) for name in self.strangers.function]
        return np.array([*of_run, -1], np.int32)[self.executions.stranger]

    def _function_of(self, name: str) -> int:
        names = [f.name for f in self.functions]
        return names.index(name) if name in names else 0

    def _recorded(self, name: str, kind: str, inside: bool, found: np.ndarray) -> Row:
        if not inside:
            return Row(name, kind, PIPELINE, None, found, None)
        info = self._info(name, kind)
        if self._on_device(found):
            return _device_row(name, kind, info, found)
        expected = self._expected(name, kind) if info is not None else None
        if asks_for_data(kind):
            return Row(name, kind, PIPELINE, None, found, expected)
        if self._shows_its_body(found) or (kind in CALLS and self._xla_on_device):
            function = self.functions[self.calls.most_common(1)[0][0]]
            info, component = calling_info(function, name)
            return Row(name, kind, component, info, found, expected)
        if info is not None and kernel_type(kind).fused and self.executions.caller[found[0]] >= 0:
            # Functions that are called, not inlined, are optimized out of sight: the layer is
            # certain, what was fused is not.
            info = replace(info, work=dict.fromkeys(WORK))
        return Row(name, kind, component_of(info), info, found, expected)

    def _shows_its_body(self, found: np.ndarray) -> bool:
        """Whether these are calls inside which kernels were recorded."""
        return self._called_something is not None and bool(self._called_something[found].any())

    @cached_property
    def _called_something(self) -> npt.NDArray[np.bool_] | None:
        """Per execution, whether it called what others ran in; None if none did."""
        calls = [c[c >= 0] for c in (self.xla_calls, self.executions.caller)]
        if not any(len(c) for c in calls):
            return None
        which = np.zeros(len(self.executions), bool)
        which[np.concatenate(calls)] = True
        return which

    def _on_device(self, found: np.ndarray) -> bool:
        return is_device(self.run.trace.plane_of(int(self.executions.line[found[0]])).name)

    @cached_property
    def _xla_on_device(self) -> bool:
        # A device does not tell which call its kernels run for; of the model's, it is one.
        return bool(((self.executions.hlo >= 0) & (self.xla_calls < 0)).any())

    def _info(self, name: str, kind: str) -> KernelInfo | None:
        """From the function that ran it most: its work is that of a full batch."""
        flat = flat_name(name)
        ran = [index for index, _ in self.calls.most_common()]
        likely = self._executing(flat, kind)
        for index in sorted(ran, key=lambda i: i not in likely):
            info = self._known(index, name, kind)
            if info is not None:
                return info
        return None

    def _known(self, function: int, name: str, kind: str) -> KernelInfo | None:
        key = function, name, kind
        if key not in self._infos:
            self._infos[key] = kernel_info(self.functions[function], name, kind)
        return self._infos[key]

    def _expected(self, name: str, kind: str) -> int | None:
        """Executions that the graphs ask for; None when a graph cannot tell."""
        flat = flat_name(name)
        total: int | None = None
        if kind in MACHINERY and any(flat in self.functions[i].constant for i in self.calls):
            return None
        for index in self._executing(flat, kind):
            calls, info = self.calls[index], self._known(index, name, kind)
            if info is None:
                continue
            if info.times is None:
                return None
            total = (total or 0) + calls * info.times
        return total

    def _executing(self, flat: str, kind: str) -> list[int]:
        """The functions that run the kernel: as that type, where their graphs differ in it."""
        running = [i for i in self.calls if self.functions[i].executes(flat)]
        alike = [i for i in running if runs_as(self.functions[i].kernel_type.get(flat), kind)]
        return alike or running

    def _unrecorded(self, seen: set[str]) -> list[Row]:
        rows: dict[str, Row] = {}
        flat = {flat_name(name) for name in seen}
        for index in self.calls:
            function = self.functions[index]
            for name, kind in runnable(function):
                if name not in seen:
                    self._add_unrecorded(rows, name, kind, None)
            for name, kind in hidden(function) if self._hides_kernels else ():
                if name not in flat:
                    self._add_unrecorded(rows, name, kind, HIDDEN_NOTE)
        return list(rows.values())

    def _add_unrecorded(self, rows: dict[str, Row], name: str, kind: str, note: str | None) -> None:
        info = self._info(name, kind) if name not in rows else None
        # The runtime merges like nodes of a loop's machinery before it runs them.
        if info is None or not info.members:
            return
        empty, expected = np.empty(0, np.int64), self._expected(name, kind)
        asks = asks_for_data(kind)
        component = PIPELINE if asks else component_of(info)
        rows[name] = Row(name, kind, component, None if asks else info, empty, expected, note)

    @property
    def _hides_kernels(self) -> bool:
        """Whether kernels may have run, unrecorded, in functions that are called whole.

        Where every kernel was recorded none is missing, and of what XLA compiled none runs.
        """
        run = self.run.manifest.run
        every = run.trace.level == EVERY_OP
        return not (every or run.jit or self.executions.modules)


def _device_row(name: str, kind: str, info: KernelInfo | None, found: np.ndarray) -> Row:
    """Work of a device for one operation, which may launch any number of kernels.

    Trying out algorithms happens once, and is not what the layer costs.
    """
    if kind == AUTOTUNING:
        return Row(name, kind, OUTSIDE_LAYERS, None, found, None)
    if info is not None and is_copy(kind):
        info = replace(info, work=dict.fromkeys(WORK, 0))
    return Row(name, kind, component_of(info), info, found, None)
