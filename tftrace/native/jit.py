"""Compile the inner loops once per user, and load them afterwards without numba.

Importing numba and reviving its own cache costs half a second and 100 MB in every process, more
than reading most traces (docs/native.md has the figures). So numba is imported only to compile:
what it made of a module of loops is kept as one object file, and loaded with llvmlite alone.

A loop is a function whose annotations are the types of `language`, that allocates nothing and
raises nothing (dividing may raise). It is called with NumPy arrays and integers, and runs without
the interpreter lock.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

from tftrace import cache
from tftrace.native.key import key_of
from tftrace.native.language import ITEMS

log = logging.getLogger("tftrace")

_FOLDER = "loops"
_GENERATIONS = 4  # of a module's code that are kept: for several Pythons or machines at one home
_DIGEST = 32


class loop:
    """Compile the function, when its module is first used; `function` is the original.

    Calling it raises TypeError for arrays of another type or layout than the annotations say, since
    the compiled loop would read them wrongly; it does not check bounds.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self._items = [ITEMS.get(kind) for kind in _parameters(function)]
        self._entry: Any = None

    def __call__(self, *arguments: Any) -> int:
        """Call the compiled function; arrays must be contiguous and of the annotated type."""
        if self._entry is None:
            self._entry = self._find()
        if len(arguments) != len(self._items):
            raise TypeError(f"{self.function.__name__} takes {len(self._items)} arguments")
        result, exception = ctypes.c_int64(), ctypes.c_void_p()
        status = self._entry(
            ctypes.byref(result), ctypes.byref(exception), *map(_argument, arguments, self._items)
        )
        if status:
            raise RuntimeError(f"{self.function.__name__} failed")
        return result.value

    def _find(self) -> Any:
        address = _addresses(self.function.__module__)[self.function.__name__]
        kinds = [ctypes.c_void_p if item else ctypes.c_int64 for item in self._items]
        return ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *kinds)(address)


def _parameters(function: Callable[..., Any]) -> list[str]:
    kinds = dict(function.__annotations__)  # strings: loops' modules postpone evaluation
    del kinds["return"]
    return [str(kind) for kind in kinds.values()]


def _argument(value: Any, item: str | None) -> int:
    if item is None:
        return int(value)
    if value.dtype != item or not value.flags.c_contiguous:
        raise TypeError(f"a contiguous array of {item} is needed, not of {value.dtype}")
    return int(value.__array_interface__["data"][0])


# --- Compiling, keeping, loading -----------------------------------------------------------------

_lock = threading.Lock()
_loaded: dict[str, dict[str, int]] = {}
_engines: list[Any] = []  # code lives as long as its engine


def _addresses(module: str) -> dict[str, int]:
    """The address of every loop of a module."""
    with _lock:
        if module not in _loaded:
            members = vars(sys.modules[module]).items()
            functions = {name: own.function for name, own in members if isinstance(own, loop)}
            file = f"{_FOLDER}/{module}-{key_of(functions)}.o"
            code = _kept(file) or _compile(module, functions, file)
            _loaded[module] = _link(code, list(functions))
        return _loaded[module]


def _kept(file: str) -> bytes | None:
    """The object code in the cache; None if it is not there, damaged, or may be somebody else's."""
    try:
        content = cache.read_kept(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        cache.warn_once(f"compiled loops are not loaded: {error}")
        return None
    digest, code = content[:_DIGEST], content[_DIGEST:]
    if hashlib.sha256(code).digest() != digest:
        return None
    cache.mark_used(file)
    return code


def _compile(module: str, functions: dict[str, Callable[..., Any]], file: str) -> bytes:
    _announce()
    from tftrace.native.compile import compile_loops

    code, alone = compile_loops(functions, _target_machine())
    if alone:
        try:
            cache.keep(file, hashlib.sha256(code).digest() + code)
            cache.throw_away_old(_FOLDER, f"{module}-", _GENERATIONS)
        except OSError as error:
            cache.warn_once(f"compiled loops are not kept, only for this process: {error}")
    return code


@functools.cache
def _announce() -> None:
    log.info("compiling its readers for this machine, once (some 10 s)")


def _link(code: bytes, names: list[str]) -> dict[str, int]:
    import llvmlite.binding as llvm

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    return {name: engine.get_function_address(name) for name in names}


def _target_machine() -> Any:
    """A new one for each use: an engine takes its target machine along when it goes."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3
    )
