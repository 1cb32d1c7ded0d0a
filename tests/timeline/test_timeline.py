"""A trace built event by event, every share of its wall worked out by hand."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from traces import function_of, run_of, write_trace

from tftrace.attribution.join import Join
from tftrace.attribution.provenance import KernelNodes, TracedOps
from tftrace.runs.manifest import Machine
from tftrace.tables.events import events_table
from tftrace.tables.layers import layers_table
from tftrace.tables.ops import ops_table
from tftrace.tables.steps import steps_table
from tftrace.tables.wall import wall_table

# Microseconds. Two threads; a and c overlap for 100, b and c for 50; one batch, one run.
#
#   python      |iterator| call [200 .................................. 800)
#   tf_Compute/1            [220 process ................. 600)
#                              a [230 ...... 430) b [430 . 480)
#   tf_Compute/2                      c [330 ...... 530)
#   worker                   for a: [250 .... 420)  for nobody: [700, 710)
RUN = {"id": 7}
PLANE = {
    "python": [
        ("tftrace window", 0, 1000, {}),
        ("tftrace step", 100, 900, {"step_num": 0}),
        ("Iterator::Next", 110, 150, {}),
        ("EagerLocalExecute: __inference_f", 200, 800, {}),
        ("FunctionRun", 210, 790, RUN),
    ],
    "tf_Compute/1": [
        ("ExecutorState::Process", 220, 600, RUN),
        ("m/a/MatMul:MatMul", 230, 430, {}),
        ("ThreadpoolListener::Record", 240, 241, {"_pt": 1, "_p": 55}),
        ("m/b/Relu:Relu", 430, 480, {}),
    ],
    "tf_Compute/2": [
        ("ExecutorState::Process", 325, 580, RUN),
        ("m/c/Conv2D:Conv2D", 330, 530, {}),
    ],
    "tf_numa_-1_Eigen/1": [
        ("ThreadpoolListener::StartRegion", 250, 250, {"_ct": 1, "_c": 55}),
        ("ThreadpoolListener::StopRegion", 420, 420, {}),
        ("ThreadpoolListener::StartRegion", 700, 700, {"_ct": 1, "_c": 99}),
        ("ThreadpoolListener::StopRegion", 710, 710, {}),
    ],
}


def function():
    return function_of(
        ("m/a/MatMul", "MatMul", 0, 1, {"macs": 60, "flops": 120}),
        ("m/b/Relu", "Relu", 1, 1, {"flops": 10}),
        ("m/c/Conv2D", "Conv2D", 2, 1, {"macs": 40, "flops": 80}),
    )


def join_of(tmp_path: Path, plane: dict, known=None, layers=("m/a", "m/b", "m/c")) -> Join:
    trace = write_trace(tmp_path / "t.xplane.pb", {"/host:CPU": plane})
    return Join(run_of(trace, list(layers), known or function()))


def wall_of(join: Join) -> dict[str, float]:
    """Components in us."""
    table = wall_table(join)
    return {
        name: pytest.approx(ms * 1e3)
        for name, ms in zip(table["component"], table["wall_ms"], strict=True)
    }


def added(line: str, *events: tuple) -> dict:
    return {**PLANE, line: [*PLANE[line], *events]}


def test_each_instant_is_shared_by_those_active_in_it(tmp_path: Path):
    layers = layers_table(join_of(tmp_path, PLANE)).set_index("path")
    assert (layers["wall_ms"] * 1e3).to_dict() == {
        "m/a": pytest.approx(100 + 100 / 2),
        "m/b": pytest.approx(50 / 2),
        "m/c": pytest.approx(100 / 2 + 50 / 2 + 50),
    }
    assert (layers["busy_ms"] * 1e3).to_dict() == pytest.approx({"m/a": 200, "m/b": 50, "m/c": 200})


def test_what_no_operation_covers_is_named_by_its_cause(tmp_path: Path):
    assert wall_of(join_of(tmp_path, PLANE)) == {
        "layers": 300,  # 230 to 530
        "model ops outside layers": 0,
        "executor and unrecorded ops": 10 + 70,  # 220 to 230, 530 to 600
        "function dispatch": 20 + 200,  # 200 to 220, 600 to 800
        "input pipeline": 100 + 40,  # before the first step, and the iterator
        "Keras loop and callbacks": 10 + 50 + 200,
        "compilation": 0,
    }


def test_work_on_the_pool_is_its_operations_thread_time(tmp_path: Path):
    join = join_of(tmp_path, PLANE)
    layers = layers_table(join).set_index("path")
    assert (layers["thread_ms"] * 1e3).to_dict() == pytest.approx(
        {"m/a": 200 + 170, "m/b": 50, "m/c": 200}
    )
    assert layers.loc["m/a", "parallelism"] == pytest.approx(370 / 200)
    assert join.timeline.worker_ps == 180 * 10**6
    assert join.timeline.lost_worker_ps == 10 * 10**6


def test_a_worker_that_waits_beyond_its_operation_adds_nothing(tmp_path: Path):
    plane = {**PLANE, "tf_numa_-1_Eigen/1": list(PLANE["tf_numa_-1_Eigen/1"])}
    plane["tf_numa_-1_Eigen/1"][1] = ("ThreadpoolListener::StopRegion", 520, 520, {})
    layers = layers_table(join_of(tmp_path, plane)).set_index("path")
    assert layers.loc["m/a", "thread_ms"] * 1e3 == pytest.approx(200 + 180)  # 250 to 430
    assert layers.loc["m/a", "wall_ms"] * 1e3 == pytest.approx(150)


def work(*stretches: tuple[int, int], of: int = 55) -> list[tuple]:
    """Regions on a pool's thread, of the record with that number."""
    return [
        event
        for start, end in stretches
        for event in (
            ("ThreadpoolListener::StartRegion", start, start, {"_ct": 1, "_c": of}),
            ("ThreadpoolListener::StopRegion", end, end, {}),
        )
    ]


