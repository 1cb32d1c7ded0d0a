"""Loops are compiled once per user, announced once, and loaded without numba afterwards."""

import importlib
import os
import pkgutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tftrace import cache
from tftrace.native.jit import loop
from tftrace.native.key import key_of
from tftrace.native.language import Bytes, Int, Int64s, inlined, load_word, trailing_zeros

MODULE = """
from __future__ import annotations
from tftrace.native.jit import loop
from tftrace.native.language import Int
from smaller import twice

@loop
def double(x: Int) -> Int:
    return twice(x)
"""
HELPER = """
from tftrace.native.language import inlined
FACTOR = 2

@inlined
def twice(x):
    return FACTOR * x
"""
CALL = "import sys, small; print(small.double(21), 'numba' in sys.modules)"
LOUD = f"import logging; logging.basicConfig(level='INFO'); {CALL}"


@pytest.fixture
def run(tmp_path):
    """Run a script that may import `small`, a module of one loop, with a cache of its own."""
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


def test_compiled_once_then_loaded_without_numba_and_nothing_printed(run, tmp_path):
    first = run(CALL, tmp_path / "own")
    assert (first.stdout, first.stderr) == ("42 True\n", "")
    second = run(CALL, tmp_path / "own")
    assert (second.stdout, second.stderr) == ("42 False\n", "")


def test_the_first_compilation_is_announced_through_logging(run, tmp_path):
    assert run(LOUD, tmp_path / "own").stderr.count("compiling its readers") == 1
    assert run(LOUD, tmp_path / "own").stderr == ""


def test_the_cache_is_private(run, tmp_path):
    run(f"import os; os.umask(0); {CALL}", tmp_path / "own")
    (kept,) = (tmp_path / "own" / "loops").iterdir()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (kept, kept.parent, tmp_path / "own")]
    assert modes == [0o600, 0o700, 0o700]


@pytest.mark.parametrize("loose", ["own", "own/loops", "own/loops/*.o"])
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_what_others_can_write_is_not_loaded(run, tmp_path, loose, mode):
    run(CALL, tmp_path / "own")
    (path,) = tmp_path.glob(loose)
    path.chmod(stat.S_IMODE(path.stat().st_mode) | mode)
    again = run(CALL, tmp_path / "own")
    assert again.stdout == "42 True\n"
    assert "can be written by others" in again.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives away")
@pytest.mark.parametrize("foreign", ["own", "own/loops", "own/loops/*.o"])
def test_what_another_user_made_is_not_loaded(run, tmp_path, foreign):
    run(CALL, tmp_path / "own")
    (path,) = tmp_path.glob(foreign)
    os.chown(path, 65534, 65534)
    again = run(CALL, tmp_path / "own")
    assert again.stdout == "42 True\n"
    assert "belongs to another user" in again.stderr


def test_a_link_is_not_followed(run, tmp_path):
    run(CALL, tmp_path / "own")
    (kept,) = (tmp_path / "own" / "loops").iterdir()
    kept.rename(tmp_path / "elsewhere")
    kept.symlink_to(tmp_path / "elsewhere")
    assert run(CALL, tmp_path / "own").stdout == "42 True\n"
    assert not kept.is_symlink()
    assert (tmp_path / "elsewhere").exists()


def test_old_code_is_thrown_away(run, tmp_path):
    for factor in range(2, 8):
        (tmp_path / "smaller.py").write_text(HELPER.replace("FACTOR = 2", f"FACTOR = {factor}"))
        assert run(CALL, tmp_path / "own").stdout == f"{21 * factor} True\n"
    assert len(list((tmp_path / "own" / "loops").iterdir())) == 4
    assert run(CALL, tmp_path / "own").stdout == "147 False\n"


