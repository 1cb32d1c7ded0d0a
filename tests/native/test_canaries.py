"""What the compiler needs of numba and llvmlite beyond their documented API, one test each."""

from __future__ import annotations

import ctypes
import re

import llvmlite.binding as llvm
import numba
import pytest
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tftrace.native.compile import _without
from tftrace.native.jit import _target_machine


def half(x):
    return x // 2


@pytest.fixture(scope="module")
def compiled():
    return numba.cfunc(types.int64(types.int64))(half)


def test_a_cfunc_tells_its_llvm_code_and_the_name_of_its_wrapper(compiled):
    assert compiled.native_name.startswith("cfunc.")
    assert f"@{compiled.native_name}(" in compiled.inspect_llvm()


def test_behind_the_wrapper_is_a_function_of_numbas_calling_convention(compiled):
    # int32 status, pointer to the result, pointer to the exception, arguments
    module = llvm.parse_assembly(compiled.inspect_llvm())
    behind = module.get_function(compiled.native_name.removeprefix("cfunc."))
    kinds = [str(argument.type) for argument in behind.arguments]
    assert len(kinds) == 3
    assert all(kind == "ptr" or kind.endswith("*") for kind in kinds[:2])
    assert kinds[2] == "i64"
    assert re.search(rf"^define [^@\n]*\bi32 @{re.escape(behind.name)}\(", str(module), re.M)


def test_without_its_wrapper_the_code_is_whole_and_runs(compiled):
    module = llvm.parse_assembly(_without(compiled.native_name, compiled.inspect_llvm()))
    module.verify()
    name = compiled.native_name.removeprefix("cfunc.")
    code = _target_machine().emit_object(module)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    kind = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    result, exception = ctypes.c_int64(), ctypes.c_void_p()
    run = kind(engine.get_function_address(name))
    assert run(ctypes.byref(result), ctypes.byref(exception), 42) == 0
    assert result.value == 21


def test_modules_link_into_one():
    linked = llvm.parse_assembly("")
    for name in ("one", "two"):
        linked.link_in(llvm.parse_assembly(f"define i32 @{name}() {{ ret i32 1 }}"))
    assert {function.name for function in linked.functions} == {"one", "two"}


def test_a_function_can_be_renamed():
    module = llvm.parse_assembly("define i32 @old() { ret i32 1 }")
    module.get_function("old").name = "new"
    assert "@new(" in str(module)


def test_helpers_are_inlined_whatever_their_size(compiled):
    helper = numba.njit(forceinline=True)(half)

    def caller(x):
        return helper(x) + 1

    code = numba.cfunc(types.int64(types.int64))(caller).inspect_llvm()
    assert not re.search(r"call [^\n]*half", code)


def test_an_intrinsic_may_return_what_it_builds():
    @intrinsic
    def answer(typingctx):
        return types.int64(), lambda context, builder, signature, args: ir.Constant(
            ir.IntType(64), 42
        )

    def ask():
        return answer()

    assert numba.cfunc(types.int64())(ask).ctypes() == 42


def test_the_host_is_named_with_its_features():
    assert llvm.get_host_cpu_name()
    assert re.fullmatch(r"([+-][\w.-]+,?)*", llvm.get_host_cpu_features().flatten())
