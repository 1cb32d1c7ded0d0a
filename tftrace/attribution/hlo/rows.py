"""Rows of **ops** for XLA's kernels, and for the calls that they run in."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tftrace.attribution.function import Function
from tftrace.attribution.graph_names import GraphNames
from tftrace.attribution.hlo.kernels import hlo_kernels
from tftrace.attribution.kernel_owner import OUTSIDE, WORK, KernelInfo
from tftrace.attribution.rows import Row, component_of
from tftrace.graph.flatten import flat_name
from tftrace.graph.types import CALLS
from tftrace.parsers.hlo import HloModule, parse_hlo
from tftrace.runs.run import Run
from tftrace.timeline.arithmetic.groups import grouped
from tftrace.timeline.executions import XLA, Executions
from tftrace.timeline.share_out import EXECUTOR

Int = npt.NDArray[np.int64]

UNKNOWN = XLA
"""Type of a kernel whose module the trace does not carry."""


@dataclass(frozen=True)
class _Group:
    """Kernels of one name, of one module, called from one place of one function.

    ``place`` is where the instruction stands in the module.
    """

    place: int
    name: str
    module: str
    call: str
    function: int


def xla_rows(modules: Modules, executions: Executions, calls: Int, function: Int) -> list[Row]:
    """Rows of all of XLA's kernels that ran for the model.

    Args:
        modules: those of the run.
        calls: per execution, the one that called XLA, -1 for others and unknown.
        function: per run, the index of the traced function that it executed.
    """
    e = executions
    kernels = np.flatnonzero((e.hlo >= 0) & (e.run >= 0))
    if not len(kernels):
        return []
    groups: dict[_Group, list[Int]] = defaultdict(list)
    called = np.append(e.kind, -1)[np.where(calls[kernels] >= 0, calls[kernels], len(e))]
    for (kind, hlo, by, of), found in grouped(
        e.kind[kernels], e.hlo[kernels], called, function[e.run[kernels]]
    ):
        call = flat_name(e.ops[by]) if by >= 0 else flat_name("")
        name, module = e.ops[kind], e.modules[hlo]
        group = _Group(modules.place(module, name), name, module, call, of)
        groups[group].append(kernels[found])
    rows = []
    for group, parts in groups.items():
        members = np.sort(np.concatenate(parts))
        rows.append((group, modules.row(group, members, calls[members])))
    return _distinct(_merged(rows))


def calling_info(function: Function, name: str) -> tuple[KernelInfo | None, str]:
    """A call whose kernels are known: what is left is the call itself, on its own owner.

    Returns: the information, None when no layer made the call, and the component.
    """
    op = function.index.get(flat_name(name))
    if op is None or function.owner[op] == OUTSIDE:
        return None, EXECUTOR
    share = function.share(op)
    info = KernelInfo(
        shares={share: 1.0},
        layer=share[0],
        phase=share[1],
        members=(function.ops.key[op],),
        times=function.times[op],
        work=dict.fromkeys(WORK, 0),
        batch=function.counted_batch,
    )
    return info, component_of(info)


class Modules:
    """The compiled modules of a run, each read and attributed once."""

    def __init__(self, run: Run, functions: list[Function]) -> None:
        self._run = run
        self._functions = functions
        self._names: dict[int, GraphNames] = {}
        self._modules: dict[str, HloModule | None] = {}
        self._places: dict[str, dict[str, int]] = {}
        self._infos: dict[tuple[str, str, int], dict[str, KernelInfo]] = {}

    def instructions(self, module: str, call: str, function: int) -> Mapping[str, KernelInfo]:
        """What is known of each instruction of a module, by its name.

        Args:
            call: flat name of the operation that called it.
            function: the traced function (an index) that has that operation.
        """
        found = self.module(module)
        return {} if found is None else self._known(found, module, call, function)

    def place(self, module: str, name: str) -> int:
        """Position of an instruction in its module; -1 when it is not known."""
        if module not in self._places:
            found = self.module(module)
            self._places[module] = {n: i for i, n in enumerate(found.instructions if found else ())}
        return self._places[module].get(name, -1)

    def row(self, group: _Group, found: Int, calls: Int) -> Row:
        """The row of a group's executions, each with its call (-1: unknown)."""
        module = self.module(group.module)
        instruction = module.instructions.get(group.name) if module else None
        info = self._info(module, group) if module else None
        kind = instruction.opcode if instruction else UNKNOWN
        return Row(
            group.name, kind, component_of(info), info, found, self._expected(group, info, calls)
        )

    def module(self, name: str) -> HloModule | None:
        """A module by its name and program id; None where the trace does not carry it."""
        if name not in self._modules:
            data = self._run.hlo_protos.get(name)
            self._modules[name] = parse_hlo(data) if data is not None else None
        return self._modules[name]

    def _info(self, module: HloModule, group: _Group) -> KernelInfo | None:
        known = self._known(module, group.module, group.call, group.function)
        return known.get(group.name)

    def _known(
        self, module: HloModule, name: str, call: str, function: int
    ) -> dict[str, KernelInfo]:
        key = (name, call, function)
        if key not in self._infos:
            names = self._graph_names(function)
            self._infos[key] = hlo_kernels(module, names, call or _likeliest_call(module, names))
        return self._infos[key]

    def _graph_names(self, function: int) -> GraphNames:
        if function not in self._names:
            self._names[function] = GraphNames(self._functions[function])
        return self._names[function]

    def _expected(self, group: _Group, info: KernelInfo | None, calls: Int) -> int | None:
        """Executions of the module, seen by any of its kernels, times those of the kernel in it."""
        function = self._functions[group.function]
        call = function.index.get(group.call)
        once = function.times[call] if call is not None else None
        # A device runs any number of kernels for one instruction.
        if info is None or info.times is None or not once or calls[0] < 0:
            return None
        return len(np.unique(calls)) * info.times // once


