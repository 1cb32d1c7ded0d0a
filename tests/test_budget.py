"""Budgets: limits that hold, limits that break, and limits that mean nothing."""

import re
import types
from pathlib import Path

import pandas as pd
import pytest

from tftrace.budget import KEYS, Breach, check, check_budget, read_budget
from tftrace.errors import TftraceError


def profile(scale: float = 1.0, samples: int = 10, median: float | None = 20.0):
    """Two layers with 6 and 4 ms times ``scale``; conv has 100 of 110 multiplications."""
    layers = pd.DataFrame(
        {
            "path": ["m/conv", "m/bn"],
            "type": ["Conv2D", "BatchNormalization"],
            "wall_ms": pd.array([6.0 * scale, 4.0 * scale], "Float64"),
            "mults": pd.array([100, 10], "Int64"),
            "macs": pd.array([100, None], "Int64"),
            "flops": pd.array([200, 20], "Int64"),
            "params": pd.array([5, 6], "Int64"),
            "bytes": pd.array([1000, 400], "Int64"),
            "roof_share": pd.array([0.5, None], "Float64"),
        }
    )
    wall = pd.DataFrame({"component": ["layers", "input pipeline"], "wall_share": [0.75, 0.25]})
    return types.SimpleNamespace(
        layers=layers,
        wall=wall,
        latency={"median_ms": median, "min_ms": 19.0, "traced_ms": 22.0},
        run={"trace": {"samples": samples}},
    )


@pytest.mark.parametrize(
    ("budget", "broken"),
    [
        ({"latency": {"median_ms": 20}}, []),
        ({"latency": {"median_ms": 19.5}}, [("latency", 19.5, 20.0)]),
        ({"counts": {"mults": 110, "params": 11}}, []),
        ({"counts": {"mults": 109}}, [("the model", 109, 110.0)]),
        ({"counts": {"macs": 1000}}, [("the model", 1000, None)]),
        ({"wall": {"input pipeline": 0.2}}, [("input pipeline", 0.2, 0.25)]),
        ({"layer": [{"path": "m/*", "max_ms": 5}]}, [("m/conv", 5, 6.0)]),
        ({"layer": [{"type": "BatchNormalization", "max_share": 0.5}]}, []),
        (
            {"layer": [{"type": "BatchNormalization", "max_share": 0.1}]},
            [("all BatchNormalization", 0.1, 0.4)],
        ),
        ({"layer": [{"max_ms": 9}]}, [("all layers", 9, 10.0)]),
        ({"layer": [{"path": "m/conv", "min_roof_share": 0.6}]}, [("m/conv", 0.6, 0.5)]),
        ({"layer": [{"path": "m/bn", "min_roof_share": 0.1}]}, [("m/bn", 0.1, None)]),
    ],
)
def test_breaches(budget, broken):
    check_budget(budget)
    found = check(profile(), budget)
    assert [(b.subject, b.limit) for b in found] == [(s, lim) for s, lim, _ in broken]
    for breach, (_, _, actual) in zip(found, broken, strict=True):
        assert breach.actual == (None if actual is None else pytest.approx(actual))


def with_memory(held: int | None):
    """`profile`, trained and with memory: conv's part of the peak as given, the weights' 50."""
    found = profile()
    found.layers = found.layers.assign(
        forward_ms=[2.0, 1.0],
        backward_ms=[3.0, 2.5],
        optimizer_ms=[1.0, 0.5],
        mults_backward=[200, 30],
        macs_backward=[200, 0],
    )
    found.memory = pd.DataFrame(
        {
            "path": ["m/conv", "m/bn", "weights"],
            "held_at_peak_bytes": pd.array([held, 0, 50], "Int64"),
        }
    )
    return found


@pytest.mark.parametrize(
    ("budget", "held", "broken"),
    [
        ({"memory": {"peak_bytes": 150}}, 100, []),
        ({"memory": {"peak_bytes": 149}}, 100, [("the model", 150)]),
        ({"memory": {"peak_bytes": 149}}, None, [("the model", None)]),
        ({"layer": [{"path": "m/*", "max_held_at_peak_bytes": 99}]}, 100, [("m/conv", 100)]),
        ({"layer": [{"path": "m/conv", "max_held_at_peak_bytes": 99}]}, None, [("m/conv", None)]),
        ({"layer": [{"path": "m/*", "max_backward_ms": 2.75}]}, 0, [("m/conv", 3.0)]),
        ({"layer": [{"path": "m/bn", "max_forward_ms": 0.5}]}, 0, [("m/bn", 1.0)]),
        ({"layer": [{"max_optimizer_ms": 1}]}, 0, [("all layers", 1.5)]),
        ({"layer": [{"path": "m/*", "max_macs_backward": 199}]}, 0, [("m/conv", 200)]),
        ({"counts": {"macs_backward": 199, "mults_backward": 230}}, 0, [("the model", 200)]),
    ],
)
def test_limits_on_memory_and_on_the_passes_of_training(budget, held, broken):
    check_budget(budget)
    assert [(b.subject, b.actual) for b in check(with_memory(held), budget)] == broken


def test_what_a_plain_run_does_not_know_breaks_the_limit_on_it():
    found = check(
        profile(),
        {"counts": {"macs_backward": 1}, "layer": [{"path": "m/conv", "max_backward_ms": 1}]},
    )
    assert [(b.subject, b.actual) for b in found] == [("the model", None), ("m/conv", None)]


def test_relative_limits_compare_with_the_baseline_per_sample():
    """Twice the samples in 1.5 times the time is 0.75 of the time per sample."""
    now, before = profile(scale=1.5, samples=20), profile()
    budget = {"layer": [{"path": "m/conv", "relative": 0.7}], "latency": {"relative": 1.0}}
    found = check(now, budget, before)
    assert found == [
        Breach("m/conv", "time relative to the baseline", 0.7, pytest.approx(0.75)),
    ]


