"""Load a Keras model from disk, with an answer for everything that is not one."""

from __future__ import annotations

import importlib
import json
import os
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import isclass, isfunction
from pathlib import Path
from typing import Any

from tftrace.errors import TftraceError
from tftrace.tracer.loading.functions import import_module
from tftrace.tracer.loading.python_code import python_inside
from tftrace.tracer.loading.saved_model import is_saved_model, load_saved_model
from tftrace.tracer.loading.weights import with_weights

_UNKNOWN_OBJECT = re.compile(
    r"(Could not (?:locate|interpret)|Unknown (?:layer|object|activation|function))"
    r".*?(?=[.;,](?:\s|$)|$)"
)
_DROPPED_ARGUMENT = re.compile(r"Unrecognized keyword arguments passed to (\w+): \{?'?(\w+)")
_LAMBDA = "<lambda>"
_WEIGHTS_TAKEN = "name what builds the model with --model-module, and its weights are taken"
_HDF5 = b"\x89HDF\r\n\x1a\n"


def load_model(
    path: Path,
    unsafe: bool = False,
    custom: Sequence[str] = (),
    keras: int = 3,
    built_by: str | None = None,
    compiled: bool = False,
    only_keras_3: bool = False,
) -> Any:
    """The Keras model saved at ``path``, not compiled unless asked for.

    Args:
        path: file written by ``model.save`` (``.keras`` or ``.h5``); Keras 3 loads those of
            Keras 2 too, and runs them its own way. Of a SavedModel's folder Keras 3 runs a
            signature, and Keras 2 the layers, if Keras 2 saved it.
        unsafe: allow arbitrary code inside the file (Lambda layers).
        custom: ``module`` or ``module:name`` to import: its classes and functions are then known.
        keras: 2 runs the model by tf_keras, as it was before Keras 3.
        built_by: ``module:function`` that returns the model; the file then holds its weights
            (``model.save_weights``, or the whole model, of which the weights are taken).
        compiled: as it was saved, if it was compiled then.
        only_keras_3: who asks takes no model of Keras 2, so that it is no remedy.

    Raises:
        TftraceError: anything that keeps the model from loading, and what to do about it.
    """
    module = _keras(keras)
    if built_by is not None:
        return with_weights(path, built_by, module)
    if not is_saved_model(path):
        check_model_file(path)
    elif keras == 3:
        return load_saved_model(path)
    if keras == 2 and not unsafe:
        _refuse_python(path, custom)
    objects = import_custom(custom)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice to who wrote the file
            loaded = module.models.load_model(
                path, custom_objects=objects, compile=compiled, safe_mode=not unsafe
            )
    except Exception as error:
        # Keras raises a dozen types here, all meaning: this file does not load.
        raise TftraceError(_explain(path, error, custom, keras, only_keras_3)) from error
    if not isinstance(loaded, module.Model) and is_saved_model(path):
        raise TftraceError(
            f"{path} is a SavedModel without layers of Keras 2; "
            "without --keras 2 its signature runs"
        )
    if not isinstance(loaded, module.Model):
        raise TftraceError(f"{path} holds no Keras model but a {type(loaded).__name__}")
    return loaded


@dataclass(frozen=True)
class Loading:
    """How a command loads models: its options of those names."""

    unsafe: bool = False
    custom: tuple[str, ...] = ()
    keras: int = 3
    model_module: str | None = None
    compiled: bool = False

    def model(self, path: Path, only_keras_3: bool = False) -> Any:
        """The model at ``path``.

        Raises:
            TftraceError: it does not load.
        """
        return load_model(
            path,
            self.unsafe,
            self.custom,
            self.keras,
            self.model_module,
            self.compiled,
            only_keras_3,
        )

    def words(self) -> list[str]:
        """The same options for another command line."""
        words = ["--keras", "2"] if self.keras == 2 else []
        words += ["--unsafe"] if self.unsafe else []
        words += [word for module in self.custom for word in ("--custom", module)]
        return words + ([] if self.model_module is None else ["--model-module", self.model_module])


@contextmanager
def custom_scope(custom: Sequence[str]) -> Iterator[None]:
    """Have Keras 3 know the user's objects while the block rebuilds a model.

    Raises:
        TftraceError: as `import_custom`.
    """
    with importlib.import_module("keras").saving.custom_object_scope(import_custom(custom)):
        yield


def _refuse_python(path: Path, custom: Sequence[str]) -> None:
    found = python_inside(path, custom)
    if found is not None:
        raise TftraceError(
            f"{path} holds Python code ({found}), which Keras 2 runs when it loads the file; "
            "if you trust the file, add --unsafe"
        )


def _keras(version: int) -> Any:
    if version == 3:
        return importlib.import_module("keras")
    try:
        return importlib.import_module("tf_keras")
    except ImportError:
        raise TftraceError("Keras 2 is not installed: pip install 'tftrace[legacy]'") from None


