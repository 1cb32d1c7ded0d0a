"""The fuzzer itself: guard pages kill, mutations are of every kind, a short run finds nothing."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fuzz_reader import join, mutated, split
from guard_pages import Arena, guarded
from hostile_traces import TINY

HERE = Path(__file__).parent
TOUCH = """
import ctypes
from guard_pages import guarded
array = guarded(13)
ctypes.memset(array.ctypes.data + {offset}, 1, 1)
"""


@pytest.mark.parametrize("offset", [13, -4096])
def test_touching_a_guard_page_kills(offset):
    script = TOUCH.format(offset=offset)
    assert subprocess.run([sys.executable, "-c", script], cwd=HERE).returncode == -signal.SIGSEGV
    inside = TOUCH.format(offset=12)
    assert subprocess.run([sys.executable, "-c", inside], cwd=HERE).returncode == 0


def test_guarded_arrays_are_of_the_shape_asked_for_and_end_at_the_page():
    arena = Arena()
    array = arena.numpy.zeros((3, 5), np.int32)
    assert array.shape == (3, 5)
    assert not array.any()
    assert (array.ctypes.data + array.nbytes) % 4096 == 0
    assert guarded(0).shape == (0,)


def test_splitting_and_joining_is_the_identity():
    assert b"".join(join(*field) for field in split(TINY)) == TINY
    assert b"".join(join(*field) for field in split(TINY + b"\x0b\xff")) == TINY + b"\x0b\xff"


def test_mutations_differ_and_depend_on_the_seed_alone():
    pick = random.Random(3)
    made = [mutated(TINY, pick, [TINY]) for _ in range(300)]
    assert len(set(made)) > 200
    again = random.Random(3)
    assert made == [mutated(TINY, again, [TINY]) for _ in range(300)]


def test_a_short_run_finds_nothing(captured_small):
    script = [sys.executable, str(HERE / "fuzz_reader.py"), "--executions", "3000"]
    done = subprocess.run([*script, captured_small], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "no failure" in done.stdout


@pytest.fixture
def captured_small(tmp_path):
    path = tmp_path / "small.pb"
    path.write_bytes(TINY)
    return str(path)