def test_a_damaged_cache_is_made_anew(run, tmp_path):
    run(CALL, tmp_path / "own")
    (kept,) = (tmp_path / "own" / "loops").iterdir()
    whole = kept.read_bytes()
    damaged = bytearray(whole)
    damaged[len(damaged) // 2] ^= 1
    kept.write_bytes(damaged)
    assert run(CALL, tmp_path / "own").stdout == "42 True\n"
    assert run(CALL, tmp_path / "own").stdout == "42 False\n"


@pytest.mark.parametrize(
    ("file", "content", "result"),
    [
        ("small.py", MODULE.replace("twice(x)", "twice(x) + 1"), 43),
        ("smaller.py", HELPER.replace("FACTOR = 2", "FACTOR = 3"), 63),
    ],
)
def test_changed_code_is_compiled_anew(run, tmp_path, file, content, result):
    run(CALL, tmp_path / "own")
    (tmp_path / file).write_text(content)
    assert run(CALL, tmp_path / "own").stdout == f"{result} True\n"


def test_without_a_place_for_the_cache_everything_works(run, tmp_path):
    blocked = tmp_path / "a file"
    blocked.touch()
    done = run(CALL, blocked)
    assert done.stdout == "42 True\n"
    assert "not kept" in done.stderr


def test_importing_the_readers_imports_no_compiler():
    script = (
        "import sys, tftrace.native.loops.events, tftrace.parsers.op_table,"
        "tftrace.timeline.arithmetic.intervals; assert not {'numba', 'llvmlite'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@inlined
def _lowest(data, position):
    return trailing_zeros(load_word(data, position))


@loop
def lowest_bit(data: "Bytes", position: "Int") -> "Int":
    """The number of the lowest bit set at or behind a byte."""
    return _lowest(data, position)


@loop
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


@loop
def divide(a: "Int", b: "Int") -> "Int":
    """Raises in compiled code."""
    return a // b


def test_an_exception_in_a_loop_is_not_lost():
    assert divide(7, 2) == 3
    with pytest.raises(RuntimeError, match="divide failed"):
        divide(7, 0)


def test_loops_that_cannot_be_kept_work_in_the_process_that_compiled_them():
    values = np.arange(5)
    assert reverse(5, values) == 5
    assert values.tolist() == [4, 3, 2, 1, 0]
    assert not list((cache.cache_folder() / "loops").glob(f"{__name__}-*"))


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


def made_of(source):
    """The key of a module of one loop, `small`, from its source."""
    names = {"__name__": "made"}
    exec(compile("from __future__ import annotations\n" + source, "made", "exec"), names)
    return key_of({"small": names["small"]})


SMALL = """
import numpy as np
LIMIT = np.int64(5)
PAIR = (1, 2.5)

def small(x: Int, y: Int) -> Int:
    return min(x, LIMIT) + PAIR[0] + (y if x > 3 else 0)
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("np.int64(5)", "np.int64(6)"),
        ("np.int64(5)", "np.int32(5)"),
        ("(1, 2.5)", "(1, 2.75)"),
        ("(1, 2.5)", "(1.0, 2.5)"),
        ("x > 3", "x > 4"),
        ("x > 3", "x >= 3"),
        ("min(", "max("),
        ("y: Int", "y: Int64s"),
        ("-> Int", "-> Int8s"),
    ],
)
def test_the_key_covers_functions_constants_and_types(old, new):
    assert made_of(SMALL.replace(old, new)) != made_of(SMALL)


def test_the_key_is_not_of_comments_and_places():
    assert made_of("# a comment\n\n" + SMALL + "\nUNUSED = 3\n") == made_of(SMALL)


def test_what_has_no_fixed_value_is_refused():
    with pytest.raises(TypeError, match="uses PAIR"):
        made_of(SMALL.replace("(1, 2.5)", "[1, 2.5]"))


def test_every_loop_of_the_package_has_a_key():
    import tftrace.native.loops

    for _, name, _ in pkgutil.iter_modules(tftrace.native.loops.__path__, "tftrace.native.loops."):
        members = vars(importlib.import_module(name))
        functions = {key: own.function for key, own in members.items() if isinstance(own, loop)}
        assert not functions or len(key_of(functions)) == 24
