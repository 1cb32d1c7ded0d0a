"""Ways in a process of their own: its threads, what is told of it, and its end."""

import os
import subprocess
import sys
import time
import types
from contextlib import ExitStack
from functools import partial

import keras
import numpy as np
import pytest

from tftrace.advice import process
from tftrace.advice.process import variant_in_a_process
from tftrace.advice.recipe import Recipe
from tftrace.advice.script import script
from tftrace.errors import TftraceError
from tftrace.tracer.loading.models import load_model

X = np.random.default_rng(0).random((20, 6), dtype=np.float32)
ONE = Recipe(batch_size=8, intra_op_threads=1)


@pytest.fixture
def stack():
    with ExitStack() as found:
        yield found


def test_it_predicts_there_and_ends(tmp_path, monkeypatch) -> None:
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, activation="tanh")])
    model.save(tmp_path / "m.keras")
    children = []
    real = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda *a, **k: children.append(real(*a, **k)) or children[-1]
    )
    with ExitStack() as stack:
        way = variant_in_a_process(ONE, partial(load_model, tmp_path / "m.keras"), X, stack)
        assert way.run() is None
        (outputs,) = way.outputs(8)
        assert children[0].poll() is None
    np.testing.assert_allclose(outputs, model.predict(X[:8], verbose=0), rtol=1e-5)
    assert children[0].poll() == 0


def test_it_has_the_threads_and_tells_what_fails(tmp_path, monkeypatch, stack) -> None:
    (tmp_path / "its_threads.py").write_text(
        "import tensorflow as tf\n\n\ndef load():\n    threading = tf.config.threading\n"
        "    raise ValueError(\n"
        "        threading.get_intra_op_parallelism_threads(),\n"
        "        threading.get_inter_op_parallelism_threads(),\n    )\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import its_threads

    recipe = Recipe(intra_op_threads=3, inter_op_threads=1)
    with pytest.raises(TftraceError, match=r"^\(3, 1\)$"):
        variant_in_a_process(recipe, its_threads.load, X, stack)


def test_what_loads_the_model_is_found_there_or_not(monkeypatch, stack) -> None:
    with pytest.raises(TftraceError, match="process of their own, where it does not load"):
        variant_in_a_process(ONE, lambda: None, X, stack)
    only_here = types.ModuleType("only_here")
    exec("def load(): ...", vars(only_here))
    monkeypatch.setitem(sys.modules, "only_here", only_here)
    with pytest.raises(TftraceError, match="does not load: No module named 'only_here'"):
        variant_in_a_process(ONE, only_here.load, X, stack)


def test_data_that_cannot_be_sent_says_so(stack) -> None:
    data = np.array([lambda: None], object)
    with pytest.raises(TftraceError, match="its data cannot be sent to a process of its own"):
        variant_in_a_process(ONE, partial(os.getpid), data, stack)


def test_a_process_that_dies_is_no_answer(stack) -> None:
    with pytest.raises(TftraceError, match="its process ended with 3"):
        variant_in_a_process(ONE, partial(os._exit, 3), X, stack)


def test_what_does_not_end_is_ended(monkeypatch) -> None:
    monkeypatch.setattr(process, "_ENDS_IN", 0.1)
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    began = time.monotonic()
    process._end(child)
    assert child.returncode < 0
    assert time.monotonic() - began < 30


def test_the_program_sets_threads_first() -> None:
    text = script(Recipe(16, intra_op_threads=4, inter_op_threads=1), "m.keras", "x.npy")
    compile(text, "best.py", "exec")
    lines = text.splitlines()
    inside, between = (
        lines.index(f"tf.config.threading.set_{which}_op_parallelism_threads({count})")
        for which, count in (("intra", 4), ("inter", 1))
    )
    loads = next(i for i, line in enumerate(lines) if "load_model" in line)
    assert max(inside, between) < loads
