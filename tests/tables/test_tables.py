"""The tables of a real run: their columns, their sums, and what may be null."""

import pandas as pd
import pytest

COLUMNS = {
    "layers": "path name type call depth output_shape params ops calls expected_calls wall_ms "
    "wall_share busy_ms thread_ms parallelism mults macs flops bytes bytes_executed gmacs_per_s "
    "gb_per_s intensity bound roof_share output_bytes peak_live_bytes fused_with note",
    "ops": "op op_type layer component phase calls expected_calls busy_ms mean_us p50_us p99_us "
    "wall_ms thread_ms mults macs flops bytes members device",
    "events": "op op_type layer phase device line step start_ns duration_ns self_ns",
    "wall": "component wall_ms wall_share",
}
COMPONENTS = [
    "layers",
    "model ops outside layers",
    "executor and unrecorded ops",
    "input pipeline",
    "function dispatch",
    "Keras loop and callbacks",
    "compilation",
]


@pytest.fixture(params=["small", "recurrent", "mission"])
def profile(request, run_of):
    return run_of(request.param)


@pytest.mark.parametrize("name", COLUMNS)
def test_the_columns_are_those_of_the_design(profile, name):
    assert list(profile.table(name).columns) == COLUMNS[name].split()


def test_the_wall_has_its_rows_and_closes(profile):
    wall = profile.wall
    assert wall["component"].tolist() == COMPONENTS
    assert (wall["wall_ms"] >= 0).all()
    assert wall["wall_share"].sum() == pytest.approx(1, abs=1e-9)
    assert wall["wall_ms"].sum() == pytest.approx(profile.latency["traced_ms"], rel=0.01, abs=1)


def test_layers_ops_and_wall_agree(profile):
    wall = profile.wall.set_index("component")["wall_ms"]
    by_component = profile.ops.groupby("component")["wall_ms"].sum()
    assert profile.layers["wall_ms"].sum() == pytest.approx(wall["layers"])
    assert by_component["layers"] == pytest.approx(wall["layers"])
    assert profile.layers["busy_ms"].sum() == pytest.approx(
        profile.ops[profile.ops["layer"].notna()]["busy_ms"].sum()
    )


def test_ops_are_their_events(profile):
    events = profile.events.groupby(["op", "op_type"])["duration_ns"].agg(["count", "sum"])
    ops = profile.ops.groupby(["op", "op_type"])[["calls", "busy_ms"]].sum()
    ops = ops[ops["calls"] > 0]
    assert ops["calls"].to_dict() == events["count"].to_dict()
    assert (ops["busy_ms"] * 1e6).to_dict() == pytest.approx(events["sum"].to_dict())
    assert profile.ops["component"].notna().all()
    assert set(profile.ops["component"]) <= set(COMPONENTS)


def test_a_layer_of_ops_and_events_is_a_path_of_layers(profile):
    paths = set(profile.layers["path"])
    assert profile.layers["path"].is_unique
    for table in (profile.ops, profile.events):
        assert set(table["layer"].dropna()) <= paths


def test_recorded_never_exceeds_expected(profile):
    known = profile.ops.dropna(subset="expected_calls")
    assert (known["calls"] <= known["expected_calls"]).all()


def test_steps_cover_the_samples(profile):
    assert profile.steps["samples"].sum() == profile.run["trace"]["samples"]
    assert len(profile.steps) == profile.run["trace"]["steps"]


def test_what_did_not_run_has_no_time(profile):
    silent = profile.ops[profile.ops["calls"] == 0]
    assert silent[["busy_ms", "mean_us", "wall_ms", "thread_ms"]].isna().all(axis=None)


@pytest.mark.parametrize("depth", [0, 1])
def test_rolled_up_tables_keep_the_sums(profile, depth):
    rolled = profile.tree(depth)
    assert list(rolled.columns) == list(profile.layers.columns)
    assert rolled["depth"].max() <= depth
    for column in ("wall_ms", "busy_ms", "thread_ms", "mults", "macs", "params", "calls"):
        assert rolled[column].sum() == pytest.approx(profile.layers[column].sum())


def test_work_per_sample_times_samples_is_the_rate(profile):
    rows = profile.layers.dropna(subset="gmacs_per_s")
    samples = profile.run["trace"]["samples"]
    expected = rows["macs"] * samples / (rows["wall_ms"] * 1e-3) / 1e9
    pd.testing.assert_series_equal(rows["gmacs_per_s"], expected, check_names=False)