def test_an_unmeasured_latency_is_no_pass():
    found = check(profile(median=None), {"latency": {"median_ms": 1e9}})
    assert [b.actual for b in found] == [None]


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ({"latancy": {}}, r"\[latancy\] is no part of a budget; known: \[latency\], "),
        ({"latency": 5}, r"written as \[latency\], with median_ms, "),
        ({"latency": [{"median_ms": 5}]}, r"written as \[latency\], with median_ms, "),
        ({"layer": {"path": "x", "max_ms": 5}}, r"written as \[\[layer\]\], with path, type, "),
        ({"layer": []}, r"written as \[\[layer\]\]"),
        ({"layer": [5]}, r"written as \[\[layer\]\]"),
        ({"layer": [{"path": "x"}]}, r"\[\[layer\]\] sets no limit; it may have path, .*max_ms"),
        ({"layer": [{"path": 3, "max_ms": 5}]}, "path must be a text"),
        ({"latency": {}}, "sets no limit; it may have median_ms"),
        ({"wall": {}}, "sets no limit"),
        ({"wall": {"layers": "0.5"}}, "layers must be a number"),
        ({"latency": {"median_ms": float("nan")}}, "must be a number"),
        ({"latency": {"median_ms": float("inf")}}, "must be a number"),
        ({"counts": {"mults": 10**400}}, "must be a number"),
        ({"latency": {"max": 1}}, "unknown key 'max'"),
        ({"layer": [{"path": "x", "max_ms": "5"}]}, "must be a number"),
        ({"counts": {"mults": True}}, "must be a number"),
    ],
)
def test_keys_that_no_rule_reads_are_refused(budget, words):
    with pytest.raises(TftraceError, match=words):
        check_budget(budget)


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ({"layer": [{"path": "nobody", "max_ms": 1}]}, "matches no layer: path=nobody"),
        ({"wall": {"lunch": 0.1}}, "is none of layers, input pipeline"),
        ({"latency": {"relative": 1.0}}, "give --baseline"),
    ],
)
def test_rules_that_cannot_apply_are_refused(budget, words):
    with pytest.raises(TftraceError, match=words):
        check(profile(), budget)


def test_reading(tmp_path):
    path = tmp_path / "budget.toml"
    path.write_text('[latency]\nmedian_ms = 5\n[[layer]]\npath = "m/*"\nmax_ms = 1.5\n')
    assert read_budget(path) == {
        "latency": {"median_ms": 5},
        "layer": [{"path": "m/*", "max_ms": 1.5}],
    }
    path.write_text("not toml")
    with pytest.raises(TftraceError, match="is not TOML"):
        read_budget(path)
    with pytest.raises(TftraceError, match="no budget file"):
        read_budget(tmp_path / "none.toml")


def test_every_type_of_toml_in_every_place_is_one_line_with_the_file(tmp_path):
    """Only numbers under a known key, and texts that select layers, are let through."""
    values = ["5", "5.5", '"x"', "true", "nan", "inf", "2020-01-01", "12:00:00", "[]", "[1]", "{}"]
    values += ["[{}]", "{a=1}", "[{a=1}]", "2020-01-01T00:00:00Z", "-1", "9" * 400]
    places = ["{v}", "latency={v}", "counts={v}", "wall={v}", "layer={v}", "other={v}"]
    places += ["latency.median_ms={v}", "latency.x={v}", "counts.mults={v}", "wall.layers={v}"]
    places += ["[[layer]]\nmax_ms={v}", "[[layer]]\nmax_ms=1\npath={v}", "[[layer]]\ntype={v}"]
    places += ["[[latency]]\nmedian_ms={v}", "[layer]\nmax_ms={v}", "latency.median_ms.x={v}"]
    path = tmp_path / "b.toml"
    passed = set()
    for place in places:
        for value in values:
            path.write_text(place.replace("{v}", value))
            message = refusal(path)
            if message is None:
                passed.add((place, value))
            else:
                assert str(path) in message
                assert "\n" not in message
    numbers = {"5", "5.5", "-1"}
    limits = ("latency.median_ms={v}", "counts.mults={v}", "wall.layers={v}", places[10])
    assert passed == {
        *((place, v) for place in limits for v in numbers),
        (places[11], '"x"'),
        ("wall={v}", "{a=1}"),  # the run says which components there are
    }


def refusal(path) -> str | None:
    try:
        read_budget(path)
    except TftraceError as error:
        return str(error)
    return None


@pytest.mark.parametrize("content", [b"", b"# nothing", b"\xff\xfe", b"a = ", b"x=" + b"[" * 5000])
def test_a_file_that_limits_nothing_never_passes(tmp_path, content):
    (tmp_path / "b.toml").write_bytes(content)
    with pytest.raises(TftraceError, match=r"b\.toml"):
        read_budget(tmp_path / "b.toml")


def test_a_folder_is_no_budget(tmp_path):
    with pytest.raises(TftraceError, match="cannot read"):
        read_budget(tmp_path)


def test_the_docs_list_every_table_and_key():
    page = (Path(__file__).parents[1] / "docs" / "budgets.md").read_text()
    name = ""
    rows = re.findall(r"^\| (?:`(\[+\w+\]+)`)? ?\| (?:`(\w+)`|any component) \|", page, flags=re.M)
    told: dict[str, set[str]] = {}
    for table, key in rows:
        name = table.strip("[]") or name  # a cell that is empty repeats the one above
        told.setdefault(name, set()).update({key} - {""})
    assert told.pop("wall") == set()
    assert told == {table: set(keys) for table, keys in KEYS.items()}
