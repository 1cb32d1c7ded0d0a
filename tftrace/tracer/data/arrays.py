"""One array of the data, whatever its kind: what Keras makes of it, its samples, its first ones.

Kinds: NumPy arrays and what NumPy reads as one, pandas objects, tensors (dense, ragged, sparse),
matrices of SciPy, None for an optional input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tftrace.errors import TftraceError
from tftrace.tracer.keras_model import dtype_name

_RAGGED_OR_SPARSE = tf.RaggedTensor | tf.SparseTensor


def as_fed(array: Any) -> Any:
    """The array as predict takes it: text as a tensor of strings, what is like an array as one.

    Raises:
        TftraceError: it is none, has no samples, or objects other than text.
    """
    if array is None or isinstance(array, _RAGGED_OR_SPARSE) or is_scipy(array):
        return array
    if isinstance(array, tf.Variable):
        array = tf.convert_to_tensor(array)
    if not tf.is_tensor(array):
        array = _as_numpy(array)
    if not array.shape:
        raise TftraceError("the data is a single number; give an array with samples first")
    if isinstance(array, np.ndarray) and array.dtype.kind in "OSU":
        return _as_text(array)
    return array


def is_scipy(array: Any) -> bool:
    """Whether it is a sparse matrix of SciPy, which nobody imports to find out."""
    return type(array).__module__.startswith("scipy.sparse") and hasattr(array, "tocsr")


def is_dense(array: Any) -> bool:
    """Whether batches can be gathered from it by index."""
    return not isinstance(array, tf.SparseTensor) and not is_scipy(array)


def count_of(array: Any) -> int:
    """Number of samples."""
    return int(array.shape[0])


def first_of(array: Any, count: int) -> Any:
    """The first ``count`` samples; of a dense array without copying."""
    if array is None:
        return None
    if isinstance(array, tf.SparseTensor):
        return tf.sparse.slice(array, [0] * array.shape.rank, [count, *array.shape[1:]])
    return (array.tocsr() if is_scipy(array) else array)[:count]


def spec_of(array: Any) -> Any:
    """The TypeSpec of the array once Keras has made it a tensor; None for None."""
    if array is None:
        return None
    if isinstance(array, _RAGGED_OR_SPARSE):
        return tf.type_spec_from_value(array)
    dtype = tf.as_dtype(array.dtype)
    # Keras feeds every floating-point array as its own default type.
    dtype = tf.as_dtype(keras.config.floatx()) if dtype.is_floating else dtype
    kind = tf.SparseTensorSpec if is_scipy(array) else tf.TensorSpec
    return kind(array.shape, dtype)


def check_array(name: str, declared: Any, array: Any) -> None:
    """Whether the array fits an input of the model, by what Keras would make of it.

    Keras adds or drops a last dimension of 1, and converts numbers of any type to the input's.

    Raises:
        TftraceError: wrong rank, shape or type.
    """
    wanted, got = tuple(declared.shape), tuple(array.shape)
    if got[-1:] == (1,) and len(got) == len(wanted) + 1:
        got = got[:-1]
    elif wanted[-1:] == (1,) and len(got) == len(wanted) - 1:
        got = (*got, 1)
    if wanted and wanted[0] is not None and got and got[0] % wanted[0]:
        raise TftraceError(
            f"input {name} takes batches of exactly {wanted[0]} samples; "
            f"the data has {got[0]}, no multiple of it"
        )
    if len(got) != len(wanted):
        raise TftraceError(
            f"input {name} wants {len(wanted)} dimensions {_show(wanted)}, "
            f"the data has {len(got)} {_show(got)}"
        )
    pairs = zip(wanted[1:], got[1:], strict=True)
    if any(None not in (w, g) and w != g for w, g in pairs):
        raise TftraceError(f"input {name} wants shape {_show(wanted)}, the data has {_show(got)}")
    dtype = dtype_name(declared)
    if (_is_text(array.dtype) != (dtype == "string")) or not _is_known(array.dtype):
        raise TftraceError(
            f"input {name} wants {dtype}, the data has {getattr(array.dtype, 'name', array.dtype)}"
            + ("" if dtype == "string" else f"; convert it first: data.astype('{dtype}')")
        )


def _as_numpy(array: Any) -> np.ndarray:
    if type(array).__module__.startswith("pandas"):
        values = array.to_numpy()
        # As Keras does: a column, not a vector.
        return np.expand_dims(values, -1) if values.ndim == 1 else values
    if isinstance(array, np.ndarray | np.generic):
        return np.asanyarray(array)
    if hasattr(array, "__array__"):
        return np.asarray(array)
    kind = f"{type(array).__module__}.{type(array).__name__}"
    raise TftraceError(f"the data is a {kind}; give arrays, a list or a mapping of arrays")


def _as_text(array: np.ndarray) -> Any:
    if array.dtype == object and not all(isinstance(e, str | bytes) for e in array.flat):
        raise TftraceError(
            "the data is an object array of other things than text; "
            "convert it to plain numbers first"
        )
    return tf.constant(array, tf.string)


def _is_text(dtype: Any) -> bool:
    return dtype == tf.string if isinstance(dtype, tf.DType) else False


def _is_known(dtype: Any) -> bool:
    """Whether Keras converts it to what an input wants: text, or real numbers of any type."""
    try:
        known = tf.as_dtype(dtype)
    except TypeError:
        return False
    return bool(known == tf.string or known.is_floating or known.is_integer or known.is_bool)


def _show(shape: Sequence[int | None]) -> str:
    return "(" + ", ".join("batch" if d is None else str(d) for d in shape) + ")"
