"""Protobuf message classes built from a few lines of schema, with only the fields that are read.

TensorFlow ships its schemas as generated code, but importing it imports TensorFlow (3 s). Messages
are built in a descriptor pool of their own, so TensorFlow may be imported beside them. What a
schema here leaves out protobuf keeps as unknown fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Field = tuple[int, str, str, str]
"""(number, name, type, flags); a type is a scalar's name or a message's; flags: "*" repeated,
"|" member of the message's oneof."""

_Proto = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "int32": _Proto.TYPE_INT32,
    "int64": _Proto.TYPE_INT64,
    "uint64": _Proto.TYPE_UINT64,
    "bool": _Proto.TYPE_BOOL,
    "double": _Proto.TYPE_DOUBLE,
    "string": _Proto.TYPE_STRING,
    "bytes": _Proto.TYPE_BYTES,
}


def message_classes(
    package: str,
    schema: Mapping[str, Sequence[Field]],
    oneofs: Mapping[str, str] | None = None,
    maps: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """A class for every message of ``schema``, by name.

    Args:
        package: the protobuf package; two schemas must not share one.
        schema: fields of each message.
        oneofs: name of the oneof of messages that have one.
        maps: message -> {entry name: type of the values}, for maps with int64 keys; the map's
            field is a repeated one of type ``Message.EntryName``.

    The classes are `Any`: they are made at run time, their fields unknown to a type checker.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3"
    )
    for name, fields in schema.items():
        message = file.message_type.add(name=name)
        for field in fields:
            _add_field(message, package, *field)
        if name in (oneofs or {}):
            message.oneof_decl.add(name=(oneofs or {})[name])
        for entry_name, value in (maps or {}).get(name, {}).items():
            entry = message.nested_type.add(name=entry_name)
            entry.options.map_entry = True
            _add_field(entry, package, 1, "key", "int64", "")
            _add_field(entry, package, 2, "value", value, "")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in schema
    }


def _add_field(
    message: descriptor_pb2.DescriptorProto,
    package: str,
    number: int,
    name: str,
    kind: str,
    flags: str,
) -> None:
    field = message.field.add(name=name, number=number)
    field.label = _Proto.LABEL_REPEATED if "*" in flags else _Proto.LABEL_OPTIONAL
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _Proto.TYPE_MESSAGE
        field.type_name = f".{package}.{kind}"
    if "|" in flags:
        field.oneof_index = 0
