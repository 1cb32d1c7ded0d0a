"""What must have run, in functions that are called whole too."""

import dataclasses
from collections import Counter
from types import SimpleNamespace

import pytest
from msgspec.structs import replace
from traces import run_of

from tftrace.attribution.function import Function
from tftrace.attribution.join import Join
from tftrace.attribution.provenance import KernelNodes, TracedOps
from tftrace.attribution.runnable import hidden, runnable
from tftrace.runs.manifest import TracedPass

# A recurrent layer of Keras 2: its function is called, and its loop turns 12 times.
OPS = [
    # key, type, inputs, times, live
    ("x", "Placeholder", [], 1, True),
    ("rnn/call", "PartitionedCall", [0], 1, True),
    ("rnn/call/turn", "Transpose", [0], 1, True),
    ("rnn/call/zero", "Const", [], 1, True),
    ("rnn/call/state", "Fill", [3, 3], 1, True),
    ("rnn/call/noise", "RandomUniform", [3], 1, True),
    ("rnn/call/unused", "MatMul", [2], 0, False),
    ("rnn/call/while", "StatelessWhile", [2, 4], 1, True),
    ("rnn/call/while/body/h", "Placeholder", [], 12, True),
    ("rnn/call/while/body/product", "MatMul", [8], 12, True),
    ("rnn/call/while/body/next", "Identity", [9], 12, True),
    ("head", "MatMul", [1], 1, True),
]
MEMBERS = {"rnn/call/turn", "rnn/call/noise", "rnn/call/while/body/product"}


def function():
    keys, types, inputs, times, live = map(list, zip(*OPS, strict=True))
    zero = dict.fromkeys(("mults", "macs", "flops", "transcendentals", "bytes"), 0)
    return Function(
        name="__inference_f",
        batch=2,
        counted_batch=2,
        ops=TracedOps(keys, types, inputs, live),
        owner=[0] * len(OPS),
        times=times,
        work=[zero] * len(OPS),
        out_bytes=[8] * len(OPS),
        kernels=KernelNodes(
            ["rnn/call", "head"], ["PartitionedCall", "MatMul"], [["x"], ["rnn/call"]]
        ),
    )


def test_the_optimized_graph_says_what_runs():
    assert set(runnable(function())) == {("rnn/call", "PartitionedCall"), ("head", "MatMul")}


def test_behind_a_call_the_traced_graph_does():
    """Neither what is folded, unused or only handed on, nor the loop itself."""
    assert {key for key, _ in hidden(function())} == MEMBERS


def expected(tmp_path, level=2, jit=False):
    """Expected executions by row, of three calls of which nothing was recorded."""
    run = run_of(tmp_path / "none.xplane.pb", ["m/rnn"], function())
    settings = replace(run.manifest.run, jit=jit, trace=TracedPass(samples=2, level=level))
    join = Join(dataclasses.replace(run, manifest=replace(run.manifest, run=settings)))
    functions = [Function.of(traced) for traced in run.manifest.functions]
    nothing = SimpleNamespace(modules=())
    vars(join).update(calls=Counter({0: 3}), executions=nothing, functions=functions)
    rows = join._unrecorded({"rnn/call", "head"})
    return {row.name: row.expected for row in rows}


def test_executions_behind_a_call_are_expected(tmp_path):
    assert expected(tmp_path) == {
        "rnn/call/turn": 3,
        "rnn/call/noise": 3,
        "rnn/call/while/body/product": 3 * 12,
    }


@pytest.mark.parametrize("setting", [{"level": 3}, {"jit": True}])
def test_none_is_missing_where_every_kernel_was_recorded_or_xla_compiled(tmp_path, setting):
    assert expected(tmp_path, **setting) == {}
