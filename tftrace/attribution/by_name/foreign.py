"""A trace that some other program took: no manifest, so layers are matched by name, if at all."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tftrace.attribution.by_name.model_file import LayerNode, read_layers
from tftrace.attribution.by_name.scopes import Match, match_operations
from tftrace.attribution.join import Join
from tftrace.attribution.kernel_info import WORK, KernelInfo
from tftrace.attribution.rows import OUTSIDE_LAYERS, Row, component_of
from tftrace.errors import TftraceError
from tftrace.parsers.hlo import HloInstruction, parse_hlo
from tftrace.runs.names import TRACE
from tftrace.runs.run import Run
from tftrace.timeline.devices import AUTOTUNING
from tftrace.timeline.groups import grouped
from tftrace.timeline.share_out import PIPELINE
from tftrace.version import __version__

_RULE = "counting rule\nnothing is counted: the trace does not hold the graph"


def foreign_join(path: Path, model: Path | None = None, *, salvage: bool = False) -> ForeignJoin:
    """Open a trace without a manifest.

    Args:
        path: a ``.xplane.pb`` file, or a log folder, of which the newest trace is taken.
        model: the saved model (``.keras``, ``.h5``) that ran. Without it no row has a layer.
        salvage: of a truncated trace, read what is whole.

    Raises:
        TftraceError: there is no trace at ``path``, or ``model`` cannot be read.
    """
    trace = find_trace(path)
    layers = read_layers(model) if model is not None else None
    run = Run(trace.parent, trace, _manifest(trace, model, layers), [], salvage)
    return ForeignJoin(run, layers)


def find_trace(path: Path) -> Path:
    """The trace that ``path`` means.

    Raises:
        TftraceError: there is none.
    """
    if path.is_file():
        return path
    for pattern in (f"*{TRACE}", f"plugins/profile/*/*{TRACE}", f"**/*{TRACE}"):
        found = sorted(path.glob(pattern), key=lambda p: p.stat().st_mtime_ns)
        if found:
            return found[-1]
    raise TftraceError(f"{path} holds no trace (no .xplane.pb)")


class ForeignJoin(Join):
    """A trace joined to the layers of a saved model by the names of its operations.

    What has no layer of that name counts as the model's if it ran in a traced function, else as
    the input pipeline.
    """

    def __init__(self, run: Run, layers: LayerNode | None) -> None:
        super().__init__(run)
        self._layers = layers

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
        """Executions by kind, module, plane, and whether a function ran them."""
        e = self.executions
        return dict(grouped(e.kind, e.hlo, self.planes, e.run >= 0))

    def _row(self, key: tuple[int, ...], found: np.ndarray) -> Row:
        name, kind = self.executions.ops[key[0]], self.executions.types[key[0]]
        instruction = self._instruction(key)
        if instruction is not None:
            kind = instruction.opcode
        match = self.matches.get(self._graph_name(key))
        if match is not None and kind != AUTOTUNING:
            info = self._info_of(match)
            return Row(name, kind, component_of(info), info, found, None, match.note)
        component = OUTSIDE_LAYERS if key[-1] else PIPELINE
        return Row(name, kind, component, None, found, None)

    def _info_of(self, match: Match) -> KernelInfo:
        site = self._positions[match.path]
        return KernelInfo({site: 1.0}, site, (), None, dict.fromkeys(WORK), 1)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {site["path"]: i for i, site in enumerate(self.run.sites)}

    def _graph_name(self, key: tuple[int, ...]) -> str:
        """The graph operation behind a kernel: for XLA's, the one its instruction was made for."""
        instruction = self._instruction(key)
        return instruction.op_name if instruction else self.executions.ops[key[0]]

    def _instruction(self, key: tuple[int, ...]) -> HloInstruction | None:
        if key[1] < 0:
            return None
        module = self._instructions.get(self.executions.modules[key[1]], {})
        return module.get(self.executions.ops[key[0]])

    @cached_property
    def _instructions(self) -> dict[str, dict[str, HloInstruction]]:
        wanted = set(self.executions.modules)
        return {
            name: dict(parse_hlo(data).instructions)
            for name, data in self.run.hlo_protos.items()
            if name in wanted
        }


def _manifest(trace: Path, model: Path | None, layers: LayerNode | None) -> dict[str, Any]:
    """What a run's manifest says, as far as it is known: null is unknown."""
    sites = list(_sites(layers, None, 0)) if layers else []
    unknown: dict[str, Any] = {**dict.fromkeys(WORK), "notes": []}
    steps = dict.fromkeys(("samples", "steps", "note", "level"))
    return {
        "created": None,
        "versions": {"tftrace": __version__},
        "machine": None,
        "model": {
            "name": layers.name if layers else trace.name.removesuffix(TRACE),
            "class": layers.type if layers else None,
            "source": str(model) if model else None,
            "params": None,
            "inputs": [],
        },
        "run": {
            **dict.fromkeys(("samples", "batch_size", "steps", "steps_per_execution", "jit")),
            "trace": {**steps, "whole": None},
        },
        "latency": {"all_ms": [], **dict.fromkeys(("median_ms", "iqr_ms", "min_ms", "traced_ms"))},
        "counting": {
            "rule": _RULE,
            "coverage": {"counted": 0, "total": 0, "unknown": {}},
            "batch": 1,
            "layers": {site["path"]: unknown for site in sites},
            "outside": None,
        },
        "sites": sites,
        "functions": [],
    }


def _sites(node: LayerNode, parent: str | None, depth: int) -> list[dict[str, Any]]:
    """A call site per layer, in the order of the configuration."""
    path = node.name if parent is None else f"{parent}/{node.name}"
    site = {
        **{"path": path, "name": node.name, "type": node.type, "call": 1, "depth": depth},
        **{"parent": parent, "output_shape": None, "params": None},
    }
    inner = [s for child in node.children for s in _sites(child, path, depth + 1)]
    return [site, *inner]
