"""What the run says it ran under, against what TensorFlow shows."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from raw_trace import host_events, trace_of

import tftrace
from tftrace.tracer import tf_private
from tftrace.tracer.setting import cpu_name, instruction_sets, setting

_ASK = """
import json, os
import tensorflow as tf
os.environ["TF_ENABLE_ONEDNN_OPTS"] = os.environ["LATER"]
from tftrace.tracer.setting import setting
found = setting()
print(json.dumps([found.onednn, found.allocator]))
"""


@pytest.mark.parametrize(("loaded", "later"), [("0", "1"), ("1", "0")])
def test_onednn_is_what_tensorflow_decided_not_what_the_variable_says_now(loaded, later):
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": loaded, "LATER": later}
    done = subprocess.run(
        [sys.executable, "-c", _ASK], env=environment, capture_output=True, check=True, text=True
    )
    on = loaded == "1"
    assert json.loads(done.stdout) == [on, "mklcpu" if on else "cpu"]


def test_the_canary_onednns_symbol_is_exported():
    assert tf_private.onednn_is_on() is not None


def test_without_the_symbol_it_is_unknown(monkeypatch):
    monkeypatch.setattr(tf_private, "_ONEDNN_SYMBOL", "no_such_symbol")
    assert tf_private.onednn_is_on() is None
    assert (setting().onednn, setting().allocator) == (None, None)
    monkeypatch.setattr(tf_private, "_framework_library", lambda: None)
    assert tf_private.onednn_is_on() is None


@pytest.fixture(scope="module")
def wide():
    """A run whose buffers are large enough for the allocator to be asked."""
    model = keras.Sequential(
        [keras.Input((64, 64, 3)), keras.layers.Conv2D(32, 3, padding="same")], name="wide"
    )
    return tftrace.profile(model, np.ones((16, 64, 64, 3), "float32"), repeats=0, calibrate=False)


def test_what_a_run_says_is_what_its_trace_shows(wide):
    """oneDNN's kernels bear its prefix, and its allocator signs what it hands out."""
    machine = wide.machine
    assert machine["onednn"] == any(t.startswith("_Mkl") for t in wide.ops["op_type"])
    signed = {e.stats.get("allocator_name") for e in host_events(trace_of(wide))} - {None}
    assert signed <= {machine["allocator"]}
    assert bool(signed) == machine["onednn"]
    assert tf.config.threading.get_intra_op_parallelism_threads() in (0, machine["cores"])


def test_the_report_and_the_page_say_so(wide):
    from tftrace.report.html.run import render_page

    on = "on" if wide.machine["onednn"] else "off"
    for text in (str(wide), render_page(wide)):
        assert f"oneDNN {on}; allocator {wide.machine['allocator']}" in text


def test_a_run_of_an_earlier_version_does_not_know(wide):
    machine = dict(wide.machine)
    try:
        for key in ("onednn", "allocator", "instruction_sets", "instruction_limit"):
            del wide.machine[key]
        assert "oneDNN not known" in str(wide)
    finally:
        wide.machine.update(machine)


def test_the_processor_is_read_as_linux_tells_it(tmp_path):
    x86, arm = tmp_path / "x86", tmp_path / "arm"
    x86.write_text("processor\t: 0\nmodel name\t: Made Up 9\nflags\t\t: fpu avx2 fma avx512f mmx\n")
    arm.write_text("processor\t: 0\nFeatures\t: fp asimd i8mm crc32\n")
    assert cpu_name(x86) == "Made Up 9"
    assert instruction_sets(x86) == ("avx2", "avx512f", "fma")
    assert instruction_sets(arm) == ("asimd", "i8mm")
    assert instruction_sets(tmp_path / "absent") is None
