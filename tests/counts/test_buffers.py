"""Which kernels write over what they are given, asked of TensorFlow in this process's setting."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

from tftrace.counts import buffers
from tftrace.counts.buffers import Kernel
from tftrace.graph import Node, TensorSpec
from tftrace.parsers import read_trace
from tftrace.runs.names import MEMORY_STATS
from tftrace.timeline.memory import ALLOCATED
from tftrace.tracer.setting import setting
from tftrace.tracer.tf_private import allocations_noted

pytestmark = pytest.mark.kernels

SHAPE = (8, 64, 64, 64)  # 8 MiB
LOGICAL = ("LogicalAnd", "LogicalNot", "LogicalOr")
WHOLE_NUMBERS = ("Mod", "TruncateDiv", "TruncateMod")
raw = tf.raw_ops


def fresh(x, axis):
    """A tensor that nobody else needs."""
    return raw.ReverseV2(tensor=x, axis=[axis])


def over(name):
    """The operation on tensors of its own alone."""
    function = getattr(raw, name + "V2", None) or getattr(raw, name)
    names = list(inspect.signature(function).parameters)

    def call(x):
        if name == "AddN":
            return function(inputs=[fresh(x, 1), fresh(x, 2), fresh(x, 3)])
        if name == "Select":
            return function(condition=x > 0.5, t=fresh(x, 1), e=fresh(x, 2))
        if name == "ClipByValue":
            return function(t=fresh(x, 1), clip_value_min=0.0, clip_value_max=0.5)
        if name == "BiasAdd":
            return function(value=fresh(x, 1), bias=tf.ones(SHAPE[-1]) * x[0, 0, 0, 0])
        kind = tf.bool if name in LOGICAL else tf.int32 if name in WHOLE_NUMBERS else tf.float32
        given = tf.cast(1.5 + x, kind)
        if "Softmax" in name:
            given = tf.reshape(given, (-1, 64))
        two = name in buffers._OVER_ANY
        return function(**{names[i]: fresh(given, i + 1 if given.shape.rank > 2 else i)
                           for i in range(1 + two)})  # fmt: skip

    return call


def rows(shape):
    return {
        "Slice": lambda x: tf.slice(fresh(x, 1), [1, 0, 0, 0], [2, -1, -1, -1]),
        "StridedSlice": lambda x: fresh(x, 1)[1:3],
        "Split": lambda x: tf.split(fresh(x, 1), 2, 0)[0],
        "Unpack": lambda x: tf.unstack(fresh(x, 1), axis=0)[0],
        "Reshape": lambda x: tf.reshape(fresh(x, 1), (8, -1)),
        "Mean": lambda x: raw.Mean(
            input=tf.reshape(fresh(x, 1), (8, 1, 1, -1)), axis=[1, 2], keep_dims=False
        ),
    }[shape]


MAKES = {
    "FusedBatchNormV3": lambda x: raw.FusedBatchNormV3(
        x=fresh(x, 1), scale=x[0, 0, 0], offset=x[0, 0, 1], mean=x[0, 0, 2],
        variance=x[0, 0, 3], is_training=False,
    )[0],
    "Cumsum": lambda x: tf.cumsum(fresh(x, 1), 1),
    "GatherV2": lambda x: tf.gather(fresh(x, 1), [0, 1, 2, 3, 4, 5, 6, 7]),
    "Columns": lambda x: fresh(x, 1)[:, :, :, 8:40],
    "Greater": lambda x: raw.Greater(x=fresh(x, 1), y=fresh(x, 2)),
}  # fmt: skip


def allocated(tmp_path, cases):
    """MiB that the operations of each case asked for themselves, in buffers of 1 MiB and more."""
    functions = {}
    for name, case in cases.items():

        def scoped(x, name=name, case=case):
            with tf.name_scope(f"case_{name}"):
                result = case(x)
            return tf.reduce_any(result) if result.dtype == tf.bool else tf.reduce_max(result)

        functions[name] = tf.function(scoped, autograph=False)
    x = tf.random.uniform(SHAPE)
    for function in functions.values():
        function(x)
    with allocations_noted() as can:
        assert can
        tf.profiler.experimental.start(str(tmp_path))
        for function in functions.values():
            function(x)
        tf.profiler.experimental.stop()
    (file,) = tmp_path.rglob("*.xplane.pb")
    trace = read_trace(file, MEMORY_STATS)
    events = np.flatnonzero(trace.classify(lambda _, name: name == ALLOCATED))
    asked = trace.events.stats["requested_bytes"].at(events, 0)
    op = trace.events.stats["tf_op"].at(events)
    found = dict.fromkeys(cases, 0.0)
    for code, size in zip(op.tolist(), asked.tolist(), strict=True):
        scope, _, rest = (trace.strings[code] if code >= 0 else "").partition("/")
        name = scope.removeprefix("case_")
        made_for_it = rest.startswith(("Reverse", "Cast", "add", "Greater", "mul"))
        if name in found and size >= 1 << 20 and (not made_for_it or name in rest):
            found[name] += size / (1 << 20)
    return found


def test_what_writes_over_its_input_as_told(tmp_path):
    names = sorted(buffers._OVER_FIRST | buffers._OVER_ANY)
    found = allocated(tmp_path, {name: over(name) for name in names})
    assert {name for name, mib in found.items() if mib} == set()


def test_what_hands_on_part_of_its_input_as_told(tmp_path):
    names = ("Slice", "StridedSlice", "Split", "Unpack", "Reshape", "Mean")
    found = allocated(tmp_path, {name: rows(name) for name in names})
    assert {name for name, mib in found.items() if mib} == set()


def test_what_makes_its_output_anew_does(tmp_path):
    found = allocated(tmp_path, MAKES)
    # A truth takes a byte; half of the columns are left.
    expected = {"FusedBatchNormV3": 8, "Cumsum": 8, "GatherV2": 8, "Columns": 4, "Greater": 2}
    assert found == expected


def test_onednns_pooling_notes_where_maxima_were(tmp_path):
    case = {"MaxPool": lambda x: tf.nn.max_pool2d(fresh(x, 1), 2, 1, "SAME")}
    assert allocated(tmp_path, case) == {"MaxPool": 10 if setting().onednn else 8}


@pytest.mark.parametrize("batch", [4, 8])
def test_gradients_of_convolutions_write_out_windows(tmp_path, batch):
    """What oneDNN takes for that is its own."""
    weights = TensorSpec("float32", (3, 3, 32, 64))
    specs = (TensorSpec("int32", (4,)), weights, TensorSpec("float32", (batch, 62, 62, 64)))
    image = tf.random.normal((batch, 64, 64, 32))
    gradient = tf.random.normal((batch, 62, 62, 64))
    filters = tf.random.normal((3, 3, 32, 64))
    here = setting()
    threads = (here.threads or (0,))[0] or here.cores
    node = Node("y", "Conv2DBackpropFilter", outputs=(weights,))
    columns = buffers.temporary_bytes(Kernel(node, specs, (None,) * 3, False, threads))
    case = {
        "Conv2DBackpropFilter": lambda x: raw.Conv2DBackpropFilter(
            input=image * x[0, 0, 0, 0], filter_sizes=[3, 3, 32, 64], out_backprop=gradient,
            strides=[1] * 4, padding="VALID",
        ),
        "Conv2DBackpropInput": lambda x: raw.Conv2DBackpropInput(
            input_sizes=[batch, 64, 64, 32], filter=filters * x[0, 0, 0, 0],
            out_backprop=gradient, strides=[1] * 4, padding="VALID",
        ),
    }  # fmt: skip
    found = allocated(tmp_path, case)
    mib = 1 << 20
    output = batch * 64 * 64 * 32 * 4
    node = Node("y", "Conv2DBackpropInput", outputs=(TensorSpec("float32", image.shape),))
    one = buffers.temporary_bytes(Kernel(node, specs, (None,) * 3, False, threads))
    expected = (0, output) if here.onednn else (columns, output + one)
    assert [size * mib for size in found.values()] == list(expected)
