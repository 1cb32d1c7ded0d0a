"""Data for the model: loaded without surprises, checked before anything runs."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tftrace.errors import TftraceError
from tftrace.tracer.keras_model import dtype_name
from tftrace.tracer.keras_private import inputs_structure

_NPY, _ZIP = b"\x93NUMPY", b"PK"

Arrays = Mapping[str, np.ndarray] | Sequence[np.ndarray] | np.ndarray


def load_data(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    """The array of a ``.npy`` file (memory-mapped), or the arrays of a ``.npz`` by name.

    Raises:
        TftraceError: missing, empty, truncated, pickled, or not a NumPy file.
    """
    if not path.exists():
        raise TftraceError(f"no data file {path}")
    if path.is_dir():
        raise TftraceError(f"{path} is a folder; give a .npy or .npz file")
    if path.stat().st_size == 0:
        raise TftraceError(f"{path} is empty (0 bytes)")
    with path.open("rb") as file:
        head = file.read(len(_NPY))
    # NumPy takes anything else for a pickle and complains about that.
    if head != _NPY and not head.startswith(_ZIP):
        raise TftraceError(f"{path} is not a .npy or .npz file; write it with np.save")
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        if "allow_pickle" in str(error) or "Python objects" in str(error):
            raise TftraceError(
                f"{path} holds Python objects; save plain numbers: np.save(f, a.astype('float32'))"
            ) from error
        raise TftraceError(f"{path} is not a whole .npy or .npz file: {error}") from error


def fit_inputs(model: Any, data: Arrays) -> Any:
    """``data`` in the structure that ``model.predict`` expects, after checking that it fits.

    Args:
        model: a Keras model; a subclassed one without declared inputs takes the data as it is.
        data: one array, a list in the model's order, or a mapping by input name.

    Raises:
        TftraceError: wrong count, name, rank, shape or dtype, unequal or zero samples.
    """
    if not isinstance(data, np.ndarray | Mapping | list | tuple):
        kind = f"{type(data).__module__}.{type(data).__name__}"
        raise TftraceError(f"the data is a {kind}; give arrays, a list or a mapping of arrays")
    arrays = data if isinstance(data, np.ndarray) else _values(data)
    _check_samples([arrays] if isinstance(arrays, np.ndarray) else arrays)
    declared = list(getattr(model, "inputs", None) or [])
    if not declared:
        return data
    names = input_names(model)
    ordered = _in_order(data, names)
    for name, tensor, array in zip(names, declared, ordered, strict=True):
        _check_array(name, tuple(tensor.shape), dtype_name(tensor), array)
    structure = inputs_structure(model)
    if isinstance(structure, Mapping):
        # Keras orders a mapping's inputs by key, as tree.flatten does.
        return dict(zip(names, ordered, strict=True))
    return ordered[0] if len(ordered) == 1 else ordered


def input_names(model: Any) -> list[str]:
    """Names of the inputs in the model's order: its mapping's keys, else its input layers."""
    structure = inputs_structure(model)
    if isinstance(structure, Mapping):
        return sorted(structure)
    return [_bare(tensor.name) for tensor in model.inputs]


def samples_of(x: Any) -> int:
    """Number of samples: the length of the first array."""
    return len(_values(x)[0])


def take(x: Any, count: int) -> Any:
    """The first ``count`` samples, in the same structure, without copying."""
    if isinstance(x, Mapping):
        return {name: array[:count] for name, array in x.items()}
    if isinstance(x, list | tuple):
        return type(x)(array[:count] for array in x)
    return x[:count]


def _bare(name: str) -> str:
    return name.partition(":")[0]


def _values(data: Any) -> list[np.ndarray]:
    if isinstance(data, Mapping):
        return [np.asanyarray(a) for a in data.values()]
    if isinstance(data, list | tuple):
        return [np.asanyarray(a) for a in data]
    return [data]


def _in_order(data: Arrays, names: list[str]) -> list[np.ndarray]:
    if isinstance(data, Mapping):
        # np.savez(f, a, b) names its arrays arr_0, arr_1: an order, not names.
        positional = [f"arr_{i}" for i in range(len(data))]
        if set(data) == set(names):
            return [np.asanyarray(data[name]) for name in names]
        if len(data) == len(names) and (len(names) == 1 or set(data) == set(positional)):
            keys = list(data) if len(names) == 1 else positional
            return [np.asanyarray(data[key]) for key in keys]
        raise TftraceError(
            f"the model's inputs are {', '.join(names)}; the data has {', '.join(data) or 'none'}"
        )
    arrays = _values(data)
    if len(arrays) != len(names):
        raise TftraceError(
            f"the model has {len(names)} input{'s' if len(names) != 1 else ''} "
            f"({', '.join(names)}); the data has {len(arrays)}"
            + ("; save them by name with np.savez" if len(names) > 1 else "")
        )
    return arrays


def _check_samples(arrays: Sequence[np.ndarray]) -> None:
    if not arrays:
        raise TftraceError("the data holds no array")
    for array in arrays:
        if array.dtype == object:
            raise TftraceError("the data is an object array; convert it to plain numbers first")
        if array.ndim == 0:
            raise TftraceError("the data is a single number; give an array with samples first")
    counts = {len(array) for array in arrays}
    if len(counts) > 1:
        raise TftraceError(f"the inputs differ in their number of samples: {sorted(counts)}")
    if counts == {0}:
        raise TftraceError("the data has zero samples")


def _check_array(name: str, shape: tuple[int | None, ...], dtype: str, array: np.ndarray) -> None:
    if array.ndim != len(shape):
        raise TftraceError(
            f"input {name} wants {len(shape)} dimensions {_show(shape)}, "
            f"the data has {array.ndim} {_show(array.shape)}"
        )
    wrong = [w for w, got in zip(shape[1:], array.shape[1:], strict=True) if w not in (None, got)]
    if wrong:
        raise TftraceError(
            f"input {name} wants shape {_show(shape)}, the data has {_show(array.shape)}"
        )
    numeric = array.dtype.kind in "biuf"
    if dtype == "string":
        fits = array.dtype.kind in "SU"
    elif dtype.startswith(("int", "uint")):
        fits = array.dtype.kind in "biu"
    else:
        fits = numeric
    if not fits:
        raise TftraceError(
            f"input {name} wants {dtype}, the data has {array.dtype}; "
            f"convert it first: data.astype('{dtype}')"
        )


def _show(shape: Sequence[int | None]) -> str:
    return "(" + ", ".join("batch" if d is None else str(d) for d in shape) + ")"
