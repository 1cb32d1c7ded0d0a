"""A trace that some other program took: no manifest, so layers are matched by name, if at all."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from tftrace.attribution.by_name.model_file import LayerNode, read_layers
from tftrace.attribution.by_name.scopes import Match, match_operations
from tftrace.attribution.join import Join
from tftrace.attribution.kernel_owner import WORK, KernelInfo
from tftrace.attribution.rows import LAYERS, Row
from tftrace.graph.phases import FORWARD
from tftrace.parsers.hlo import HloInstruction, parse_hlo
from tftrace.parsers.trials import AUTOTUNING
from tftrace.runs.find import find_trace, other_hosts
from tftrace.runs.manifest import (
    Counting,
    Coverage,
    Latency,
    LayerWork,
    Manifest,
    Model,
    Settings,
    Site,
)
from tftrace.runs.names import TRACE
from tftrace.runs.run import Run
from tftrace.timeline.arithmetic.groups import grouped
from tftrace.timeline.devices import is_copy, is_device
from tftrace.timeline.executions import Executions, find_executions
from tftrace.timeline.per_device import (
    ON_DEVICE,
    ON_HOST,
    Key,
    component_on,
    plane_numbers,
    recorded_planes,
    share_by_device,
    unread_planes,
)
from tftrace.timeline.share_out import Timeline
from tftrace.timeline.window import find_window
from tftrace.version import __version__

_RULE = "nothing is counted: the trace does not hold the graph"


def foreign_join(
    path: Path, model: Path | None = None, *, salvage: bool = False, threads: int | None = None
) -> ForeignJoin:
    """Open a trace without a manifest.

    Args:
        path: a ``.xplane.pb`` file, or a log folder, of which the newest trace is taken.
        model: the saved model (``.keras``, ``.h5``) that ran. Without it no row has a layer.
        salvage: of a truncated trace, read what is whole.
        threads: as `read_trace` takes them.

    Raises:
        TftraceError: there is no trace at ``path``, or ``model`` cannot be read.
    """
    trace = find_trace(path)
    layers = read_layers(model) if model is not None else None
    manifest, hosts = _manifest(trace, model, layers), other_hosts(path, trace)
    return ForeignJoin(Run(trace.parent, trace, manifest, salvage, threads, hosts), layers)


class ForeignJoin(Join):
    """A trace joined to the layers of a saved model by the names of its operations.

    Each device's time is a whole of its own, and a row of **ops** is of one device; see
    `share_by_device`. Nothing is told of what the program did besides.
    """

    def __init__(self, run: Run, layers: LayerNode | None) -> None:
        super().__init__(run)
        self._layers = layers

    def over(self, run: Run) -> ForeignJoin:
        """The same of another reading of the run, its layers matched as here."""
        return ForeignJoin(run, self._layers)

    @cached_property
    def marked(self) -> bool:
        """Whether the trace has the window that tftrace marks."""
        return find_window(self.marks) is not None

    @property
    def window_note(self) -> str:
        """Which stretch of the trace the tables are over."""
        if self.marked:
            return "as tftrace marked it; read like a trace from elsewhere"
        return "the whole trace, from its first to its last event: it has no marks of tftrace"

    @property
    def warnings(self) -> list[str]:
        """What the tables lack."""
        unread = [
            f"{plane or 'an unnamed plane'} is not reported: which of its lines "
            f"({', '.join(lines)}) are executions, and which repeat them, is not known"
            for plane, lines in unread_planes(self.marks)
        ]
        own = [
            "this is the trace of a run of tftrace; opened with its manifest, without a model to "
            "match, its layers are exact"
        ]
        empty = ["nothing was recorded: the trace has no operation and no kernel"]
        return [
            *(own if self.marked else ()),
            *unread,
            *(() if len(self.executions) else empty),
        ]

    @cached_property
    def executions(self) -> Executions:
        """Executions of operations, those that Python ran one by one too."""
        return find_executions(self.marks, self.window, self.runs, eager=True)

    @cached_property
    def timeline(self) -> Timeline:
        """The window shared out."""
        return self._shared[0]

    @property
    def gaps(self) -> dict[Key, int]:
        """What fills each device's window beside its executions, in ps."""
        return self._shared[1]

    @cached_property
    def _shared(self) -> tuple[Timeline, dict[Key, int]]:
        return share_by_device(self.marks, self.window, self.executions, self.workers)

    @cached_property
    def components(self) -> list[Key]:
        """The rows of **wall**: devices first, each with what it can be doing."""
        layers = [LAYERS] if self._layers is not None else []
        return [
            (plane, name)
            for plane in recorded_planes(self.marks)
            for name in (
                *layers,
                *(ON_DEVICE if is_device(plane) else ON_HOST),
                *(name for where, name in self.gaps if where == plane),
            )
        ]

    @property
    def whole(self) -> int:
        """What shares of layers are of, in ps: the window on every plane that ran any."""
        ran = {device for device, row in zip(self.row_planes, self.rows, strict=True) if row.info}
        return self.timeline.length * max(1, len(ran))

    @cached_property
    def row_planes(self) -> list[str]:
        """The plane of each row."""
        names, number = plane_numbers(self.marks, self.executions)
        return [names[number[row.executions[0]]] for row in self.rows]

    @cached_property
    def matches(self) -> dict[str, Match]:
        """The layer of each graph operation that has one; what is not the model's excluded."""
        if self._layers is None:
            return {}
        return match_operations(self._layers, {self._graph_name(i) for i in self._kinds})

    @cached_property
    def rows(self) -> list[Row]:
        """Rows of **ops**."""
        return [self._row(key, found) for key, found in self._kinds.items()]

    @cached_property
    def _kinds(self) -> dict[tuple[int, ...], np.ndarray]:
        """Executions by kind, module, plane, and whether they are copies."""
        e = self.executions
        # An instruction of XLA may launch copies beside its kernels: their names tell.
        copy = self.run.trace.codes(e.event, lambda _, name: is_copy(name))
        return dict(grouped(e.kind, e.hlo, plane_numbers(self.marks, e)[1], copy))

    def _row(self, key: tuple[int, ...], found: np.ndarray) -> Row:
        e = self.executions
        name, kind = e.ops[key[0]], e.types[key[0]]
        plane = self.run.trace.plane_of(int(e.line[found[0]])).name
        instruction = self._instruction(key)
        if key[-1]:
            kind = self.run.trace.event_name(int(e.event[found[0]]))
        elif instruction is not None:
            kind = instruction.opcode
        component = component_on(plane, kind)
        made_for = self._made_for(key, found)
        module = e.modules[key[1]] if key[1] >= 0 else None
        match = self.matches.get(self._graph_name(key)) if kind != AUTOTUNING else None
        info, note = (self._info_of(match), match.note) if match is not None else (None, None)
        if info is not None:
            component = LAYERS
        return Row(name, kind, component, info, found, None, note, made_for, module)

    def _info_of(self, match: Match) -> KernelInfo:
        site = self._positions[match.path]
        return KernelInfo({(site, FORWARD): 1.0}, site, (), None, dict.fromkeys(WORK), 1)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {site.path: i for i, site in enumerate(self.run.sites)}

    def _graph_name(self, key: tuple[int, ...]) -> str:
        """The graph operation behind a kernel: for XLA's, the one its instruction was made for."""
        instruction = self._instruction(key)
        return instruction.op_name if instruction else self.executions.ops[key[0]]

    def _made_for(self, key: tuple[int, ...], found: np.ndarray) -> tuple[str, ...]:
        """The operation that XLA noted for its kernel: with the instruction, or on the device."""
        if key[1] < 0:
            return ()
        instruction = self._instruction(key)
        trace, event = self.run.trace, self.executions.event[found[:1]]
        noted = trace.string(int(trace.events.stats["name"].at(event)[0]))
        name = instruction.op_name if instruction else noted
        return (name,) if name else ()

    def _instruction(self, key: tuple[int, ...]) -> HloInstruction | None:
        if key[1] < 0:
            return None
        module = self._instructions.get(self.executions.modules[key[1]], {})
        return module.get(self.executions.ops[key[0]])

    @cached_property
    def _instructions(self) -> dict[str, dict[str, HloInstruction]]:
        wanted = set(self.executions.modules)
        if not wanted:
            return {}
        return {
            name: dict(parse_hlo(data).instructions)
            for name, data in self.run.hlo_protos.items()
            if name in wanted
        }


def _manifest(trace: Path, model: Path | None, layers: LayerNode | None) -> Manifest:
    """What a run's manifest says, as far as it is known."""
    sites = list(_sites(layers, None, 0)) if layers else []
    return Manifest(
        versions={"tftrace": __version__},
        model=Model(
            name=layers.name if layers else trace.name.removesuffix(TRACE),
            type=layers.type if layers else None,
            source=str(model) if model else None,
        ),
        run=Settings(),
        latency=Latency(),
        counting=Counting(
            rule=_RULE, coverage=Coverage(), batch=1, layers={s.path: LayerWork() for s in sites}
        ),
        sites=sites,
        functions=[],
    )


def _sites(node: LayerNode, parent: str | None, depth: int) -> list[Site]:
    """A call site per layer, in the order of the configuration."""
    path = node.name if parent is None else f"{parent}/{node.name}"
    site = Site(path=path, name=node.name, type=node.type, call=1, depth=depth, parent=parent)
    inner = [s for child in node.children for s in _sites(child, path, depth + 1)]
    return [site, *inner]
