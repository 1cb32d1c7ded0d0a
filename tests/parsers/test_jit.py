"""Compilation is announced once, and cached where it can be."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from tftrace.parsers import jit

READ = (
    "from tftrace.parsers import read_trace; trace = read_trace(b'\\x0a\\x04\\x1a\\x02\\x22\\x00');"
    "print(len(trace.events))"
)


def run(script, cache):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    return subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )


def test_the_first_compilation_is_announced_and_cached(tmp_path):
    first = run(READ, tmp_path)
    assert first.stdout == "1\n"
    assert first.stderr.count("compiling") == 1
    assert list(tmp_path.rglob("kernels.read_events*.nbi"))
    second = run(READ, tmp_path)
    assert second.stdout == "1\n"
    assert second.stderr == ""


def test_the_announcement_can_be_replaced(tmp_path):
    script = (
        "from tftrace.parsers import jit; jit.on_first_compile(lambda: print('once'));"
        "double = jit.kernel(lambda x: 2 * x); double.py_func.__module__ = 'tftrace.x';"
        "print(double(2), double(2.5))"
    )
    assert run(script, tmp_path).stdout == "once\n4 5.0\n"


def test_without_a_place_for_the_cache_functions_are_compiled_all_the_same(monkeypatch):
    njit = numba.njit

    def nowhere(*functions, **options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(*functions, **options)

    with monkeypatch.context() as patched:
        patched.setattr(numba, "njit", nowhere)
        add = jit.kernel(lambda a, b: a + b)
    assert add(2, 3) == 5


def test_importing_the_readers_does_not_import_numba():
    script = "import sys, tftrace.parsers, tftrace.parsers.op_table, tftrace.attribution.intervals"
    subprocess.run(
        [sys.executable, "-c", script + "; assert 'numba' not in sys.modules"], check=True
    )


@pytest.mark.parametrize("position", [0, 3, 8])
def test_words_are_read_at_any_alignment(position):
    @numba.njit
    def word(data, position):
        return jit.load_word(jit.pointer(data), position)

    data = np.arange(16, dtype=np.uint8)
    expected = int.from_bytes(bytes(range(position, position + 8)), "little")
    assert int(word(data, position)) == expected
