"""Compile the inner loops with numba, once per user, and say so the one time it takes long.

Importing this module imports numba (0.2 s): only modules of kernels do so, and they are imported
where they are first needed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import event
from numba.extending import intrinsic


def kernel(function: Callable[..., Any]) -> Any:
    """Compile `function` on first call, without the interpreter lock, and cache the result.

    The cache lies beside the module, in the user's cache folder if that is not writable, or in
    `NUMBA_CACHE_DIR`; if none can be written, each process compiles anew.
    """
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba: "no locator available": nowhere to cache
        return numba.njit(nogil=True)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile `function` as a part of the kernels that call it."""
    return numba.njit(nogil=True, forceinline=True)(function)


def announce_on_stderr() -> None:
    """The default announcement of a first compilation."""
    print("tftrace: compiling its readers for this machine, once (about 10 s)", file=sys.stderr)


class _CompileListener(event.Listener):  # type: ignore[misc]
    """Calls `announce` at the first compilation of one of this package's functions.

    numba triggers the event only when the cache had no answer.
    """

    def __init__(self) -> None:
        self.announce: Callable[[], None] | None = announce_on_stderr

    def on_start(self, event: Any) -> None:
        function = event.data["dispatcher"].py_func
        if self.announce is not None and function.__module__.startswith("tftrace."):
            announce, self.announce = self.announce, None
            announce()

    def on_end(self, event: Any) -> None:
        pass


_listener = _CompileListener()
event.register("numba:compile", _listener)


def on_first_compile(announce: Callable[[], None] | None) -> None:
    """Replace the announcement of the first compilation (None: keep silent)."""
    _listener.announce = announce


# Raw bytes. numba counts references to an array around every call of a function it is passed to,
# which costs more than decoding a varint; a bare pointer has no count.


@intrinsic  # type: ignore[untyped-decorator]
def pointer(typingctx: Any, array: Any) -> Any:
    """The address of a uint8 array's first element; the array must be kept alive."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(types.uint8)(array), generate


@intrinsic  # type: ignore[untyped-decorator]
def load_word(typingctx: Any, data: Any, position: Any) -> Any:
    """The eight bytes at `data + position` as a little-endian uint64; any alignment."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = builder.gep(arguments[0], [arguments[1]])
        word = builder.load(builder.bitcast(address, ir.IntType(64).as_pointer()))
        word.align = 1
        return word

    return types.uint64(data, position), generate


@intrinsic  # type: ignore[untyped-decorator]
def trailing_zeros(typingctx: Any, word: Any) -> Any:
    """The number of zero bits below the lowest set bit of a uint64 that is not 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate
