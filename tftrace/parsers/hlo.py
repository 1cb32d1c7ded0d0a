"""XLA's compiled modules, as plain data: what a kernel that is named after an HLO instruction is.

A trace carries every module that ran (`read_hlo_protos`). The messages are xla/service/hlo.proto
and xla/xla_data.proto, of which only what is used here is described.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from tftrace.parsers.errors import TraceError

if TYPE_CHECKING:
    from tftrace.parsers.proto.own_proto import Field

_SCHEMA: dict[str, list[Field]] = {
    "HloProto": [(1, "hlo_module", "HloModuleProto", "")],
    "HloModuleProto": [
        (1, "name", "string", ""),
        (3, "computations", "HloComputationProto", "*"),
        (5, "id", "int64", ""),
        (6, "entry_computation_id", "int64", ""),
    ],
    "HloComputationProto": [
        (1, "name", "string", ""),
        (2, "instructions", "HloInstructionProto", "*"),
        (5, "id", "int64", ""),
        (6, "root_id", "int64", ""),
    ],
    "HloInstructionProto": [
        (1, "name", "string", ""),
        (2, "opcode", "string", ""),
        (3, "shape", "ShapeProto", ""),
        (7, "metadata", "OpMetadata", ""),
        (35, "id", "int64", ""),
        (36, "operand_ids", "int64", "*"),
        (38, "called_computation_ids", "int64", "*"),
    ],
    "OpMetadata": [(1, "op_type", "string", ""), (2, "op_name", "string", "")],
    "ShapeProto": [
        (2, "element_type", "int32", ""),
        (3, "dimensions", "int64", "*"),
        (4, "tuple_shapes", "ShapeProto", "*"),
    ],
}

# xla.PrimitiveType, as far as TensorFlow's types go.
_DTYPES = {
    1: "bool",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "uint8",
    7: "uint16",
    8: "uint32",
    9: "uint64",
    10: "float16",
    11: "float32",
    12: "float64",
    13: "tuple",
    15: "complex64",
    16: "bfloat16",
    17: "token",
    18: "complex128",
    21: "int4",
    22: "uint4",
}


@dataclass(frozen=True, slots=True)
class HloInstruction:
    """One instruction.

    ``op_name`` and ``op_type`` are those of the graph operation that it was made for, empty where
    XLA did not keep them. ``dtype`` (``tuple`` for several results) and ``dims`` are the shape of
    the result. ``operands`` are ids of instructions of the same computation, ``called`` ids of
    computations: the body of a fusion or a loop (body, then condition), branches, reducers.
    """

    id: int
    name: str
    opcode: str
    op_name: str
    op_type: str
    dtype: str
    dims: tuple[int, ...]
    operands: tuple[int, ...]
    called: tuple[int, ...]

    @property
    def elements(self) -> int:
        """Elements of the result; 0 for a tuple."""
        return 0 if self.dtype in ("tuple", "token") else prod(self.dims)


@dataclass(frozen=True, slots=True)
class HloComputation:
    """A function body; its instructions stand behind their operands."""

    id: int
    name: str
    root: int
    instructions: tuple[HloInstruction, ...]


@dataclass(frozen=True)
class HloModule:
    """A compiled program; ``entry`` is the id of the computation that runs first."""

    name: str
    id: int
    entry: int
    computations: Mapping[int, HloComputation]

    @cached_property
    def instructions(self) -> Mapping[str, HloInstruction]:
        """Every instruction by name; names are unique in a module."""
        return {i.name: i for c in self.computations.values() for i in c.instructions}


def parse_hlo(data: bytes) -> HloModule:
    """The module of a serialized ``HloProto``.

    Raises:
        TraceError: the bytes are not one.
    """
    from google.protobuf.message import DecodeError

    try:
        module = _classes()["HloProto"].FromString(data).hlo_module
    except DecodeError as error:
        raise TraceError(f"an HLO module in the trace is damaged: {error}") from error
    return HloModule(
        name=module.name,
        id=module.id,
        entry=module.entry_computation_id,
        computations={c.id: _computation(c) for c in module.computations},
    )


@functools.cache
def _classes() -> dict[str, Any]:
    # Few traces have modules: the others do without importing protobuf.
    from tftrace.parsers.proto.own_proto import message_classes

    return message_classes("tftrace.xla", _SCHEMA)


def _computation(computation: Any) -> HloComputation:
    return HloComputation(
        id=computation.id,
        name=computation.name,
        root=computation.root_id,
        instructions=tuple(_instruction(i) for i in computation.instructions),
    )


def _instruction(instruction: Any) -> HloInstruction:
    kind = instruction.shape.element_type
    return HloInstruction(
        id=instruction.id,
        name=instruction.name,
        opcode=instruction.opcode,
        op_name=instruction.metadata.op_name,
        op_type=instruction.metadata.op_type,
        dtype=_DTYPES.get(kind, f"type {kind}"),
        dims=tuple(instruction.shape.dimensions),
        operands=tuple(instruction.operand_ids),
        called=tuple(instruction.called_computation_ids),
    )