def on_two_cores(tmp_path: Path, *workers: list[tuple], cores: int | None = 2) -> pd.DataFrame:
    """Rows by path: a runs from 230 to 430, b from 430 to 480, c beside them from 330 to 530."""
    plane = {k: v for k, v in PLANE.items() if "Eigen" not in k}
    plane |= {f"tf_numa_-1_Eigen/{i}": events for i, events in enumerate(workers)}
    join = join_of(tmp_path, plane)
    manifest = msgspec.structs.replace(join.run.manifest, machine=Machine(cores=cores))
    join = Join(replace(join.run, manifest=manifest))
    layers = layers_table(join).set_index("path")
    layers["thread_us"] = layers["thread_ms"] * 1e3
    return layers


def test_a_thread_whose_workers_fill_the_processors_has_none(tmp_path: Path):
    """Two workers for a from 240 to 330, before c begins: a's own thread can only wait."""
    layers = on_two_cores(tmp_path, work((240, 330)), work((240, 330)))
    assert layers.loc["m/a", "thread_us"] == pytest.approx(10 + 2 * 90 + 100)
    assert layers.loc["m/b", "thread_us"] == pytest.approx(50)
    assert layers.loc["m/c", "thread_us"] == pytest.approx(200)


def test_a_thread_with_one_worker_on_two_processors_may_work_too(tmp_path: Path):
    layers = on_two_cores(tmp_path, work((240, 330)))
    assert layers.loc["m/a", "thread_us"] == pytest.approx(10 + 2 * 90 + 100)
    assert layers.loc["m/a", "parallelism"] == pytest.approx(290 / 200)


def test_more_threads_than_processors_share_them(tmp_path: Path):
    """From 330 to 420 two workers and c run for certain, a may wait: 2/3 of a processor each."""
    layers = on_two_cores(tmp_path, work((330, 420)), work((330, 420)))
    assert layers.loc["m/a", "thread_us"] == pytest.approx(100 + 2 * 60 + 10)
    assert layers.loc["m/c", "thread_us"] == pytest.approx(60 + 10 + 100)


def test_where_the_processors_are_not_known_threads_have_all_their_time(tmp_path: Path):
    layers = on_two_cores(tmp_path, work((240, 330)), work((240, 330)), cores=None)
    assert layers.loc["m/a", "thread_us"] == pytest.approx(200 + 2 * 90)


def test_an_operation_inside_another_has_its_own_time(tmp_path: Path):
    plane = added("tf_Compute/1", ("m/a/inner:Mul", 300, 320, {}))
    known = function()
    known = replace(
        known,
        ops=TracedOps(
            [*known.ops.key, "m/a/inner"], [*known.ops.type, "Mul"], [[]] * 4, [True] * 4
        ),
        owner=[*known.owner, 1],
        times=[*known.times, 1],
        work=[*known.work, known.work[1]],
        out_bytes=[8] * 4,
    )
    join = join_of(tmp_path, plane, known)
    ops = ops_table(join).set_index("op")
    assert ops.loc["m/a/MatMul", "wall_ms"] * 1e3 == pytest.approx(150 - 20)
    assert ops.loc["m/a/inner", "wall_ms"] * 1e3 == pytest.approx(20)
    events = events_table(join).set_index("op")
    assert events.loc["m/a/MatMul", "self_ns"] == pytest.approx(180_000)
    assert events.loc["m/a/MatMul", "duration_ns"] == pytest.approx(200_000)


