"""A traced function opened up: its ops, the kernels they became, and which ops each computes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from tftrace.attribution.provenance import (
    KernelNodes,
    Members,
    TracedOps,
    constant_kernels,
    members_of_kernels,
)
from tftrace.graph.flatten import flat_name
from tftrace.graph.phases import FORWARD, PARTS, PHASES
from tftrace.graph.types import CALLS
from tftrace.runs.manifest import OpColumns, TracedFunction

Share: TypeAlias = tuple[int, str]
"""A call site (an index; -1 for none) and a phase, or a part of one."""


@dataclass(frozen=True)
class Function:
    """One trace of the predict function, in columns over its operations.

    ``owner`` is an index into the run's sites (-1: none), ``times`` executions per call (None:
    depends on data), ``work`` the executed work of one execution over ``counted_batch`` samples,
    ``phase`` what the operation is for (None: all are of the forward pass), which may be a part of
    a phase.
    """

    name: str | None
    batch: int | None
    counted_batch: int
    ops: TracedOps
    owner: list[int]
    times: list[int | None]
    work: list[dict[str, Any]]
    out_bytes: list[int | None]
    kernels: KernelNodes
    phase: list[str] | None = None

    @classmethod
    def of(cls, traced: TracedFunction) -> Function:
        """The function as the manifest has it."""
        ops, kernels = traced.ops, traced.kernels
        return cls(
            name=traced.name,
            batch=traced.batch,
            counted_batch=traced.counted_batch,
            ops=TracedOps(ops.key, ops.type, ops.inputs, [bool(v) for v in ops.live], ops.form),
            owner=ops.owner,
            times=ops.times,
            work=ops.work,
            out_bytes=ops.out_bytes,
            kernels=KernelNodes(kernels.name, kernels.type, kernels.inputs),
            phase=_phases(ops),
        )

    def share(self, op: int) -> Share:
        """Whom the time of an operation is for."""
        return self.owner[op], FORWARD if self.phase is None else self.phase[op]

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of each operation by its flat key."""
        return {key: i for i, key in enumerate(self.ops.key)}

    @cached_property
    def kernel_type(self) -> dict[str, str]:
        """Type of each kernel by its flat name; empty without graphs."""
        return {
            flat_name(name): kind
            for name, kind in zip(self.kernels.name, self.kernels.type, strict=True)
        }

    @cached_property
    def constant(self) -> frozenset[str]:
        """Flat names of the kernels that rest on constants alone."""
        return frozenset(flat_name(name) for name in constant_kernels(self.kernels))

    @cached_property
    def whole_calls(self) -> tuple[str, ...]:
        """What the flat keys begin with of operations in functions that run as one kernel."""
        return tuple(f"{name}/" for name, kind in self.kernel_type.items() if kind in CALLS)

    def executes(self, flat: str) -> bool:
        """Whether a call of this function runs the kernel of that flat name.

        What the optimizer or the runtime folded away does not run; what runs in a function that
        is called, or without the optimized graph, is taken to run.
        """
        if not self.kernels.name or flat.startswith(self.whole_calls):
            return True
        if flat in self.kernel_type:
            return flat not in self.constant
        op = self.index.get(flat)
        return op is not None and self.ops.type[op] == "Placeholder"

    @cached_property
    def members(self) -> dict[str, Members]:
        """What each kernel does the work of; an operation stands for itself without graphs."""
        if not self.kernels.name:
            return {key: Members((i,)) for i, key in enumerate(self.ops.key) if self.ops.live[i]}
        return members_of_kernels(self.ops, self.kernels)


def _phases(ops: OpColumns) -> list[str] | None:
    if ops.phase is None:
        return None
    parts = ops.part or [-1] * len(ops.phase)
    return [
        PHASES[phase] if part < 0 else PARTS[part]
        for phase, part in zip(ops.phase, parts, strict=True)
    ]
