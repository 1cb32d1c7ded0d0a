"""The key of compiled code: one hash over all that it was made of.

Taken from the functions and constants in memory, not from the files they came from: an upgrade of
the package under a running process changes the files, and not what is compiled.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from tftrace.native.language import is_inlined, load_word, trailing_zeros

_PRIMITIVES = (load_word, trailing_zeros)
_PLAIN = (bool, int, float, str, bytes, type(None))


def key_of(functions: Mapping[str, Callable[..., Any]]) -> str:
    """The key of the object file that is compiled from these functions, on this machine.

    Raises:
        TypeError: a function uses something whose value cannot be put into a key.
    """
    digest = hashlib.sha256()
    for part in (*_compiler(), *ingredients(functions.values())):
        digest.update(f"{len(part)}:{part}\n".encode())
    return digest.hexdigest()[:24]


def ingredients(functions: Any) -> Iterator[str]:
    """Every function and constant that the functions use, whichever module it is of, once each."""
    waiting, seen = list(functions), set()
    while waiting:
        function = waiting.pop(0)
        if function in seen:
            continue
        seen.add(function)
        if function.__closure__:
            raise TypeError(f"{function.__qualname__} refers to variables of a function around it")
        yield (
            f"{function.__module__}.{function.__qualname__} {dict(function.__annotations__)} "
            f"{function.__defaults__} {function.__kwdefaults__} {_code(function.__code__)}"
        )
        for name in sorted(_names(function.__code__) & function.__globals__.keys()):
            value = function.__globals__[name]
            if is_inlined(value):
                waiting.append(value)
                yield f"{name} is {value.__module__}.{value.__qualname__}"
            else:
                yield f"{name} = {_constant(name, value)}"


def _names(code: CodeType) -> set[str]:
    nested = (const for const in code.co_consts if isinstance(const, CodeType))
    return set(code.co_names).union(*map(_names, nested))


def _code(code: CodeType) -> str:
    """What a function does, without where it stands in its file."""
    constants = [
        _code(const) if isinstance(const, CodeType) else repr(const) for const in code.co_consts
    ]
    table = getattr(code, "co_exceptiontable", b"")
    return (
        f"{code.co_code.hex()} {table.hex()} {code.co_names} {code.co_varnames} "
        f"{code.co_argcount} {code.co_flags} {constants}"
    )


def _constant(name: str, value: object) -> str:
    if isinstance(value, _PLAIN):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, np.generic):
        return f"{value.dtype} {value.tobytes().hex()}"
    if isinstance(value, tuple):
        return f"({', '.join(_constant(name, item) for item in value)})"
    if value is np:  # its version is the compiler's
        return "numpy"
    if isinstance(value, FunctionType) and value in _PRIMITIVES:
        return f"primitive {value.__name__}"
    if isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields"):
        return f"{value.__qualname__}{value._fields} {value.__annotations__}"
    raise TypeError(f"a loop uses {name}, a {type(value).__name__}: that is no constant")


@functools.cache
def _compiler() -> tuple[str, ...]:
    """What compiles, and for which processor."""
    import llvmlite
    import llvmlite.binding as llvm

    return (
        Path(__file__).with_name("compile.py").read_text(encoding="utf-8"),
        f"numba {version('numba')}, llvmlite {llvmlite.__version__}, numpy {np.__version__}",
        f"Python {sys.version_info[:2]}",
        f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}",
    )
