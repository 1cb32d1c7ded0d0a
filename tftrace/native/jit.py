"""Compile the inner loops once per user, and load them afterwards without numba.

Importing numba and reviving its own cache costs half a second and 100 MB in every process, more
than reading most traces. So numba is imported only to compile: what it made of a module of kernels
is kept as one object file, and loaded with llvmlite alone (some 30 ms).

A kernel is a function whose annotations are the types below, that allocates nothing and raises
nothing (dividing may raise). It is called with NumPy arrays and integers, and runs without the
interpreter lock.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
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

_sources: dict[str, bytes] = {}
_ITEMS = {
    "Bytes": "uint8",
    "Int8s": "int8",
    "Int32s": "int32",
    "Int64s": "int64",
    "Float64s": "float64",
}


def inlined(function: Callable[..., Any]) -> Any:
    """Mark a function as a part of the kernels of its module."""
    _remember_source(function)
    function.__dict__["inlined"] = True
    return function


def is_inlined(value: object) -> bool:
    """Whether a member of a module is a function that was marked so."""
    return isinstance(value, FunctionType) and "inlined" in value.__dict__


def load_word(data: Bytes, position: Int) -> Int:
    """In kernels: the eight bytes at `data[position]` as a little-endian uint64, any alignment."""
    raise NotImplementedError("only in compiled code")


def trailing_zeros(word: Int) -> Int:
    """In kernels: the number of zero bits below the lowest set bit of a uint64 that is not 0."""
    raise NotImplementedError("only in compiled code")


class kernel:
    """Compile the function, when its module is first used; `function` is the original.

    Calling it raises TypeError for arrays of another type or layout than the annotations say, since
    the compiled loop would read them wrongly; it does not check bounds.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        _remember_source(function)
        self.function = function
        self._items = [_ITEMS.get(kind) for kind in _parameters(function)]
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
    kinds = dict(function.__annotations__)  # strings: kernels' modules postpone evaluation
    del kinds["return"]
    return [str(kind) for kind in kinds.values()]


def _argument(value: Any, item: str | None) -> int:
    if item is None:
        return int(value)
    if value.dtype != item or not value.flags.c_contiguous:
        raise TypeError(f"a contiguous array of {item} is needed, not of {value.dtype}")
    return int(value.__array_interface__["data"][0])


# --- Compiling, keeping, loading -----------------------------------------------------------------


def announce_on_stderr() -> None:
    """The default announcement of a first compilation."""
    print("tftrace: compiling its readers for this machine, once (some 10 s)", file=sys.stderr)


_announce: Callable[[], None] | None = announce_on_stderr
_lock = threading.Lock()
_loaded: dict[str, dict[str, int]] = {}
_engines: list[Any] = []  # code lives as long as its engine
_DIGEST = 32


def on_first_compile(announce: Callable[[], None] | None) -> None:
    """Replace the announcement of the first compilation in a process (None: keep silent)."""
    global _announce
    _announce = announce


def cache_folder() -> Path:
    """Where compiled kernels are kept: `TFTRACE_CACHE_DIR`, or the user's cache folder."""
    if own := os.environ.get("TFTRACE_CACHE_DIR"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache") / "tftrace"


def _addresses(module: str) -> dict[str, int]:
    """The address of every kernel of a module."""
    with _lock:
        if module not in _loaded:
            _loaded[module] = _link(module, _kept(module) or _compile(module))
        return _loaded[module]


def _kept(module: str) -> bytes | None:
    """The object code in the cache; None if it is not there, or damaged."""
    try:
        content = _cache_file(module).read_bytes()
    except (OSError, RuntimeError):  # RuntimeError: there is no home folder
        return None
    digest, code = content[:_DIGEST], content[_DIGEST:]
    return code if hashlib.sha256(code).digest() == digest else None


def _link(module: str, code: bytes) -> dict[str, int]:
    import llvmlite.binding as llvm

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    return {name: engine.get_function_address(name) for name in _kernels(module)}


def _compile(module: str) -> bytes:
    global _announce
    if _announce is not None:
        announce, _announce = _announce, None
        announce()
    from tftrace.native.compile import compile_kernels

    functions = {name: own.function for name, own in _kernels(module).items()}
    code, alone = compile_kernels(functions, _target_machine())
    if alone:
        with contextlib.suppress(OSError, RuntimeError):  # not kept: compiled anew next time
            _keep(_cache_file(module), hashlib.sha256(code).digest() + code)
    return code


def _kernels(module: str) -> dict[str, kernel]:
    members = vars(sys.modules[module])
    return {name: value for name, value in members.items() if isinstance(value, kernel)}


def _cache_file(module: str) -> Path:
    """Named after all that the code depends on."""
    members = vars(sys.modules[module]).values()
    helpers = {value.__module__ for value in members if is_inlined(value)}
    ingredients = [_sources[name] for name in (module, *sorted(helpers - {module}))]
    key = hashlib.sha256(b"\0".join([*ingredients, *_compiler()])).hexdigest()[:24]
    return cache_folder() / "kernels" / f"{module}-{key}.o"


@functools.cache
def _compiler() -> tuple[bytes, ...]:
    """What compiles, and for which processor."""
    import llvmlite.binding as llvm

    return (
        Path(__file__).with_name("compile.py").read_bytes(),
        f"{version('numba')} {version('llvmlite')} {sys.version_info[:2]}".encode(),
        f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}".encode(),
    )


def _remember_source(function: Callable[..., Any]) -> None:
    """Note the source of the function's module while it is the one that was imported.

    An upgrade of the package under a running process must not file old code under the new source.
    """
    if function.__module__ not in _sources:
        _sources[function.__module__] = Path(function.__code__.co_filename).read_bytes()


def _keep(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    os.replace(file.name, path)


@functools.cache
def _target_machine() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3
    )
