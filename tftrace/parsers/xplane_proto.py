"""The XSpace message classes, built from a descriptor written here.

TensorFlow ships the same schema as generated code, but importing it imports TensorFlow (3 s).
This module serves to *write* planes and to check the fast reader against protobuf's own parser.
Messages are built in a descriptor pool of their own, so TensorFlow may be imported beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

if TYPE_CHECKING:
    from google.protobuf.message import Message

_PACKAGE = "tensorflow.profiler"

# message -> (field number, name, type, flags): "*" repeated, "|" member of the message's oneof
_SCHEMA: dict[str, list[tuple[int, str, str, str]]] = {
    "XSpace": [
        (1, "planes", "XPlane", "*"),
        (2, "errors", "string", "*"),
        (3, "warnings", "string", "*"),
        (4, "hostnames", "string", "*"),
    ],
    "XPlane": [
        (1, "id", "int64", ""),
        (2, "name", "string", ""),
        (3, "lines", "XLine", "*"),
        (4, "event_metadata", "XPlane.EventMetadataEntry", "*"),
        (5, "stat_metadata", "XPlane.StatMetadataEntry", "*"),
        (6, "stats", "XStat", "*"),
    ],
    "XLine": [
        (1, "id", "int64", ""),
        (10, "display_id", "int64", ""),
        (2, "name", "string", ""),
        (11, "display_name", "string", ""),
        (3, "timestamp_ns", "int64", ""),
        (9, "duration_ps", "int64", ""),
        (4, "events", "XEvent", "*"),
    ],
    "XEvent": [
        (1, "metadata_id", "int64", ""),
        (2, "offset_ps", "int64", "|"),
        (5, "num_occurrences", "int64", "|"),
        (3, "duration_ps", "int64", ""),
        (4, "stats", "XStat", "*"),
    ],
    "XStat": [
        (1, "metadata_id", "int64", ""),
        (2, "double_value", "double", "|"),
        (3, "uint64_value", "uint64", "|"),
        (4, "int64_value", "int64", "|"),
        (5, "str_value", "string", "|"),
        (6, "bytes_value", "bytes", "|"),
        (7, "ref_value", "uint64", "|"),
    ],
    "XEventMetadata": [
        (1, "id", "int64", ""),
        (2, "name", "string", ""),
        (4, "display_name", "string", ""),
        (3, "metadata", "bytes", ""),
        (5, "stats", "XStat", "*"),
        (6, "child_id", "int64", "*"),
    ],
    "XStatMetadata": [
        (1, "id", "int64", ""),
        (2, "name", "string", ""),
        (3, "description", "string", ""),
    ],
}
_MAP_ENTRIES = {"EventMetadataEntry": "XEventMetadata", "StatMetadataEntry": "XStatMetadata"}
_ONEOFS = {"XEvent": "data", "XStat": "value"}

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "int64": _Field.TYPE_INT64,
    "uint64": _Field.TYPE_UINT64,
    "double": _Field.TYPE_DOUBLE,
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
}


def _add_field(
    message: descriptor_pb2.DescriptorProto, number: int, name: str, kind: str, flags: str
) -> None:
    field = message.field.add(name=name, number=number)
    field.label = _Field.LABEL_REPEATED if "*" in flags else _Field.LABEL_OPTIONAL
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{kind}"
    if "|" in flags:
        field.oneof_index = 0


def _file_descriptor() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="tftrace/xplane.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for number, field_name, kind, flags in fields:
            _add_field(message, number, field_name, kind, flags)
        if name in _ONEOFS:
            message.oneof_decl.add(name=_ONEOFS[name])
        if name == "XPlane":
            for entry_name, value in _MAP_ENTRIES.items():
                entry = message.nested_type.add(name=entry_name)
                entry.options.map_entry = True
                _add_field(entry, 1, "key", "int64", "")
                _add_field(entry, 2, "value", value, "")
    return file


_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_file_descriptor())


def _message_class(name: str) -> type[Message]:
    descriptor = _POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}")
    return message_factory.GetMessageClass(descriptor)


# `Any`: the classes are made at run time, their fields are unknown to a type checker.
XSpace: Any = _message_class("XSpace")
"""The whole trace; `XSpace.FromString(data)`, `space.planes.add(name=...)`."""
XPlane: Any = _message_class("XPlane")
"""One plane: a host, a device, or a set of tracks somebody appended."""
