"""The stages of an input pipeline in traces made by hand, every time worked out on paper."""

import numpy as np
import pytest
import tensorflow as tf
from raw_trace import host_events, trace_of
from traces import write_trace

from tftrace.parsers import read_trace
from tftrace.runs.names import HOST, STATS
from tftrace.timeline.marks import Marks
from tftrace.timeline.stages import Stage, pipeline_stages
from tftrace.timeline.window import find_window

WINDOW = ("tftrace window", 0, 1000, {})
ROOT = "Iterator::Root::"


def stages(tmp_path, lines) -> dict[tuple[str, ...], Stage]:
    path = write_trace(tmp_path / "t.xplane.pb", {HOST: lines})
    marks = Marks(read_trace(path, STATS))
    return {stage.path: stage for stage in pipeline_stages(marks, find_window(marks))}


def us(stage: Stage) -> tuple:
    return (stage.calls, stage.busy and stage.busy / 1e6, stage.active / 1e6, stage.waited / 1e6)


def test_a_chain_on_one_thread(tmp_path):
    """Batch [100, 400) calls Map twice; Map runs its function on another thread.

    Batch itself: 300 - 2 x 100 = 100. Map: 100 - 10 (Range) - 80 (run) = 10 of its own each, and
    of the run's 80 the function executes 50; 30 are waiting.
    """
    main, pool = [WINDOW, ("Iterator::Root", 90, 410, {}), (ROOT + "BatchV2", 100, 400, {})], []
    for number, at in enumerate((120, 250)):
        main += [
            (ROOT + "BatchV2::Map", at, at + 100, {"name": "decode"}),
            (ROOT + "BatchV2::Map::Range", at + 5, at + 15, {}),
            ("InstantiatedCapturedFunction::Run", at + 15, at + 95, {"id": 70 + number}),
        ]
        pool.append(("ExecutorState::Process", at + 30, at + 80, {"id": 70 + number}))
    found = stages(tmp_path, {"python": main, "pool": pool})
    assert list(found) == [("BatchV2", "Map", "Range"), ("BatchV2", "Map"), ("BatchV2",)]
    assert us(found["BatchV2", "Map", "Range"]) == (2, 20, 20, 0)
    assert us(found["BatchV2", "Map"]) == (2, 10 * 2 + 50 * 2, 120, 60)
    assert found["BatchV2", "Map"].dataset == "decode"
    assert us(found["BatchV2",]) == (1, 100, 100, 0)


def test_making_the_iterators_behind_a_stage_is_not_its_work(tmp_path):
    """Shuffle [100, 300) makes Map's iterator and in that Range's, [110, 200), then calls Map.

    Of its own are 10 before, and 100 - 60 after. An interleave's iterators are made for elements,
    and are its work.
    """
    main = [
        WINDOW,
        (ROOT + "Shuffle", 100, 300, {}),
        ("MakeIterator::MapDataset", 110, 200, {}),
        ("MakeIterator::RangeDataset", 120, 150, {}),
        ("InstantiatedCapturedFunction::Run", 160, 180, {"id": 1}),
        (ROOT + "Shuffle::Map", 200, 260, {}),
        (ROOT + "FlatMap", 310, 360, {}),
        ("MakeIterator::RangeDataset", 320, 350, {}),
    ]
    pool = [("ExecutorState::Process", 165, 175, {"id": 1})]
    found = stages(tmp_path, {"python": main, "pool": pool})
    shuffle, flat = found["Shuffle",], found["FlatMap",]
    assert us(shuffle) == (1, 10 + 40, 50, 0)
    assert shuffle.made == 90e6
    assert us(flat) == (1, 50, 50, 0)
    assert flat.made == 0


def test_a_map_that_works_ahead_on_two_threads(tmp_path):
    """Its calls wait: 2 x 60. Its functions execute 100 each, 50 of them side by side: at work for
    150. Its own thread spends 30 - 20 in each element beside the call of Range."""
    name = "Iterator::Root::ParallelMapV2"
    main = [WINDOW, (name, 300, 360, {"parallelism": 2}), (name, 400, 460, {"parallelism": 2})]
    runner, pool = [], {"a": [], "b": []}
    for number, (thread, at) in enumerate((("a", 100), ("b", 150))):
        runner += [
            ("ParallelMapProduce", at, at + 30, {}),
            (name + "::Range", at, at + 20, {}),
            ("InstantiatedCapturedFunction::RunAsync", at + 22, at + 24, {"id": number}),
        ]
        pool[thread].append(("ExecutorState::Process", at + 30, at + 130, {"id": number}))
    found = stages(tmp_path, {"python": main, "runner": runner, **pool})
    stage = found["ParallelMapV2",]
    # Active: [120, 130) and [170, 180) of its thread, of which [170, 180) lies in [130, 280).
    assert us(stage) == (2, 2 * 100 + 2 * 10, 160, 120)
    assert (stage.ahead, stage.parallelism) == (True, 2)
    assert us(found["ParallelMapV2", "Range"]) == (2, 40, 40, 0)