def test_tracing_inside_the_window_is_compilation(tmp_path: Path):
    call = ("__inference_f", 820, 850, {"tf_function_call": "traced-nonXla"})
    wall = wall_of(join_of(tmp_path, added("python", call)))
    assert wall["compilation"] == 30
    assert wall["Keras loop and callbacks"] == 230


def test_what_runs_outside_the_window_does_not_count(tmp_path: Path):
    plane = added("tf_Compute/1", ("m/a/MatMul:MatMul", 1100, 1200, {}))
    join = join_of(tmp_path, plane)
    assert len(events_table(join)) == 3
    assert sum(wall_table(join)["wall_ms"]) == pytest.approx(1.0)


def test_operations_of_another_function_are_the_pipelines(tmp_path: Path):
    other = ("ExecutorState::Process", 850, 900, {"id": 8})
    plane = {**PLANE, "tf_Compute/3": [other, ("map/Mul:Mul", 855, 895, {})]}
    join = join_of(tmp_path, plane)
    row = ops_table(join).set_index("op").loc["map/Mul"]
    assert pd.isna(row["layer"])
    assert row["component"] == "input pipeline"
    assert wall_of(join)["input pipeline"] == 140 + 40
    assert wall_of(join)["Keras loop and callbacks"] == 260 - 40


STRANGER = [
    ("EagerLocalExecute: __inference_g", 820, 900, {}),
    ("FunctionRun", 830, 890, {"id": 9}),
]


def with_a_stranger(*ops: tuple) -> dict:
    """A function that the run does not know, whose kernels bear the names of the known one's."""
    process = ("ExecutorState::Process", 840, 880, {"id": 9})
    plane = {**PLANE, "tf_Compute/3": [process, *ops]}
    return {**plane, "python": [*PLANE["python"], *STRANGER]}


def test_what_the_profiler_stopped_before_its_end_is_the_functions_too(tmp_path: Path):
    """The stretch of c has no event: its region was opened by what a's had put into the queue, and
    that of d, which runs on, by c's."""
    plane = added("tf_Compute/1", ("ThreadpoolListener::Record", 322, 322, {"_pt": 1, "_p": 60}))
    plane["tf_Compute/2"] = [
        # Of an earlier region with the same id, which was closed.
        ("ThreadpoolListener::StartRegion", 10, 10, {"_ct": 1, "_c": 60}),
        ("ThreadpoolListener::StopRegion", 20, 20, {}),
        ("ThreadpoolListener::StartRegion", 325, 325, {"_ct": 1, "_c": 60}),
        ("m/c/Conv2D:Conv2D", 330, 530, {}),
        ("ThreadpoolListener::Record", 535, 535, {"_pt": 1, "_p": 61}),
    ]
    whole = wall_of(join_of(tmp_path, PLANE))
    assert wall_of(join_of(tmp_path, plane)) == whole
    plane["tf_Compute/3"] = [
        ("ThreadpoolListener::StartRegion", 540, 540, {"_ct": 1, "_c": 61}),
        ("m/b/Relu:Relu", 550, 570, {}),
    ]
    found = wall_of(join_of(tmp_path, plane))
    assert found["input pipeline"] == whole["input pipeline"]
    assert found["layers"] == pytest.approx(320)  # 230 to 530 without a gap, and 20 of d


def test_an_open_region_of_nobody_known_stays_the_pipelines(tmp_path: Path):
    """Nothing says who had put it into the queue."""
    plane = added("python")
    plane["tf_Compute/3"] = [
        ("ThreadpoolListener::StartRegion", 640, 640, {"_ct": 1, "_c": 77}),
        ("m/b/Relu:Relu", 650, 670, {}),
    ]
    found = wall_of(join_of(tmp_path, plane))
    assert found["layers"] == pytest.approx(300)


def test_a_function_that_is_not_known_is_nobody_elses_time(tmp_path: Path):
    before = wall_of(join_of(tmp_path, PLANE))
    join = join_of(tmp_path, with_a_stranger(("m/a/MatMul:MatMul", 845, 875, {})))
    wall = wall_of(join)
    assert wall.pop("unknown functions") == 80
    assert wall == {**before, "Keras loop and callbacks": 260 - 80}
    ops = ops_table(join)
    (row,) = ops[ops["component"] == "unknown functions"].to_dict("records")
    assert (row["op"], row["calls"], row["wall_ms"]) == ("m/a/MatMul", 1, pytest.approx(0.03))
    assert pd.isna(row["layer"])
    assert pd.isna(row["macs"])
    assert row["note"] == "of the function __inference_g, which tftrace does not know"
    layers = layers_table(join).set_index("path")
    assert layers.loc["m/a", "calls"] == 1
    assert [(f.name, f.calls, f.busy_ms) for f in join.unknown] == [
        ("__inference_g", 1, pytest.approx(0.08))
    ]


