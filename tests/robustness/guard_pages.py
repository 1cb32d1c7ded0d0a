"""Arrays that end where memory does: what reads or writes one byte beyond dies at once."""

from __future__ import annotations

import ctypes
import math
import mmap
from types import SimpleNamespace
from typing import Any

import numpy as np

PAGE = mmap.PAGESIZE
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_PROT_NONE = 0


def guarded(size: int) -> np.ndarray:
    """So many bytes, with a page that nobody may touch before and behind."""
    room = -(-max(size, 1) // PAGE) * PAGE
    memory = mmap.mmap(-1, room + 2 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    whole = np.frombuffer(memory, np.uint8)
    address = whole.ctypes.data
    for page in (address, address + PAGE + room):
        if _libc.mprotect(page, PAGE, _PROT_NONE):
            raise OSError(ctypes.get_errno(), "mprotect")
    return whole[PAGE + room - size : PAGE + room]


class Arena:
    """A NumPy for a module, whose `empty` and `zeros` make guarded arrays.

    They are used again after `reset`, when nothing may refer to them any more: mapping pages for
    every array would take most of the time.
    """

    def __init__(self) -> None:
        self._rooms: dict[int, list[np.ndarray]] = {}
        self._used: dict[int, int] = {}
        self.numpy: Any = SimpleNamespace(
            **{**vars(np), "empty": self._empty, "zeros": self._zeros}
        )

    def reset(self) -> None:
        self._used.clear()

    def _empty(self, shape: Any, dtype: Any = float) -> np.ndarray:
        kind = np.dtype(dtype)
        size = math.prod(shape if isinstance(shape, tuple) else (shape,)) * kind.itemsize
        room = -(-max(size, 1) // PAGE) * PAGE
        known, number = self._rooms.setdefault(room, []), self._used.get(room, 0)
        if number == len(known):
            known.append(guarded(room))
        self._used[room] = number + 1
        return known[number][room - size :].view(kind).reshape(shape)

    def _zeros(self, shape: Any, dtype: Any = float) -> np.ndarray:
        array = self._empty(shape, dtype)
        array.fill(0)
        return array