def _likeliest_call(module: HloModule, names: GraphNames) -> str:
    """The call under which most of the module's operations are found, where none is recorded."""
    function = names.function
    calls = [k for k, t in zip(function.ops.key, function.ops.type, strict=True) if t in CALLS]

    def found(call: str) -> int:
        prefix = call + "/"
        return sum(
            names.find(i.op_name, prefix, prefix) is not None
            for i in module.instructions.values()
            if i.op_name
        )

    return max(calls, key=found, default="")


def _merged(rows: Iterable[tuple[_Group, Row]]) -> list[tuple[_Group, Row]]:
    """The same kernel of several modules (one per batch shape) as one row.

    XLA numbers instructions anew in every module, so what the kernel stands for decides, and
    among kernels of one module that stand for the same, their order.
    """
    result: dict[tuple[object, ...], tuple[_Group, Row]] = {}
    ordinal: Counter[tuple[object, ...]] = Counter()
    for group, row in sorted(rows, key=lambda item: item[0].place):
        alike = (row.type, group.call, row.info.members if row.info else group.name)
        ordinal[group.module, group.function, alike] += 1
        key = (alike, ordinal[group.module, group.function, alike])
        if key not in result:
            result[key] = group, row
            continue
        known_group, known = result[key]
        both = known.expected is not None and row.expected is not None
        ran_more = len(row.executions) > len(known.executions)
        result[key] = (
            group if ran_more else known_group,
            replace(
                row if ran_more else known,
                executions=np.concatenate([known.executions, row.executions]),
                expected=known.expected + row.expected if both else None,  # type: ignore[operator]
            ),
        )
    return list(result.values())


def _distinct(rows: list[tuple[_Group, Row]]) -> list[Row]:
    """Rows named by their instruction; behind its call, then its module, where that is shared."""
    plain = Counter(row.name for _, row in rows)
    called = Counter(f"{group.call}/{row.name}" for group, row in rows)
    result = []
    for group, row in rows:
        name = row.name
        if plain[name] > 1:
            name = f"{group.call}/{row.name}"
            if called[name] > 1:
                name = f"{group.module}/{row.name}"
        result.append(replace(row, name=name))
    return result
