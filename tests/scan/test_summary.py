"""What many captures say together, on frames made by hand."""

from statistics import median

import pandas as pd
import pytest

from tftrace.scan.result import assemble
from tftrace.scan.summary import (
    DEVICE,
    OPS,
    PER_SAMPLE,
    compare_hosts,
    layer_spread,
    layer_totals,
    op_spread,
    op_type_totals,
    stragglers,
)

HOST_COLUMNS = ["model", "batch_size", "jit", "samples", "wall_ms", "ops_ms", "device_ms"]
MACHINE = "a processor, 2 cores"


def hosts(*rows: tuple, machines=None) -> pd.DataFrame:
    """(run, host, model, batch size, samples, wall ms, ops ms, device ms) each; None: unknown."""
    table = pd.DataFrame(
        [(*row[:4], None if row[2] is None else False, *row[4:]) for row in rows],
        columns=["run", "host", *HOST_COLUMNS],
    )
    table["machine"] = machines or MACHINE
    return compare_hosts(
        table.astype(
            {"batch_size": "Int64", "jit": "boolean", "samples": "Int64"}
            | dict.fromkeys(["wall_ms", "ops_ms", "device_ms"], "Float64")
        )
    )


def plain(run: str, host: str, ops_ms: float | None, device_ms: float | None = None) -> tuple:
    return (run, host, None, None, None, None, ops_ms, device_ms)


def traced(run: str, host: str, samples: int, wall_ms: float, batch_size: int = 32) -> tuple:
    return (run, host, "net", batch_size, samples, wall_ms, 1.0, None)


def ops(*rows: tuple) -> pd.DataFrame:
    columns = ["run", "host", "op", "op_type", "device", "occurrences", "total_ms", "self_ms"]
    return pd.DataFrame(rows, columns=columns)


def layers(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["run", "host", "path", "type", "wall_ms"])


class TestHosts:
    def test_the_hosts_of_a_run_are_compared_per_sample(self):
        table = hosts(
            traced("r", "a", 100, 50), traced("r", "b", 200, 100), traced("r", "c", 100, 75)
        )
        assert table["basis"].eq(PER_SAMPLE).all()
        assert table["time_ms"].tolist() == [0.5, 0.5, 0.75]
        # The others of a take 0.5 and 0.75, those of c 0.5 and 0.5.
        assert table["over_median"].tolist() == [0.8, 0.8, 1.5]
        assert stragglers(table)["host"].tolist() == ["c"]

    def test_runs_are_not_compared_with_each_other(self):
        table = hosts(
            plain("r", "a", 1), plain("r", "b", 1), plain("s", "a", 9), plain("s", "b", 9)
        )
        assert table["over_median"].tolist() == [1, 1, 1, 1]
        assert stragglers(table).empty

    def test_a_host_is_no_peer_of_its_own(self):
        table = hosts(plain("r", "a", 100), plain("r", "b", 120))
        assert table["over_median"].tolist() == [pytest.approx(100 / 120), 1.2]
        assert stragglers(table)["host"].tolist() == ["b"]

    @pytest.mark.parametrize("times", [[3, 1, 2], [5, 1, 4, 2], [1, 1, 1, 7, 7], list(range(1, 9))])
    def test_each_is_held_to_the_median_of_the_others(self, times):
        table = hosts(*(plain("r", str(i), t) for i, t in enumerate(times)))
        expected = [t / median(times[:i] + times[i + 1 :]) for i, t in enumerate(times)]
        assert table["over_median"].tolist() == pytest.approx(expected)

    def test_runs_on_other_machines_are_no_peers(self):
        rows = [
            traced(run, "a", 10, 10 * slow) for run, slow in zip("rstu", [1, 1, 3, 3], strict=True)
        ]
        assert stragglers(hosts(*rows))["run"].tolist() == ["t", "u"]
        unlike = hosts(*rows, machines=["new", "new", "old", "old"])
        assert unlike["over_median"].tolist() == [1, 1, 1, 1]
        assert unlike["peers"].iloc[2] == "net, batch size 32, on old"
        unknown = hosts(*rows, machines=[None] * 4)
        assert unknown["peers"].nunique() == 1

    def test_runs_of_one_host_are_compared_where_the_work_is_the_same(self):
        table = hosts(
            traced("r", "a", 10, 10),
            traced("s", "b", 10, 10),
            traced("t", "c", 10, 30),
            traced("u", "d", 10, 99, batch_size=1),
            plain("v", "e", 1),
        )
        assert table["peers"].iloc[:3].nunique() == 1
        assert table["over_median"].tolist()[:3] == [0.5, 0.5, 3]
        assert table["over_median"].isna().tolist() == [False, False, False, True, True]
        assert stragglers(table)["run"].tolist() == ["t"]

    def test_one_host_without_a_manifest_makes_all_be_compared_by_ops(self):
        table = hosts(traced("r", "a", 10, 10), plain("r", "b", 4.0))
        assert table["basis"].eq(OPS).all()
        assert table["time_ms"].tolist() == [1, 4]

    def test_devices_are_compared_where_all_have_one(self):
        table = hosts(plain("r", "a", 50, 2), plain("r", "b", 1, 2), plain("s", "a", 1, 2))
        assert table["basis"].tolist() == [DEVICE, DEVICE, DEVICE]
        assert hosts(plain("r", "a", 5, 2), plain("r", "b", 1))["basis"].eq(OPS).all()

    def test_a_capture_without_ops_is_compared_with_nobody(self):
        table = hosts(plain("r", "a", None), plain("r", "b", 1))
        assert table["time_ms"].isna().all()
        assert table["over_median"].isna().all()
        assert not table["straggler"].any()

    def test_a_median_of_zero_is_no_measure(self):
        assert hosts(plain("r", "a", 0), plain("r", "b", 0))["over_median"].isna().all()

    def test_the_limit_belongs_to_the_stragglers(self):
        table = hosts(*(plain("r", name, 100) for name in "abc"), plain("r", "d", 120))
        assert table["straggler"].tolist() == [False, False, False, True]
        table = hosts(*(plain("r", name, 100) for name in "abc"), plain("r", "d", 119.9))
        assert not table["straggler"].any()

    def test_the_slowest_straggler_comes_first(self):
        table = hosts(*(plain("r", n, t) for n, t in zip("abcde", [1, 1, 2, 1, 3], strict=True)))
        assert stragglers(table)["host"].tolist() == ["e", "c"]