def check_model_file(path: Path) -> None:
    """Refuse what cannot be a saved Keras model.

    Raises:
        TftraceError: missing, empty, a folder, or of another format.
    """
    if not os.path.exists(path):
        raise TftraceError(f"no model file {path}")
    if os.path.isdir(path):
        raise TftraceError(f"{path} is a folder; give a .keras or .h5 file, or a SavedModel")
    if path.stat().st_size == 0:
        raise TftraceError(f"{path} is empty (0 bytes)")
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        raise TftraceError(f"{path}: unknown model format; give a .keras or .h5 file")
    with path.open("rb") as file:
        head = file.read(8)
    whole = zipfile.is_zipfile(path) if path.suffix == ".keras" else head == _HDF5
    if not whole:
        raise TftraceError(f"{path} is not a whole {path.suffix} file; it may be truncated")


def import_custom(custom: Sequence[str]) -> dict[str, Any]:
    """Import the user's modules; returns the objects named with ``module:name``.

    Raises:
        TftraceError: the module or the name does not exist.
    """
    objects: dict[str, Any] = {}
    for item in custom:
        module_name, _, name = item.partition(":")
        module = import_module("--custom", item)
        if name or ":" in item:
            if not hasattr(module, name):
                raise TftraceError(f"--custom {item}: {module_name} has no {name}")
            objects[name] = getattr(module, name)
        else:
            objects.update({k: v for k, v in vars(module).items() if isclass(v) or isfunction(v)})
    # A file knows a lambda by that name only.
    unnamed = {id(v): v for v in objects.values() if getattr(v, "__name__", "") == _LAMBDA}
    return objects | ({_LAMBDA: next(iter(unnamed.values()))} if len(unnamed) == 1 else {})


def _explain(
    path: Path, error: Exception, custom: Sequence[str], keras: int, only_keras_3: bool
) -> str:
    """The cause first, then what to do about it."""
    text = " ".join(str(error).split())
    if "No model config found" in text or "No model found" in text:
        return (
            f"{path} holds weights only; name what builds the model with --model-module "
            "module:function, or save the whole model with model.save(...)"
        )
    unknown = _UNKNOWN_OBJECT.search(text)
    if unknown is not None and "{'value': [" in unknown[0]:
        return (
            f"{path} holds a lambda as an activation, which Keras 3 writes as bytecode and does "
            f"not read; {_WEIGHTS_TAKEN}"
        )
    if unknown is not None and _LAMBDA in unknown[0]:
        return (
            f"{path}: {unknown[0]}; name a module with that one lambda, under any name, "
            "with --custom MODULE"
        )
    if unknown is not None:
        remedy = (
            f"{' and '.join(custom)} does not define it"
            if custom
            else "name the module that defines it with --custom MODULE"
        )
        return f"{path}: {unknown[0]}; {remedy}"
    version = _saved_by(path)
    if version is not None and version.startswith("1."):
        return f"{path} was saved by Keras {version}, which no later one loads; {_WEIGHTS_TAKEN}"
    dropped = _DROPPED_ARGUMENT.search(text)
    if dropped is not None and keras == 3:
        return f"{path}: Keras 3 has no {dropped[2]} of {dropped[1]}, which Keras 2 has; " + (
            _WEIGHTS_TAKEN if only_keras_3 else "run the model as Keras 2 does, with --keras 2"
        )
    if "TFSMLayer" in text and "safe" in text:
        return (
            f"{path} holds a TFSMLayer, which runs the SavedModel that the file names; if you "
            "trust both, add --unsafe"
        )
    if "unsafe" in text.lower() or "safe_mode" in text:
        return f"{path} holds Python code (a Lambda); if you trust the file, add --unsafe"
    if "truncated" in text or "unable to open file" in text.lower():
        return f"{path} is truncated or damaged"
    if version is not None and version.partition(".")[0] != str(keras):
        remedy = "add --keras 2" if keras == 3 else "leave --keras 2 away"
        remedy = _WEIGHTS_TAKEN if only_keras_3 else remedy
        return f"{path} was saved by Keras {version}, and Keras {keras} does not load it; {remedy}"
    return f"{path} does not load: {text[:300]}"


def _saved_by(path: Path) -> str | None:
    """The version of Keras that wrote the file; None where it does not say, or is damaged."""
    import h5py

    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                told = json.loads(archive.read("metadata.json"))
        else:
            with h5py.File(path) as file:
                told = dict(file.attrs)
    except (OSError, ValueError, KeyError, RecursionError, zipfile.BadZipFile, zlib.error):
        return None
    version = told.get("keras_version") if isinstance(told, dict) else None
    return version if isinstance(version, str) else None
