"""Every column with numbers has a unit: in `attrs`, in Parquet for any reader, in the docs."""

import json
import re
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from pyarrow import parquet
from traces import write_trace

import tftrace
from tftrace.comparison.compare import compare_runs
from tftrace.report.exports.tables import export_tables
from tftrace.units import ELSEWHERE, UNITS

_OF_ORDER = {"call", "depth", "epoch", "step"}
_TABLES = ("layers", "ops", "events", "steps", "wall", "input", "epochs", "primitives", "lines")


@pytest.fixture(scope="module")
def profile(run_of):
    return run_of("small")


def numbers(table: pd.DataFrame) -> set[str]:
    return {
        name
        for name in table.columns
        if pd.api.types.is_numeric_dtype(table[name])
        and not pd.api.types.is_bool_dtype(table[name])
    }


def assert_known(table: pd.DataFrame) -> None:
    assert numbers(table) - _OF_ORDER == set(table.attrs["units"])


def test_every_number_of_a_profile_has_a_unit(profile):
    for name in (*_TABLES, "replicas", "disagreements"):
        assert_known(getattr(profile, name))
    assert profile.layers.attrs["units"]["wall_ms"] == "ms"
    assert profile.layers.attrs["units"]["mults"] == "mult/sample"


def test_those_of_other_results_too(profile, run_of, tmp_path):
    import networks

    model, _ = networks.BUILDERS["small"]()
    counts = tftrace.count(model)
    comparison = compare_runs(profile, run_of("branches"))
    for table in (counts.layers, counts.ops, comparison.layers, comparison.kernels):
        assert_known(table)
    trace = {"/device:GPU:0": {"Stream #1(Compute)": [("gemm", 0, 30, {})]}}
    foreign = tftrace.load(write_trace(tmp_path / "gpu.xplane.pb", trace))
    for name in ("ops", "wall", "lines", "replicas", "epochs"):
        assert_known(getattr(foreign, name))


def test_a_scan_and_its_data_set(profile, tmp_path):
    from pyarrow import dataset

    from tftrace.scan import scan

    profile.save(tmp_path / "logs")
    found = scan([str(tmp_path / "logs")], None, str(tmp_path / "out"), 1, lambda _: None)
    for name in ("ops", "layers", "hosts", "op_types", "layer_spread", "op_spread", "layer_totals"):
        assert_known(getattr(found, name))
    assert found.hosts.attrs["units"]["bytes"] == "byte"
    schema = dataset.dataset(tmp_path / "out", partitioning="hive").schema
    assert schema.field("wall_ms").metadata == {b"unit": b"ms"}
    assert schema.field("bytes").metadata is None


def test_duckdb_and_pandas_read_back_the_rows_and_the_units(profile, tmp_path):
    export_tables(profile, "parquet", tmp_path)
    for name in profile.table_names:
        path, table = tmp_path / f"{name}.parquet", profile.table(name)
        units = table.attrs["units"]
        assert pd.read_parquet(path).attrs["units"] == units
        fields = parquet.read_schema(path)
        assert {f.name: f.metadata[b"unit"].decode() for f in fields if f.metadata} == units
        told = duckdb.sql(f"select key, value from parquet_kv_metadata('{path}')").fetchall()
        assert json.loads(dict(told)[b"units"]) == units
        assert duckdb.sql(f"select count(*) from '{path}'").fetchall() == [(len(table),)]
    (longest,) = duckdb.sql(
        f"select path, wall_ms from '{tmp_path}/layers.parquet' order by wall_ms desc limit 1"
    ).fetchall()
    row = profile.layers.sort_values("wall_ms", ascending=False).iloc[0]
    assert longest == (row["path"], row["wall_ms"])


def test_the_docs_have_the_same_units():
    page = (Path(__file__).parents[2] / "docs" / "tables.md").read_text()
    section = page.partition("## Units\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \|$", section, flags=re.M)
    told = {unit: re.findall(r"`(\w+)`", columns) for unit, columns in rows}
    assert told == {unit: sorted(columns) for unit, columns in UNITS.items()}
    for (table, column), unit in ELSEWHERE.items():
        assert f"`{unit}` (`{column}` of `{table}`)" in section


def test_a_column_has_one_unit():
    every = [column for columns in UNITS.values() for column in columns]
    assert len(every) == len(set(every))