class TestSpread:
    def test_of_layers_over_hosts(self):
        about = hosts(*(traced("r", host, 1000, 9) for host in "abcd"))
        table = layers(
            *(
                ("r", h, "net/conv", "Conv2D", t)
                for h, t in zip("abcd", [4, 6, 2, 15], strict=True)
            ),
            *(("r", h, "net/relu", "ReLU", t) for h, t in zip("abcd", [1, 1, 1, 1.5], strict=True)),
        )
        spread = layer_spread(table, about)
        assert spread["path"].tolist() == ["net/conv", "net/relu"]
        assert spread.iloc[0][2:].to_dict() == {
            "captures": 4,
            "min_us": 2,
            "median_us": 5,
            "max_us": 15,
            "max_over_median": 3,
            "slowest_host": "d",
            "slowest_run": "r",
        }

    def test_is_per_sample(self):
        about = hosts(traced("r", "a", 10, 9), traced("r", "b", 40, 9))
        table = layers(("r", "a", "net/x", "X", 1.0), ("r", "b", "net/x", "X", 4.0))
        (row,) = layer_spread(table, about).itertuples()
        assert (row.min_us, row.max_us, row.max_over_median) == (100, 100, 1)

    def test_what_loses_most_comes_first_however_small_its_ratio(self):
        about = hosts(traced("r", "a", 1, 9), traced("r", "b", 1, 9), traced("r", "c", 1, 9))
        table = layers(
            *(("r", h, "tiny", "X", t) for h, t in zip("abc", [1, 1, 9], strict=True)),
            *(("r", h, "large", "X", t) for h, t in zip("abc", [900, 1000, 1100], strict=True)),
        )
        assert layer_spread(table, about)["path"].tolist() == ["large", "tiny"]

    def test_a_layer_of_one_capture_has_none(self):
        assert layer_spread(
            layers(("r", "a", "net/x", "X", 1.0)), hosts(traced("r", "a", 1, 9))
        ).empty

    def test_of_ops_adds_up_planes_and_leaves_the_input_pipeline_out(self):
        about = hosts(plain("r", "a", 1), plain("r", "b", 1))
        table = ops(
            ("r", "a", "x", "MatMul", "host", 1, 5.0, 1.0),
            ("r", "a", "x", "MatMul", "device", 1, 2.0, 2.0),
            ("r", "b", "x", "MatMul", "host", 1, 5.0, float("nan")),
            ("r", "a", "Iterator::Root", "Dataset", "host", 1, 5.0, 5.0),
            ("r", "b", "Iterator::Root", "Dataset", "host", 1, 9.0, 9.0),
        )
        (row,) = op_spread(table, about).itertuples()
        assert (row.op, row.min_ms, row.max_ms, row.slowest_host) == ("x", 3, 5, "b")


class TestTotals:
    def test_of_op_types(self):
        table = ops(
            ("r", "a", "x", "MatMul", "host", 2, 3.0, 2.0),
            ("r", "b", "x", "MatMul", "host", 1, 4.0, 4.0),
            ("r", "a", "y", "Relu", "host", 5, 2.0, 2.0),
            ("r", "a", "z", "MatMul", "device", 5, 1.0, 1.0),
            ("r", "a", "Iterator::Root", "Dataset", "host", 1, 90.0, 90.0),
        )
        totals = op_type_totals(table).set_index(["device", "op_type"])
        assert totals.index[0] == ("host", "Dataset")
        assert totals.loc[("host", "MatMul")].to_dict() == {
            "captures": 2,
            "occurrences": 3,
            "own_ms": 6,
            "share": 0.75,
        }
        assert totals.loc[("device", "MatMul"), "share"] == 1
        assert pd.isna(totals.loc[("host", "Dataset"), "share"])

    def test_of_layers(self):
        about = hosts(traced("r", "a", 1, 9), traced("s", "a", 1, 9))
        table = layers(
            ("r", "a", "net/x", "X", 1.0),
            ("s", "a", "net/x", "X", 2.0),
            ("r", "a", "net/y", "Y", 1),
        )
        rows = layer_totals(table, about)
        assert rows["path"].tolist() == ["net/x", "net/y"]
        assert rows.iloc[0].to_dict() == {
            "model": "net",
            "path": "net/x",
            "type": "X",
            "captures": 2,
            "wall_ms": 3,
            "share": 0.75,
        }


@pytest.mark.parametrize("name", ["stragglers", "layer_spread", "op_spread", "layer_totals"])
def test_nothing_read_is_nothing_said(name):
    result = assemble([], [])
    assert getattr(result, name).empty
    assert result.op_types.empty
