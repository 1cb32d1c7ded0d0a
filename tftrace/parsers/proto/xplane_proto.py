"""The XSpace message classes, built from a descriptor written here.

TensorFlow ships the same schema as generated code, but importing it imports TensorFlow (3 s).
This module serves to *write* planes and to check the fast reader against protobuf's own parser.
"""

from __future__ import annotations

from typing import Any

from tftrace.parsers.proto.own_proto import Field, message_classes

_SCHEMA: dict[str, list[Field]] = {
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
_ONEOFS = {"XEvent": "data", "XStat": "value"}
_MAPS = {"XPlane": {"EventMetadataEntry": "XEventMetadata", "StatMetadataEntry": "XStatMetadata"}}

_CLASSES = message_classes("tensorflow.profiler", _SCHEMA, _ONEOFS, _MAPS)

XSpace: Any = _CLASSES["XSpace"]
"""The whole trace; `XSpace.FromString(data)`, `space.planes.add(name=...)`."""
XPlane: Any = _CLASSES["XPlane"]
"""One plane: a host, a device, or a set of tracks somebody appended."""
