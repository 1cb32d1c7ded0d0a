"""Kernels are compiled once per user, announced once, and loaded without numba afterwards."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tftrace.native import jit
from tftrace.native.jit import Bytes, Int, Int64s, inlined, kernel, load_word, trailing_zeros

MODULE = """
from __future__ import annotations
from tftrace.native.jit import Int, kernel
from smaller import twice

@kernel
def double(x: Int) -> Int:
    return twice(x)
"""
HELPER = """
from tftrace.native.jit import inlined
FACTOR = 2

@inlined
def twice(x):
    return FACTOR * x
"""
CALL = "import sys, small; print(small.double(21), 'numba' in sys.modules)"


@pytest.fixture
def run(tmp_path):
    """Run a script that may import `small`, a module of one kernel, with a cache of its own."""
    (tmp_path / "small.py").write_text(MODULE)
    (tmp_path / "smaller.py").write_text(HELPER)

    def run(script, cache):
        environment = {**os.environ, "TFTRACE_CACHE_DIR": str(cache)}
        environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), str(Path.cwd())])
        return subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )

    return run


def test_compiled_once_announced_once_then_loaded_without_numba(run, tmp_path):
    first = run(CALL, tmp_path)
    assert first.stdout == "42 True\n"
    assert first.stderr.count("compiling") == 1
    second = run(CALL, tmp_path)
    assert (second.stdout, second.stderr) == ("42 False\n", "")


def test_a_damaged_cache_is_made_anew(run, tmp_path):
    run(CALL, tmp_path)
    (kept,) = (tmp_path / "kernels").iterdir()
    whole = kept.read_bytes()
    damaged = bytearray(whole)
    damaged[len(damaged) // 2] ^= 1
    kept.write_bytes(damaged)
    assert run(CALL, tmp_path).stdout == "42 True\n"
    assert run(CALL, tmp_path).stdout == "42 False\n"


@pytest.mark.parametrize(
    ("file", "content", "result"),
    [
        ("small.py", MODULE.replace("twice(x)", "twice(x) + 1"), 43),
        ("smaller.py", HELPER.replace("FACTOR = 2", "FACTOR = 3"), 63),
    ],
)
def test_changed_code_is_compiled_anew(run, tmp_path, file, content, result):
    run(CALL, tmp_path)
    (tmp_path / file).write_text(content)
    assert run(CALL, tmp_path).stdout == f"{result} True\n"


def test_the_announcement_can_be_replaced(run, tmp_path):
    silent = f"from tftrace.native import jit; jit.on_first_compile(None); {CALL}"
    assert run(silent, tmp_path).stderr == ""


def test_without_a_place_for_the_cache_everything_works(run, tmp_path):
    blocked = tmp_path / "a file"
    blocked.touch()
    assert run(CALL, blocked).stdout == "42 True\n"


def test_importing_the_readers_imports_no_compiler():
    script = (
        "import sys, tftrace.native.loops.events, tftrace.parsers.op_table,"
        "tftrace.timeline.intervals; assert not {'numba', 'llvmlite'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@inlined
def _lowest(data, position):
    return trailing_zeros(load_word(data, position))


@kernel
def lowest_bit(data: "Bytes", position: "Int") -> "Int":
    """The number of the lowest bit set at or behind a byte."""
    return _lowest(data, position)


@kernel
def reverse(n: "Int", values: "Int64s") -> "Int":
    """Reverse in place, by way of a copy: this needs numba's memory manager."""
    copy = np.empty(n, np.int64)
    for i in range(n):
        copy[i] = values[i]
    for i in range(n):
        values[i] = copy[n - 1 - i]
    return n


@pytest.mark.parametrize("position", [0, 1, 5, 7])
def test_helpers_and_words_at_any_alignment(position):
    data = np.zeros(16, np.uint8)
    data[7] = 0b100
    assert lowest_bit(data, position) == 8 * (7 - position) + 2


@kernel
def divide(a: "Int", b: "Int") -> "Int":
    """Raises in compiled code."""
    return a // b


def test_an_exception_in_a_kernel_is_not_lost():
    assert divide(7, 2) == 3
    with pytest.raises(RuntimeError, match="divide failed"):
        divide(7, 0)


def test_kernels_that_cannot_be_kept_work_in_the_process_that_compiled_them():
    values = np.arange(5)
    assert reverse(5, values) == 5
    assert values.tolist() == [4, 3, 2, 1, 0]
    assert jit._kept(__name__) is None


@pytest.mark.parametrize(
    "arguments",
    [
        (np.zeros(9, np.int8), 0),
        (np.zeros(18, np.uint8)[::2], 0),
        (np.zeros(9, np.uint8),),
    ],
    ids=["another type", "not contiguous", "too few"],
)
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(TypeError):
        lowest_bit(*arguments)
