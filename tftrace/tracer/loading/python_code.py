"""Python code inside model files, found by reading their configurations, without loading them.

Keras 3 refuses such code by itself. Keras 2 runs the bytecode of a Lambda when it loads an `.h5`
file or a SavedModel, whatever its safe mode says, and imports whatever module a `.keras` names.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tftrace.errors import TftraceError

_OWN_MODULES = ("keras", "tf_keras", "builtins")


def python_inside(path: Path, trusted: Iterable[str] = ()) -> str | None:
    """What Python code the model file (`.h5`, `.keras`, SavedModel folder) would run, in words.

    Args:
        trusted: modules that the user named; the file may name them too.

    Returns: None where there is none.

    Raises:
        TftraceError: the configuration cannot be read, so nobody can tell.
    """
    allowed = frozenset((*_OWN_MODULES, *(_package(name) for name in trusted)))
    try:
        configs = list(_configurations(path))
    except (OSError, ValueError, KeyError, RecursionError, zipfile.BadZipFile) as error:
        raise TftraceError(f"{path}: its configuration cannot be read ({error})") from error
    return next((found for c in configs for found in _found(c, allowed)), None)


def _package(name: str) -> str:
    """``a`` of ``a.b`` and of ``a.b:name``."""
    return name.partition(":")[0].partition(".")[0]


def _configurations(path: Path) -> Iterator[Any]:
    if os.path.isdir(path):
        yield from _saved_model(path)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            yield json.loads(file.read("config.json"))
    else:
        import h5py

        with h5py.File(path) as file:
            for name in ("model_config", "training_config"):
                if name in file.attrs:
                    yield json.loads(file.attrs[name])


def _saved_model(folder: Path) -> Iterator[Any]:
    metadata = folder / "keras_metadata.pb"
    if not metadata.exists():
        return
    from google.protobuf.message import DecodeError
    from tf_keras.protobuf.saved_metadata_pb2 import SavedMetadata

    message = SavedMetadata()
    try:
        message.ParseFromString(metadata.read_bytes())
    except DecodeError as error:
        raise ValueError(str(error)) from error
    for node in message.nodes:
        if node.metadata:
            yield json.loads(node.metadata)


def _found(config: Any, allowed: frozenset[str]) -> Iterator[str]:
    """Walks a configuration with a stack of its own: a file may nest as deep as it likes."""
    todo = [config]
    while todo:
        part = todo.pop()
        if isinstance(part, list):
            todo += part
        elif isinstance(part, dict):
            todo += part.values()
            yield from _in(part, allowed)


def _in(part: dict[str, Any], allowed: frozenset[str]) -> Iterator[str]:
    if part.get("class_name") == "__lambda__" or any(
        key.endswith("_type") and value == "lambda" for key, value in part.items()
    ):
        yield "the bytecode of a Lambda"
    inner = part.get("config") if part.get("class_name") == "Lambda" else None
    if isinstance(inner, dict) and isinstance(inner.get("function"), list):
        yield "the bytecode of a Lambda"
    for key in ("module", "function_module"):
        module = part.get(key)
        named = "class_name" in part or "function" in part
        if named and isinstance(module, str) and _package(module) not in allowed:
            yield f"objects of the module {module}"
