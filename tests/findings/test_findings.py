"""What every finding has, how findings are ranked, and how they are told together."""

import pandas as pd
import pytest
from runs_by_hand import kernel, layer, run
from runs_for_rules import (
    both_settings,  # noqa: F401
    kinds,
    only,
)

from tftrace.findings import find
from tftrace.report.findings import grouped

# --- what every finding has -----------------------------------------------------------------


def test_a_finding_says_what_why_what_to_do_and_how_sure() -> None:
    found = find(run([layer("m/a", "Permute", 10)], [kernel("t", "Transpose", "m/a", 10)]))
    (finding,) = found
    assert finding.keys() == {
        *("layer", "kind", "text", "cause", "remedy", "saving_ms", "evidence", "sure", "command"),
        "saving_bytes",
    }
    assert finding["sure"] in ("measured", "modelled", "heuristic")
    assert finding["evidence"]["ms"] == 10


def test_the_largest_saving_comes_first() -> None:
    layers = [layer("m/a", "Permute", 10), layer("m/b", "ZeroPadding2D", 30)]
    ops = [kernel("t", "Transpose", "m/a", 10), kernel("p", "Pad", "m/b", 30)]
    assert kinds(find(run(layers, ops))) == ["padding pass", "transpose pass"]


def test_a_trace_without_layers_has_no_findings() -> None:
    empty = run([layer("m", "Model", 1)])
    empty.layers = empty.layers.iloc[:0]
    assert find(empty) == []


@pytest.mark.parametrize(("each_ms", "seen"), [(0.05, 0), (0.2, 60)])
def test_small_findings_count_by_their_sum(each_ms: float, seen: int) -> None:
    """60 transposes in 1000 ms of layers: 3 ms are below a hundredth, 12 ms are not."""
    paths = [f"m/t{i}" for i in range(60)]
    layers = [layer("m/conv", "Conv2D", 1000), *(layer(p, "Permute", each_ms) for p in paths)]
    ops = [kernel("conv", "Conv2D", "m/conv", 1000)]
    ops += [kernel(p, "Transpose", p, each_ms) for p in paths]
    assert kinds(find(run(layers, ops))).count("transpose pass") == seen


def test_an_execution_held_up_by_others_is_not_promised() -> None:
    """Three of four executions took 1 ms and one 7: settled, that is 4 of the 10 ms."""
    slow = kernel("t", "Transpose", "m/a", 10, p50_us=1000.0)
    finding = only(find(run([layer("m/a", "Permute", 10)], [slow])), "transpose pass")
    assert finding["saving_ms"] == pytest.approx(4)


# --- grouping for the eye -------------------------------------------------------------------


def told(kind: str, layer: str, saving: float | None, sure: str = "measured"):
    return {
        **{"kind": kind, "layer": layer, "text": f"{layer} is slow", "cause": "c", "remedy": "r"},
        **{"saving_ms": saving, "sure": sure, "evidence": {"ms": saving or 1.0}},
        "saving_bytes": None,
    }


def test_many_of_a_kind_are_told_once_with_their_sum() -> None:
    many = [told("norm", f"m/bn{i}", 10.0 - i) for i in range(5)]
    first, second = grouped([told("overhead", None, 20.0), *many, told("pad", "m/p", None)])[:2]
    assert first.title == "norm (5 layers): would save about 40.0 ms (measured)"
    assert [f["layer"] for f in first.shown] == ["m/bn0"]
    assert first.rest == "Likewise 4 more, 30.0 ms: bn1, bn2, bn3 …"
    assert second.kind == "overhead"


def test_a_few_of_a_kind_are_all_told_and_the_least_sure_names_the_group() -> None:
    few = [told("pad", "m/a", 2.0), told("pad", "m/b", 1.0, "heuristic")]
    (group,) = grouped(few)
    assert (len(group.shown), group.rest) == (2, "")
    assert group.title.endswith("3.00 ms (heuristic)")
    assert grouped([told("pad", "m/a", None)])[0].title == "pad: no saving promised"


def test_null_times_are_no_trouble() -> None:
    """Kernels that were not recorded have no times."""
    unseen = kernel("k", "Transpose", "m/a", 0, calls=0, wall_ms=pd.NA, busy_ms=pd.NA, p50_us=pd.NA)
    assert not find(run([layer("m/a", "Permute", 10)], [unseen]))