def test_what_such_a_function_calls_is_its_own_too(tmp_path: Path):
    call = ("while/call:StatefulPartitionedCall", 845, 875, {})
    plane = with_a_stranger(call, ("FunctionRun", 846, 874, {"id": 10}))
    plane["tf_Compute/4"] = [
        ("ExecutorState::Process", 850, 872, {"id": 10}),
        ("inner/Mul:Mul", 855, 870, {}),
    ]
    join = join_of(tmp_path, plane)
    assert wall_of(join)["unknown functions"] == 80
    ops = ops_table(join).set_index("op")
    assert ops.loc["while/call/inner/Mul", "component"] == "unknown functions"


def test_the_pipelines_own_functions_are_not_strangers(tmp_path: Path):
    """tf.data runs a function inside an operation that the driving thread executes."""
    plane = {**PLANE, "python": list(PLANE["python"])}
    plane["python"] += [
        ("EagerLocalExecute: MakeIterator", 820, 900, {}),
        ("FunctionRun", 830, 890, {"id": 9}),
    ]
    join = join_of(tmp_path, plane)
    assert join.unknown == []
    assert wall_of(join)["input pipeline"] == 140 + 80


def test_without_strangers_the_wall_has_no_row_for_them(tmp_path: Path):
    assert "unknown functions" not in wall_of(join_of(tmp_path, PLANE))


def test_operations_that_no_layer_made_have_a_row_of_the_wall(tmp_path: Path):
    known = replace(function(), owner=[0, -1, 2])
    join = join_of(tmp_path, PLANE, known)
    assert wall_of(join)["layers"] == 275
    assert wall_of(join)["model ops outside layers"] == 25


def test_steps_are_the_marked_batches(tmp_path: Path):
    (step,) = steps_table(join_of(tmp_path, PLANE)).to_dict(orient="records")
    assert step["step"] == 0
    assert step["samples"] == 2
    assert step["calls"] == 3
    assert step["start_ms"] * 1e3 == pytest.approx(100)
    assert step["wall_ms"] * 1e3 == pytest.approx(800)
    assert step["ops_ms"] * 1e3 == pytest.approx(300)


def test_a_fused_kernel_is_split_by_what_its_members_cost(tmp_path: Path):
    """c (80 flops) and b (10 flops) ran as one kernel under b's name."""
    known = function()
    kernels = KernelNodes(["m/a/MatMul", "m/b/Relu"], ["MatMul", "_FusedConv2D"], [["x"], ["y"]])
    ops = TracedOps(known.ops.key, known.ops.type, [[], [2], []], [True] * 3)
    known = replace(known, ops=ops, kernels=kernels)
    plane = {**PLANE, "tf_Compute/2": [], "tf_Compute/1": list(PLANE["tf_Compute/1"])}
    plane["tf_Compute/1"][-1] = ("m/b/Relu:_FusedConv2D", 430, 520, {})
    join = join_of(tmp_path, plane, known)
    row = ops_table(join).set_index("op").loc["m/b/Relu"]
    assert row["layer"] == "m/c"
    assert set(row["members"]) == {"m/b/Relu", "m/c/Conv2D"}
    layers = layers_table(join).set_index("path")
    assert layers.loc["m/c", "wall_ms"] * 1e3 == pytest.approx(90 * 80 / 90)
    assert layers.loc["m/b", "wall_ms"] * 1e3 == pytest.approx(90 * 10 / 90)
    assert layers.loc["m/c", "fused_with"] == ["m/b"]
    assert layers.loc["m/b", "fused_with"] == ["m/c"]
    assert layers.loc["m/a", "fused_with"] == []
    assert layers["wall_ms"].sum() * 1e3 == pytest.approx(200 + 90)


def test_what_was_not_recorded_is_shown_with_its_expected_count(tmp_path: Path):
    known = replace(function(), times=[1, 5, None])
    plane = {**PLANE, "tf_Compute/1": PLANE["tf_Compute/1"][:3], "tf_Compute/2": []}
    ops = ops_table(join_of(tmp_path, plane, known)).set_index("op")
    dropped = ops.loc["m/b/Relu"]
    assert (dropped["calls"], dropped["expected_calls"]) == (0, 5)
    assert ops["busy_ms"].isna().to_dict() == {
        "m/a/MatMul": False,
        "m/b/Relu": True,
        "m/c/Conv2D": True,
    }
    assert ops.isna().loc["m/c/Conv2D", "expected_calls"]
    layers = layers_table(join_of(tmp_path, plane, known)).set_index("path")
    assert "0 of 5 executions recorded" in layers.loc["m/b", "note"]
