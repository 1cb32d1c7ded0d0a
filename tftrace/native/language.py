"""What a loop is written in: the types of its arguments, and what only compiled code can do."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Int: TypeAlias = int
Bytes: TypeAlias = npt.NDArray[np.uint8]
Int8s: TypeAlias = npt.NDArray[np.int8]
Int32s: TypeAlias = npt.NDArray[np.int32]
Int64s: TypeAlias = npt.NDArray[np.int64]
Float64s: TypeAlias = npt.NDArray[np.float64]

ITEMS = {
    "Bytes": "uint8",
    "Int8s": "int8",
    "Int32s": "int32",
    "Int64s": "int64",
    "Float64s": "float64",
}
"""The item of every array type; the type that is not here, `Int`, is an int64."""


def inlined(function: Callable[..., Any]) -> Any:
    """Mark a function as a part of the loops that call it."""
    function.__dict__["inlined"] = True
    return function


def is_inlined(value: object) -> bool:
    """Whether a member of a module is a function that was marked so."""
    return isinstance(value, FunctionType) and "inlined" in value.__dict__


def load_word(data: Bytes, position: Int) -> Int:
    """In loops: the eight bytes at `data[position]` as a little-endian uint64, any alignment."""
    raise NotImplementedError("only in compiled code")


def trailing_zeros(word: Int) -> Int:
    """In loops: the number of zero bits below the lowest set bit of a uint64 that is not 0."""
    raise NotImplementedError("only in compiled code")
