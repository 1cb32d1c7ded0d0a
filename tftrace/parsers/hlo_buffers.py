"""Where a compiled module of XLA keeps its values: its buffer assignment, and its schedule.

The messages are BufferAssignmentProto of xla/service/hlo.proto and HloScheduleProto, of which only
what is used here is described.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tftrace.parsers.errors import TraceError

if TYPE_CHECKING:
    from tftrace.parsers.proto.own_proto import Field

_SCHEMA: dict[str, list[Field]] = {
    "HloProto": [
        (1, "hlo_module", "HloModuleProto", ""),
        (3, "buffer_assignment", "BufferAssignmentProto", ""),
    ],
    "HloModuleProto": [(7, "schedule", "HloScheduleProto", "")],
    "HloScheduleProto": [(1, "sequences", "SequenceEntry", "*")],
    # On the wire a map is a list of its entries.
    "SequenceEntry": [(1, "key", "int64", ""), (2, "value", "InstructionSequence", "")],
    "InstructionSequence": [(1, "instruction_ids", "int64", "*")],
    "BufferAssignmentProto": [
        (1, "logical_buffers", "LogicalBufferProto", "*"),
        (3, "buffer_allocations", "BufferAllocationProto", "*"),
    ],
    "LogicalBufferProto": [(1, "id", "int64", ""), (3, "defined_at", "Location", "")],
    "Location": [(4, "instruction_id", "int64", "")],
    "BufferAllocationProto": [
        (2, "size", "int64", ""),
        (3, "is_thread_local", "bool", ""),
        (5, "is_entry_computation_parameter", "bool", ""),
        (12, "is_constant", "bool", ""),
        (9, "assigned", "Assigned", "*"),
    ],
    "Assigned": [
        (1, "logical_buffer_id", "int64", ""),
        (2, "offset", "int64", ""),
        (3, "size", "int64", ""),
    ],
}


@dataclass(frozen=True, slots=True)
class Value:
    """What an instruction (by id) makes, and where in its allocation, in bytes."""

    instruction: int
    offset: int
    size: int


@dataclass(frozen=True)
class Allocation:
    """Bytes that the module asks for when it runs, and the values that take turns in them."""

    size: int
    values: tuple[Value, ...]


@dataclass(frozen=True)
class ModuleBuffers:
    """The allocations of a module; ``schedule`` has ids of instructions by id of the computation,
    in the order in which they run."""

    allocations: tuple[Allocation, ...]
    schedule: Mapping[int, tuple[int, ...]]


def parse_buffers(data: bytes) -> ModuleBuffers | None:
    """The buffers of a serialized ``HloProto`` that its runs ask for: not its arguments, its
    constants, nor what lies on a thread's stack. None where it has no buffer assignment.

    Raises:
        TraceError: the bytes are not one.
    """
    from google.protobuf.message import DecodeError

    try:
        proto = _classes()["HloProto"].FromString(data)
    except DecodeError as error:
        raise TraceError(f"an HLO module in the trace is damaged: {error}") from error
    assignment = proto.buffer_assignment
    if not assignment.buffer_allocations:
        return None
    made_by = {b.id: b.defined_at.instruction_id for b in assignment.logical_buffers}
    return ModuleBuffers(
        tuple(
            Allocation(a.size, tuple(_values(a.assigned, made_by)))
            for a in assignment.buffer_allocations
            if not (a.is_entry_computation_parameter or a.is_constant or a.is_thread_local)
        ),
        {e.key: tuple(e.value.instruction_ids) for e in proto.hlo_module.schedule.sequences},
    )


def _values(assigned: Any, made_by: Mapping[int, int]) -> list[Value]:
    return [
        Value(made_by[a.logical_buffer_id], a.offset, a.size)
        for a in assigned
        if a.logical_buffer_id in made_by
    ]


@functools.cache
def _classes() -> dict[str, Any]:
    # Few traces have modules: the others do without importing protobuf.
    from tftrace.parsers.proto.own_proto import message_classes

    return message_classes("tftrace.xla_buffers", _SCHEMA)
