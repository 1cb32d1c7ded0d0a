"""How values pass between layers, from the traced graph: what stands before and behind a layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from tftrace.runs.manifest import Manifest, Site

_NO_SOURCE = frozenset(("Const", "NoOp"))


@dataclass(frozen=True)
class LayerGraph:
    """The operations of one traced predict function, in columns.

    ``owner`` is an index into ``sites`` (-1: none), ``inputs`` are indices of operations,
    ``out_bytes`` what each hands on for one batch, ``dtype`` the element type of its first
    output (None where the run did not note it).
    """

    key: list[str]
    type: list[str]
    owner: list[int]
    inputs: list[list[int]]
    out_bytes: list[int | None]
    dtype: list[str | None]
    sites: list[Site]

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of each operation by its flat key."""
        return {key: i for i, key in enumerate(self.key)}

    @cached_property
    def consumers(self) -> list[list[int]]:
        """Who reads each operation."""
        found: list[list[int]] = [[] for _ in self.key]
        for reader, sources in enumerate(self.inputs):
            for source in dict.fromkeys(sources):
                found[source].append(reader)
        return found

    @cached_property
    def varies(self) -> list[bool]:
        """Whether each operation depends on the data; what does not is parameters' arithmetic."""
        found = [
            owner < 0 and not sources and kind not in _NO_SOURCE
            for owner, sources, kind in zip(self.owner, self.inputs, self.type, strict=True)
        ]
        todo = [i for i, start in enumerate(found) if start]
        for op in todo:
            for reader in self.consumers[op]:
                if not found[reader]:
                    found[reader] = True
                    todo.append(reader)
        return found

    def path(self, op: int) -> str | None:
        """Path of the call site that made ``op``, None for what no layer made."""
        owner = self.owner[op]
        return None if owner < 0 else self.sites[owner].path

    def layer_type(self, op: int) -> str | None:
        """Class of the layer that made ``op``."""
        owner = self.owner[op]
        return None if owner < 0 else self.sites[owner].type

    def data_inputs(self, op: int) -> list[int]:
        """Inputs of ``op`` that depend on the data."""
        return [i for i in self.inputs[op] if self.varies[i]]

    def entries(self, path: str) -> list[int]:
        """Operations outside the call site whose data-dependent values it reads."""
        mine = set(self._of(path))
        return _unique(i for op in mine for i in self.data_inputs(op) if i not in mine)

    def exits(self, path: str) -> list[int]:
        """Data-dependent operations of the call site that something else reads."""
        mine = set(self._of(path))
        return sorted(
            op for op in mine if self.varies[op] and any(r not in mine for r in self.consumers[op])
        )

    def _of(self, path: str) -> list[int]:
        return self._by_path.get(path, [])

    @cached_property
    def _by_path(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for op in range(len(self.key)):
            path = self.path(op)
            if path is not None:
                found.setdefault(path, []).append(op)
        return found


def layer_graph(manifest: Manifest) -> LayerGraph:
    """The graph of the function with the largest batch.

    It is empty for a trace that came without one; a run of an older tftrace has no dtypes.
    """
    if not manifest.functions:
        return LayerGraph([], [], [], [], [], [], manifest.sites)
    ops = max(manifest.functions, key=lambda f: f.batch or 0).ops
    return LayerGraph(
        key=ops.key,
        type=ops.type,
        owner=ops.owner,
        inputs=ops.inputs,
        out_bytes=ops.out_bytes,
        dtype=ops.dtype or [None] * len(ops.key),
        sites=manifest.sites,
    )


def _unique(items: Iterable[int]) -> list[int]:
    return sorted(set(items))
