"""Graphs of operations as plain dataclasses: what the tracer hands to counting and attribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

from tftrace.graph.phases import FORWARD

CALLS = ("PartitionedCall", "StatefulPartitionedCall")
LOOPS = ("While", "StatelessWhile")
BRANCHES = ("If", "StatelessIf", "Case", "StatelessCase")

DTYPE_BYTES: Mapping[str, int] = {
    "bool": 1,
    "int8": 1,
    "uint8": 1,
    "qint8": 1,
    "quint8": 1,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
    "int16": 2,
    "uint16": 2,
    "float16": 2,
    "bfloat16": 2,
    "int32": 4,
    "uint32": 4,
    "qint32": 4,
    "float32": 4,
    "int64": 8,
    "uint64": 8,
    "float64": 8,
    "complex64": 8,
    "complex128": 16,
}
"""Bytes of one element; dtypes without a fixed size (string, resource, variant) are absent."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Element type and static shape of one tensor; ``None`` where unknown."""

    dtype: str
    shape: tuple[int | None, ...] | None

    @property
    def size(self) -> int | None:
        """Number of elements, or None when the shape is not fully known."""
        if self.shape is None or any(d is None for d in self.shape):
            return None
        return prod(d for d in self.shape if d is not None)

    @property
    def bytes(self) -> int | None:
        """Size in bytes, or None when shape or element size is unknown."""
        width = DTYPE_BYTES.get(self.dtype)
        return None if width is None or self.size is None else width * self.size


class Edge(NamedTuple):
    """Output number ``output`` of the operation named ``name``."""

    name: str
    output: int


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of a graph.

    ``attrs`` holds plain Python values; a function attribute is the function's name.
    ``value`` is the static value of output 0 (a nested list or scalar) where it is known and
    small: constants, and what shape arithmetic gives. ``owner`` is the path of the Keras call
    site that made the operation (or whose gradient it computes, or whose variable it updates), or
    None when no call of the model did; ``phase`` is one of `tftrace.graph.phases.PHASES`,
    or of its `PARTS`.
    """

    name: str
    type: str
    inputs: tuple[Edge, ...] = ()
    controls: tuple[str, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)
    value: Any = None
    owner: str | None = None
    phase: str = FORWARD


@dataclass(frozen=True, slots=True)
class Graph:
    """A function body: ``inputs`` are its argument nodes in order, ``outputs`` its results.

    ``arguments`` are those inputs that the caller gives; the others the trace has captured. A graph
    that is not traced from Python has none.
    """

    name: str
    nodes: Mapping[str, Node]
    inputs: tuple[str, ...] = ()
    outputs: tuple[Edge, ...] = ()
    controls: tuple[str, ...] = ()
    arguments: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Program:
    """A root graph and every function it calls, by name."""

    root: str
    functions: Mapping[str, Graph]