def test_inputs_of_a_zip_are_two_stages_and_iterators_of_an_interleave_one(tmp_path):
    names = ["Zip", "Zip[0]::Map", "Zip[1]::InterleaveV2[3]::Map", "Zip[1]::InterleaveV2[4]::Map"]
    names += ["Zip[1]::InterleaveV2"]
    calls = [(ROOT + name, 10 * at, 10 * at + 5, {}) for at, name in enumerate(names, 1)]
    found = stages(tmp_path, {"python": [WINDOW, *calls]})
    assert {path: stage.calls for path, stage in found.items()} == {
        ("Zip[0]", "Map"): 1,
        ("Zip[1]", "InterleaveV2", "Map"): 2,
        ("Zip[1]", "InterleaveV2"): 1,
        ("Zip",): 1,
    }


def test_what_works_ahead_without_a_trace_is_unknown(tmp_path):
    calls = [(ROOT + "ParseExampleV2", 10, 30, {"parallelism": 4}), WINDOW]
    (stage,) = stages(tmp_path, {"python": calls}).values()
    assert (stage.busy, stage.active, stage.waited) == (None, None, 20e6)


def test_calls_outside_the_window_are_not_counted(tmp_path):
    window = ("tftrace window", 500, 1000, {})
    calls = [(ROOT + "Range", 10, 30, {}), (ROOT + "Range", 600, 620, {})]
    (stage,) = stages(tmp_path, {"python": [window, *calls]}).values()
    assert us(stage) == (1, 20, 20, 0)
    assert stages(tmp_path, {"python": [window]}) == {}


@pytest.fixture(scope="module")
def measured():
    """A run whose pipeline has a slow map, on one thread, named by its author."""
    import keras

    import tftrace

    def slow(x):
        return x + 0 * tf.reduce_sum(tf.sort(tf.random.uniform((20_000,))))

    x = np.ones((160, 4), "float32")
    data = tf.data.Dataset.from_tensor_slices(x).map(slow, name="decode").shuffle(4).batch(20)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    return tftrace.profile(model, data, repeats=0, calibrate=False)


def test_the_table_of_a_run_agrees_with_its_trace(measured):
    table = measured.input.set_index("dataset")
    events = host_events(trace_of(measured))
    decode = table.loc["decode"]
    calls = [e for e in events if e.stats.get("name") == "decode"]
    assert decode["calls"] == len(calls) >= 60
    # Its calls are its own time, that of the stage before it, and the waiting.
    runs = [e for e in events if e.name == "InstantiatedCapturedFunction::Run"]
    ids = {e.stats["id"] for e in runs}
    executed = sum(
        e.end - e.start
        for e in events
        if e.name == "ExecutorState::Process" and e.stats["id"] in ids
    )
    assert decode["busy_ms"] >= executed / 1e9 * 0.999
    assert decode["us_per_element"] == pytest.approx(decode["busy_ms"] * 1e3 / decode["calls"])
    assert "input" in measured.table_names
    assert "decode" in str(measured)
    assert measured.to_dict()["input"][0]["stage"] == measured.input["stage"][0]


def test_the_finding_names_the_slow_stage(measured):
    (finding,) = [f for f in measured.findings if f["kind"] == "input pipeline bound"]
    assert finding["evidence"]["dataset"] == "decode"
    assert "num_parallel_calls" in finding["remedy"]
    # No larger batch makes the pipeline faster.
    assert "batch size too small" not in [f["kind"] for f in measured.findings]


def test_of_arrays_the_pipeline_is_kerass_and_not_reported(run_of):
    run = run_of("mission")
    assert "Prefetch" in set(run.input["stage"])
    assert "input" not in run.table_names
    assert "input" not in run.to_dict()
