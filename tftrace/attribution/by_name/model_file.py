"""The layers of a saved model by name, read without TensorFlow or Keras."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tftrace.errors import TftraceError

_PARTS = ("layers", "layer", "forward_layer", "backward_layer", "cell", "cells")
"""Where a layer's configuration holds other layers."""


@dataclass(frozen=True)
class LayerNode:
    """A layer and the layers inside it, in the order of the configuration."""

    name: str
    type: str
    children: tuple[LayerNode, ...] = field(default=())


def read_layers(path: Path) -> LayerNode:
    """The layer tree of a ``.keras`` or ``.h5`` file; its root is the model.

    Raises:
        TftraceError: the file is missing, not a saved model, or holds weights alone.
    """
    if not os.path.isfile(path):
        raise TftraceError(f"no model file {path}")
    try:
        node = _node(_zipped(path) if zipfile.is_zipfile(path) else _hdf5(path))
    except (ValueError, RecursionError) as error:
        raise TftraceError(f"{path}: its configuration cannot be read: {error}") from error
    if node is None:
        raise TftraceError(f"{path} does not describe a Keras model")
    return node


def _zipped(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise TftraceError(f"{path} is not a .keras file: {error}") from error


def _hdf5(path: Path) -> Any:
    try:
        import h5py
    except ImportError:
        raise TftraceError(f"reading {path} needs h5py; or save the model as .keras") from None
    try:
        with h5py.File(path, "r") as file:
            config = file.attrs.get("model_config")
    except OSError as error:
        raise TftraceError(f"{path} is neither a .keras nor an .h5 file: {error}") from error
    if config is None:
        raise TftraceError(f"{path} holds weights without a model")
    return json.loads(config)


def _node(config: Any) -> LayerNode | None:
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        return None
    inner = config["config"]
    name = inner.get("name") or config.get("name")
    if not isinstance(name, str):
        return None
    children = tuple(
        child
        for part in _PARTS
        for item in _listed(inner.get(part))
        if (child := _node(item)) is not None and child.type != "InputLayer"
    )
    type = str(config.get("class_name"))
    (name + type).encode()  # half a surrogate pair, which no table can hold, is an error here
    return LayerNode(name, type, children)


def _listed(value: Any) -> Iterator[Any]:
    yield from value if isinstance(value, list) else [value]
