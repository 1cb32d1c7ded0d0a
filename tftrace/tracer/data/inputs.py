"""Data for the model: loaded without surprises, checked before anything runs."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tftrace.errors import TftraceError
from tftrace.tracer.data.arrays import as_fed, check_array, count_of, first_of
from tftrace.tracer.data.own_batches import OwnBatches, has_own_batches
from tftrace.tracer.keras_private import inputs_structure

_NPY, _ZIP = b"\x93NUMPY", b"PK"


def load_data(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    """The array of a ``.npy`` file (memory-mapped), or the arrays of a ``.npz`` by name.

    Raises:
        TftraceError: missing, empty, truncated, pickled, or not a NumPy file.
    """
    if not os.path.exists(path):
        raise TftraceError(f"no data file {path}")
    if os.path.isdir(path):
        raise TftraceError(f"{path} is a folder; give a .npy or .npz file")
    if path.stat().st_size == 0:
        raise TftraceError(f"{path} is empty (0 bytes)")
    with path.open("rb") as file:
        head = file.read(len(_NPY))
    # NumPy takes anything else for a pickle and complains about that.
    if head != _NPY and not head.startswith(_ZIP):
        raise TftraceError(f"{path} is not a .npy or .npz file; write it with np.save")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong is said below
            return _load(path)
    except Exception as error:
        # NumPy, zipfile and the tokenizer raise a dozen types here, all meaning: not whole.
        if "allow_pickle" in str(error) or "Python objects" in str(error):
            raise TftraceError(
                f"{path} holds Python objects; save plain numbers, "
                "np.save(f, a.astype('float32')), or text, np.save(f, a.astype('U'))"
            ) from error
        raise TftraceError(f"{path} is not a whole .npy or .npz file: {error}") from error


def _load(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{name} in it is no array")
    if not arrays:
        raise ValueError("there is no array in it")
    return arrays


def fit_inputs(model: Any, data: Any) -> Any:
    """``data`` in the structure that ``model.predict`` expects, after checking that it fits.

    Args:
        model: a Keras model; a subclassed one without declared inputs takes the data as it is.
        data: one array of any kind that Keras takes, a list in the model's order, a mapping by
            input name, or the model's own structure of lists and mappings; None for an optional
            input. Data in batches of its own (tf.data, PyDataset, generator) is left as it is.

    Raises:
        TftraceError: wrong count, name, rank, shape or dtype, unequal or zero samples.
    """
    if has_own_batches(data):
        return data
    data = as_given(data)
    _check_samples(tf.nest.flatten(data))
    declared = list(getattr(model, "inputs", None) or [])
    if not declared:
        return data
    structure = inputs_structure(model)
    if structure is not None and not _is_flat(structure):
        return _in_structure(model, structure, data)
    names = input_names(model)
    ordered = _in_order(data, names)
    _check_arrays(names, declared, ordered)
    if isinstance(structure, Mapping):
        # Keras orders a mapping's inputs by key, as tree.flatten does.
        return dict(zip(names, ordered, strict=True))
    return ordered[0] if len(ordered) == 1 else ordered


def as_given(data: Any) -> Any:
    """``data`` as predict takes it, in the structure that it has.

    Raises:
        TftraceError: as `as_fed`.
    """
    before = tf.nest.flatten(data)
    arrays = [as_fed(array) for array in before]
    same = all(new is old for new, old in zip(arrays, before, strict=True))
    return data if same else tf.nest.pack_sequence_as(data, arrays)


def input_names(model: Any) -> list[str]:
    """Names of the inputs in the model's order: its mapping's keys, else its input layers."""
    structure = inputs_structure(model)
    if isinstance(structure, Mapping) and _is_flat(structure):
        return sorted(structure)
    return [_bare(tensor.name) for tensor in model.inputs]


def samples_of(x: Any) -> int:
    """Number of samples: the length of the first array."""
    if isinstance(x, OwnBatches):
        return x.samples
    return next(count_of(array) for array in tf.nest.flatten(x) if array is not None)


def take(x: Any, count: int) -> Any:
    """The first ``count`` samples, in the same structure; of dense arrays without copying.

    Of data in batches of its own, the fewest batches that hold them.
    """
    if isinstance(x, OwnBatches):
        return x.first(count)
    return tf.nest.map_structure(lambda array: first_of(array, count), x)


def steps_of(x: Any, batch_size: int) -> int:
    """Number of batches."""
    return len(x.sizes) if isinstance(x, OwnBatches) else -(-samples_of(x) // batch_size)


def given(x: Any, batch_size: int) -> dict[str, Any]:
    """The arguments of predict that give it the data."""
    if isinstance(x, OwnBatches):
        return {"x": x.data, "steps": len(x.sizes)}
    return {"x": x, "batch_size": batch_size}


def _bare(name: str) -> str:
    return name.partition(":")[0]


def _is_flat(structure: Any) -> bool:
    """Whether it is one input, or a list or mapping of nothing but inputs."""
    parts = structure.values() if isinstance(structure, Mapping) else structure
    if not isinstance(structure, Mapping | list | tuple):
        return True
    return not any(isinstance(part, Mapping | list | tuple) for part in parts)


def _in_structure(model: Any, structure: Any, data: Any) -> Any:
    """Data for inputs in lists and mappings of lists and mappings: the same, or flat."""
    names = input_names(model)
    try:
        tf.nest.assert_same_structure(structure, data, check_types=False)
        ordered = tf.nest.flatten(data)
    except (ValueError, TypeError):
        if not _is_flat(data):
            raise TftraceError(
                f"the model's inputs ({', '.join(names)}) come in lists and mappings of its own; "
                "give the data in the same, in a list, or by the names of the inputs"
            ) from None
        ordered = _in_order(data, names)
    _check_arrays(names, model.inputs, ordered)
    return tf.nest.pack_sequence_as(structure, ordered)


def _in_order(data: Any, names: list[str]) -> list[Any]:
    if isinstance(data, Mapping):
        # np.savez(f, a, b) names its arrays arr_0, arr_1: an order, not names.
        positional = [f"arr_{i}" for i in range(len(data))]
        if set(data) == set(names):
            return [data[name] for name in names]
        if len(data) == len(names) and (len(names) == 1 or set(data) == set(positional)):
            keys = list(data) if len(names) == 1 else positional
            return [data[key] for key in keys]
        given = ", ".join(map(str, data)) or "none"
        raise TftraceError(f"the model's inputs are {', '.join(names)}; the data has {given}")
    arrays = list(data) if isinstance(data, list | tuple) else [data]
    if len(arrays) != len(names):
        raise TftraceError(
            f"the model has {len(names)} input{'s' if len(names) != 1 else ''} "
            f"({', '.join(names)}); the data has {len(arrays)}"
            + ("; save them by name with np.savez" if len(names) > 1 else "")
        )
    return arrays


def _check_samples(arrays: list[Any]) -> None:
    counts = {count_of(array) for array in arrays if array is not None}
    if not counts:
        raise TftraceError("the data holds no array")
    if len(counts) > 1:
        raise TftraceError(f"the inputs differ in their number of samples: {sorted(counts)}")
    if counts == {0}:
        raise TftraceError("the data has zero samples")


def _check_arrays(names: list[str], declared: list[Any], arrays: list[Any]) -> None:
    for name, tensor, array in zip(names, declared, arrays, strict=True):
        # Whether an input is optional, Keras checks itself.
        if array is not None:
            check_array(name, tensor, array)
