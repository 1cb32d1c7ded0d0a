"""The first predict against the next, on a trace made by hand and on models."""

import json

import keras
import numpy as np
import pytest
from traces import write_trace
from typer.testing import CliRunner

import tftrace
from tftrace.api.first import BUILD, COMPILE, PREPARE, REST, RUN
from tftrace.cli import app
from tftrace.errors import TftraceError
from tftrace.parsers import read_trace
from tftrace.runs.names import WINDOW
from tftrace.timeline.first_call import pass_parts, windows
from tftrace.timeline.marks import Marks
from tftrace.tracer import first_call as tracer

layers = keras.layers
CALL, BUILDING = "EagerLocalExecute: __inference_f_1", "tf.function-graph_building"


def test_parts_of_a_trace_made_by_hand(tmp_path) -> None:
    """First pass of 1,000 us: 200 built inside the function's call (100 more for the pipeline), 50
    from the call to its run, 120 compiled on another thread, of which 100 while it ran."""
    main = [
        (WINDOW, 0, 1000, {}),
        (BUILDING, 0, 100, {}),
        ("f", 100, 900, {}),
        (BUILDING, 100, 300, {}),
        (CALL, 400, 900, {}),
        ("FunctionRun", 450, 890, {"id": 7}),
        (WINDOW, 1000, 1400, {}),
        ("f", 1100, 1350, {}),
        (CALL, 1100, 1350, {}),
        ("FunctionRun", 1110, 1340, {"id": 8}),
        ("EagerLocalExecute: __inference_g_2", 1360, 1370, {}),
    ]
    other = [("CpuCompiler::RunBackend", 430, 550, {}), (BUILDING, 600, 700, {})]
    lines = {"/host:CPU": {"python": main, "pool": other}}
    marks = Marks(read_trace(write_trace(tmp_path / "t.xplane.pb", lines)))
    first, later = (pass_parts(marks, w, {"__inference_f_1"}, "f") for w in windows(marks))
    (one,), (two,) = first.functions, later.functions
    us = 10**6
    assert (one.build, one.prepare, one.compile) == (200 * us, 50 * us, 100 * us)
    assert (one.run, one.calls) == ((500 - 50 - 100) * us, 1)
    assert (first.rest, first.total) == ((1000 - 200 - 500) * us, 1000 * us)
    assert (two.build, two.prepare, two.compile, two.run) == (0, 10 * us, 0, 240 * us)
    assert later.rest == (400 - 250) * us


def net(seed=0):
    keras.utils.set_random_seed(seed)
    parts = [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(2)]
    return keras.Sequential([keras.Input((8, 8, 3)), *parts])


X = np.random.default_rng(0).random((20, 8, 8, 3), dtype=np.float32)


@pytest.mark.parametrize(
    ("samples", "batches"),
    [
        (16, [8]),  # two whole batches: one graph
        (20, [8, None]),  # 4 are left: another for any number
    ],
)
@pytest.mark.parametrize("jit", ["off", "on"])
def test_one_graph_for_each_shape(samples, batches, jit) -> None:
    found = tftrace.first_call(net(), X, batch_size=8, samples=samples, jit=jit)
    table = found.table
    assert (found.samples, found.graphs) == (samples, len(batches))
    parts = [BUILD, PREPARE, *([COMPILE] if jit == "on" else []), RUN]
    assert table["part"].tolist() == [*(parts * len(batches)), REST]
    made = table[table["part"] == BUILD]
    assert made["batch"].astype(object).where(made["batch"].notna(), None).tolist() == batches
    once = table[table["part"].isin([BUILD, COMPILE])]
    assert (once["first_ms"] > 0).all()
    assert (once["later_ms"] == 0).all()
    assert (table["extra_ms"] == table["first_ms"] - table["later_ms"]).all()


def test_the_model_is_left_as_it_was() -> None:
    model, twin = net(), net()
    tftrace.first_call(model, X)
    assert model.predict_function is None
    np.testing.assert_array_equal(model.predict(X, verbose=0), twin.predict(X, verbose=0))


def test_data_in_batches_of_its_own_is_refused() -> None:
    with pytest.raises(TftraceError, match="measured on arrays"):
        tftrace.first_call(net(), (x for x in [X]))
    with pytest.raises(TftraceError, match="jit is one of"):
        tftrace.first_call(net(), X, jit="perhaps")


def test_where_functions_are_hidden_it_says_so(monkeypatch) -> None:
    monkeypatch.setattr(tracer, "concrete_functions", lambda function: [])
    with pytest.raises(TftraceError, match="does not tell which functions"):
        tftrace.first_call(net(), X)


def test_on_the_command_line(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    net().save("m.keras")
    np.save("x.npy", X)
    words = ["first", "m.keras", "x.npy", "--batch-size", "8", "--json", "first.json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "the first predict of 20 samples takes" in " ".join(done.output.split())
    assert "2 graphs: batches of 8, and the last, of 4" in " ".join(done.output.split())
    assert max(map(len, done.output.splitlines())) <= 80
    data = json.loads((tmp_path / "first.json").read_text())
    assert (data["schema"], data["graphs"], data["samples"]) == (1, 2, 20)
    assert data["parts"][0]["batch"] == 8
