"""Compile loops with numba to one object file. Imports numba: see `jit` for when that is."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from types import FunctionType
from typing import Any

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tftrace.native.language import is_inlined

_TYPES = {
    "Int": types.int64,
    "Bytes": types.CPointer(types.uint8),
    "Int8s": types.CPointer(types.int8),
    "Int32s": types.CPointer(types.int32),
    "Int64s": types.CPointer(types.int64),
    "Float64s": types.CPointer(types.float64),
}
# Functions of libc that the optimizer puts in the place of loops.
_LIBC = {"memcpy", "memmove", "memset"}


def compile_loops(loops: dict[str, Callable[..., Any]], machine: Any) -> tuple[bytes, bool]:
    """Compile the loops of one module: (object code, whether a process without numba can run it).

    A loop's symbol is its name, its C signature by numba's calling convention
    `int32 status(int64 *result, void **exception, arguments...)`. It needs numba's presence if it
    allocates or raises.
    Arrays become bare pointers: numba counts references to an array around every call that it is
    passed to, which costs more than decoding a varint.
    """
    linked = llvm.parse_assembly("")
    alone = True
    for name, function in loops.items():
        compiled = numba.cfunc(_signature(function))(_with_helpers(function))
        code = _without(compiled.native_name, compiled.inspect_llvm())
        alone = alone and not _foreign(code)
        module = llvm.parse_assembly(code)
        module.get_function(compiled.native_name.removeprefix("cfunc.")).name = name
        linked.link_in(module)
    return bytes(machine.emit_object(linked)), alone


def _without(name: str, code: str) -> str:
    """LLVM code without one function: the C wrapper that reports exceptions to Python."""
    return re.sub(rf"^define [^\n]*@{re.escape(name)}\(.*?^}}\n", "", code, flags=re.M | re.S)


def _foreign(code: str) -> set[str]:
    """The functions that LLVM code calls but does not define, but for those of libc."""
    declared = re.findall(r"^declare [^\n]*?@([\w.]+)\(", code, flags=re.M)
    return {
        name
        for name in declared
        if not name.startswith("llvm.")
        and name not in _LIBC
        and len(re.findall(rf"@{re.escape(name)}\b", code)) > 1
    }


def _signature(function: Callable[..., Any]) -> Any:
    kinds = dict(function.__annotations__)
    result = _TYPES[kinds.pop("return")]
    return result(*(_TYPES[kind] for kind in kinds.values()))


def _with_helpers(function: Any) -> FunctionType:
    """The function in a module whose `inlined` functions are compiled ones."""
    scope = _scope(function.__module__, function.__globals__)
    return FunctionType(function.__code__, scope, function.__name__)


_scopes: dict[str, dict[str, Any]] = {}


def _scope(module: str, members: dict[str, Any]) -> dict[str, Any]:
    """A copy of a module's globals with its helpers compiled; one copy for all that refer to it."""
    if module not in _scopes:
        scope = _scopes[module] = dict(members)
        for name, value in members.items():
            if is_inlined(value):
                scope[name] = _helper(value)
        scope.update(load_word=load_word, trailing_zeros=trailing_zeros)
    return _scopes[module]


@functools.cache
def _helper(function: FunctionType) -> Any:
    # numba looks at the helpers of a helper when it compiles: by then its module's copy is filled.
    return numba.njit(forceinline=True)(_with_helpers(function))


@intrinsic  # type: ignore[untyped-decorator]
def load_word(typingctx: Any, data: Any, position: Any) -> Any:
    """See `language.load_word`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = builder.gep(arguments[0], [arguments[1]])
        word = builder.load(builder.bitcast(address, ir.IntType(64).as_pointer()))
        word.align = 1
        return word

    return types.uint64(data, position), generate


@intrinsic  # type: ignore[untyped-decorator]
def trailing_zeros(typingctx: Any, word: Any) -> Any:
    """See `language.trailing_zeros`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate
