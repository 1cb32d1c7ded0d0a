"""The JSON schema in the package: what runs really write fits it, and the docs say the same."""

import json
import re
from importlib.resources import files
from pathlib import Path

import jsonschema
import networks
import numpy as np
import pytest
from traces import write_trace
from typer.testing import CliRunner

import tftrace
from tftrace.cli import app
from tftrace.units import units_of

DOCS = (Path(__file__).parents[2] / "docs" / "tables.md").read_text()
SCHEMA = json.loads((files("tftrace") / "schema" / "report.json").read_text())
TABLES = ("layers", "ops", "steps", "wall", "input", "epochs", "memory", "disagreements")


@pytest.fixture(scope="module")
def check():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return jsonschema.Draft202012Validator(SCHEMA).validate


def columns(table: str) -> dict:
    return SCHEMA["properties"][table]["items"]["properties"]


@pytest.mark.parametrize("name", ["mission", "recurrent", "mobilenet_v2"])
def test_what_runs_write_fits(check, run_of, name):
    profile = run_of(name)
    done = CliRunner().invoke(app, ["report", str(profile.folder), "--json", "-"])
    found = json.loads(done.stdout)
    check(found)
    assert len(found["layers"]) == len(profile.layers)


def test_data_in_batches_of_its_own_fits(check, run_of):
    import tensorflow as tf

    model, _ = networks.BUILDERS["small"]()
    data = tf.data.Dataset.from_tensor_slices(np.zeros((20, 8), "float32")).map(abs).batch(10)
    found = tftrace.profile(model, data, repeats=0, calibrate=False).to_dict()
    check(found)
    assert found["input"]


def test_who_holds_the_memory_fits(check, run_of):
    found = run_of("mobilenet_v2", memory=True)
    check(found.to_dict())
    told = list(columns("memory"))
    assert list(found.memory.columns) == told
    assert list(found.to_dict()["memory"][0]) == told


@pytest.mark.parametrize("repeats", [0, 1])
def test_the_epochs_of_fit_fit(check, repeats):
    model, x = networks.BUILDERS["small"]()
    model.compile("sgd", "mse")
    y = np.zeros((len(x), *model.output_shape[1:]), "float32")
    found = tftrace.profile(model, x, y, phase="fit", repeats=repeats, calibrate=False)
    check(found.to_dict())
    assert list(found.to_dict()["epochs"][0]) == list(columns("epochs")) == [*found.epochs]


def test_a_trace_from_elsewhere_fits(check, tmp_path):
    trace = {"/device:GPU:0": {"Stream #1(Compute)": [("gemm", 0, 30, {})]}}
    check(tftrace.load(write_trace(tmp_path / "gpu.xplane.pb", trace)).to_dict())


def test_what_does_not_fit_is_noticed(check, run_of):
    found = run_of("small").to_dict()
    for wrong in (
        {key: value for key, value in found.items() if key != "layers"},
        found | {"schema": 2},
        found | {"surprise": 1},
        found | {"steps": [found["steps"][0] | {"wall_ms": "3"}]},
        found | {"findings": [{"kind": "k"}]},
    ):
        with pytest.raises(jsonschema.ValidationError):
            check(wrong)


@pytest.mark.parametrize("table", ["layers", "ops", "input", "epochs", "memory"])
def test_the_docs_tell_the_same_columns(table):
    section = DOCS.partition(f"\n## {table}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", section, flags=re.M)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(columns(table))


def test_the_docs_tell_the_same_keys():
    section = DOCS.partition("\n## JSON\n")[2]
    block = re.search(r"^    \{.*?\n\n", section, flags=re.M | re.S)
    assert block is not None
    told = set(re.findall(r'"(\w+)"', block[0]))
    item = SCHEMA["properties"]["findings"]["items"]["properties"]
    counting = SCHEMA["properties"]["counting"]["properties"]
    assert told == set(SCHEMA["required"]) | set(item) | set(counting)
    assert set(SCHEMA["properties"]) - set(SCHEMA["required"]) == {
        *("input", "epochs", "memory", "onednn")
    }


@pytest.mark.parametrize("table", TABLES)
def test_units_are_those_of_the_tables(table):
    told = {name: each["unit"] for name, each in columns(table).items() if "unit" in each}
    assert told == units_of(columns(table))
