"""Arrays that end where memory does: what reads or writes one byte beyond dies at once."""

from __future__ import annotations

import ctypes
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


def guarded_numpy() -> Any:
    """NumPy, but that `empty` and `zeros` make guarded arrays; for a module's `np`."""

    def empty(shape: Any, dtype: Any = float) -> np.ndarray:
        count = int(np.prod(shape))
        return guarded(count * np.dtype(dtype).itemsize).view(dtype).reshape(shape)

    # Fresh pages are zeros.
    return SimpleNamespace(**{**vars(np), "empty": empty, "zeros": empty})
