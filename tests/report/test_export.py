"""Exported files hold exactly the tables."""

import json

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

import tftrace
from tftrace.api.profile import TABLES
from tftrace.errors import TftraceError
from tftrace.report.exports.parquet import write_in_parts
from tftrace.report.exports.tables import export_tables, write_json

LISTS = ("output_shape", "fused_with", "members")


@pytest.fixture(params=["small", "recurrent"])
def profile(request, run_of):
    return run_of(request.param)


def same(found, expected):
    """Equal cells, null for null, floats to the last bit."""
    assert list(found.columns) == list(expected.columns)
    assert len(found) == len(expected)
    for name in expected.columns:
        for got, wanted in zip(found[name], expected[name], strict=True):
            assert plain(got) == plain(wanted), name


def plain(value):
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(v) for v in value]
    return None if pd.isna(value) else value


def test_csv(profile, tmp_path):
    paths = export_tables(profile, "csv", tmp_path / "out")
    assert sorted(p.name for p in paths) == sorted(f"{name}.csv" for name in TABLES)
    for name in TABLES:
        table = pd.read_csv(tmp_path / "out" / f"{name}.csv", float_precision="round_trip")
        for column in set(LISTS) & set(table.columns):
            table[column] = table[column].map(json.loads, na_action="ignore")
        same(table, profile.table(name))


def test_parquet(profile, tmp_path):
    export_tables(profile, "parquet", tmp_path)
    for name in TABLES:
        same(pd.read_parquet(tmp_path / f"{name}.parquet"), profile.table(name))


@pytest.mark.parametrize("rows", [1, 7])
def test_events_go_to_parquet_in_row_groups(profile, tmp_path, rows):
    path = tmp_path / "events.parquet"
    write_in_parts(profile.event_chunks(rows), path)
    assert parquet.ParquetFile(path).num_row_groups == -(-len(profile.events) // rows)
    same(pd.read_parquet(path), profile.events)


def test_json(profile, tmp_path):
    export_tables(profile, "json", tmp_path / "deep" / "run.json")
    data = json.loads((tmp_path / "deep" / "run.json").read_text())
    for name in TABLES:
        same(pd.DataFrame(data[name], columns=profile.table(name).columns), profile.table(name))


def test_the_json_contract(profile, tmp_path):
    write_json(profile, tmp_path / "run.json")
    data = json.loads((tmp_path / "run.json").read_text(), parse_constant=pytest.fail)
    assert data == profile.to_dict()
    assert data["schema"] == 1
    wanted = {"model", "run", "latency", "wall", "layers", "ops", "counting", "findings"}
    assert data.keys() >= wanted
    assert data["run"].keys() >= {"samples", "batch_size", "steps", "repeats", "jit", "trace"}
    assert data["latency"].keys() >= {"median_ms", "iqr_ms", "min_ms", "all_ms", "traced_ms"}
    assert all(row.keys() == {"component", "wall_ms", "wall_share"} for row in data["wall"])
    assert data["counting"].keys() >= {"rule", "coverage"}
    assert all(f.keys() >= {"layer", "kind", "text"} for f in data["findings"])
    assert "events" not in data


def test_saved_and_loaded_again_it_is_the_same(profile, tmp_path):
    folder = profile.save(tmp_path)
    assert folder.parent == tmp_path / "plugins" / "profile"
    for path in (tmp_path, folder, next(folder.glob("*.tftrace.json"))):
        loaded = tftrace.load(path)
        assert loaded.to_dict() == profile.to_dict()


def test_saving_twice_keeps_both(profile, tmp_path):
    assert profile.save(tmp_path) != profile.save(tmp_path)
    assert len(list((tmp_path / "plugins" / "profile").iterdir())) == 2


def test_places_that_cannot_be_written_are_named(profile, tmp_path):
    (tmp_path / "file").touch()
    for write in (
        lambda: export_tables(profile, "csv", tmp_path / "file" / "below"),
        lambda: write_json(profile, tmp_path / "file" / "x.json"),
        lambda: write_json(profile, tmp_path),
        lambda: profile.save(tmp_path / "file"),
    ):
        with pytest.raises(TftraceError):
            write()


@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "schema", "trace gone", "trace cut"])
def test_a_damaged_run_is_named(run_of, tmp_path, damage):
    folder = run_of("small").save(tmp_path)
    manifest, trace = next(folder.glob("*.json")), next(folder.glob("*.xplane.pb"))
    if damage == "cut":
        manifest.write_text(manifest.read_text()[:100])
    elif damage == "empty":
        manifest.write_text("")
    elif damage == "gone":
        manifest.unlink()
    elif damage == "schema":
        manifest.write_text(json.dumps({"schema": 99}))
    elif damage == "trace gone":
        trace.unlink()
    else:
        trace.write_bytes(trace.read_bytes()[:-100])
    with pytest.raises(TftraceError):
        tftrace.load(folder).to_dict()
