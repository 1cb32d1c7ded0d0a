"""What a notebook shows: ten lines of each result, and the page's charts one by one."""

import re

import pytest
from bokeh.plotting import figure
from traces import write_trace

import tftrace
from tftrace.comparison.compare import compare_runs
from tftrace.errors import TftraceError
from tftrace.estimation.kernels import Estimate
from tftrace.estimation.network import NetworkEstimate
from tftrace.report.fragment import fragment
from tftrace.report.sheet import Barred, Column, Line, Row, Sheet

EVIL = "<img src=x onerror=alert(1)>"


def lines(html: str) -> list[str]:
    """What is read as a line: a paragraph, or a row of a table."""
    found = re.findall(r"<p.*?</p>|<tr.*?</tr>", html, flags=re.S)
    return [re.sub(r"<[^>]*>", " ", line).strip() for line in found]


@pytest.mark.parametrize("name", ["mission", "mobilenet_v2"])
def test_a_profile_is_about_ten_lines(run_of, name):
    profile = run_of(name)
    told = lines(profile._repr_html_())
    # Three of the answer, a heading and five layers, three kinds of findings, one of what else
    # there is, and one for each doubt.
    assert len(told) <= 13 + len(profile.warnings) + 1
    assert max(map(len, told)) < 400
    longest = profile.layers.sort_values("wall_ms", ascending=False)["name"].iloc[0]
    assert any(longest in line for line in told)


def test_findings_are_told_by_kind(run_of):
    profile = run_of("small")
    one = {
        "kind": "unfused batch norm",
        "text": "t",
        "cause": "c",
        "remedy": "fold it",
        "saving_ms": 0.5,
        "saving_bytes": None,
        "evidence": {},
        "sure": "measured",
        "command": "tftrace fold m.keras -o f.keras",
    }
    vars(profile)["findings"] = [one | {"layer": f"small/bn{n}"} for n in range(395)]
    try:
        told = lines(profile._repr_html_())
    finally:
        del vars(profile)["findings"]
    # 395 times 0.5 ms.
    (line,) = [line for line in told if line.startswith("unfused batch norm (395 layers)")]
    assert "198 ms" in line
    assert line.endswith("tftrace fold m.keras -o f.keras")
    assert len(told) <= 13


def test_names_of_markup_are_text():
    sheet = Sheet(EVIL, (Column(EVIL), Column("share", bar=8)), (Row((EVIL, Barred("5%", 0.5))),))
    html = fragment([Line(EVIL), Line(EVIL, whole=True), sheet])
    assert "<img" not in html
    assert html.count("&lt;img") == 5
    assert "width:2.00em" in html


def test_a_count_tells_totals_and_the_largest_layers():
    import networks

    model, _ = networks.BUILDERS["small"]()
    told = lines(tftrace.count(model)._repr_html_())
    # 8 x 16 and 16 x 4 multiply-accumulates.
    assert "mults: 192" in told
    assert any(line.startswith("hidden") for line in told)
    assert len(told) <= 15


def test_an_estimate_and_a_comparison(run_of):
    import pandas as pd

    total = Estimate(ms=3.0, low_ms=2.0, high_ms=4.0, mac_only_ms=1.0)
    row = {"path": "m/d", "type": "Dense", "macs": 8, "ms": 3.0, "low_ms": 2.0}
    layers = pd.DataFrame([row | {"high_ms": 4.0, "mac_only_ms": 1.0}] * 9)
    told = lines(NetworkEstimate(total, layers, 32, 1, ())._repr_html_())
    assert any("3.00 ms for 1 x 32 samples" in line for line in told)
    assert len(told) <= 12
    comparison = compare_runs(run_of("small"), run_of("branches"))
    told = lines(comparison._repr_html_())
    assert told[0] == comparison.verdict
    assert len(told) <= 16


def test_a_trace_from_elsewhere_shows_its_ops(tmp_path):
    events = [("gemm", 0, 30, {}), ("relu", 60, 70, {})]
    trace = write_trace(
        tmp_path / "gpu.xplane.pb", {"/device:GPU:0": {"Stream #1(Compute)": events}}
    )
    profile = tftrace.load(trace)
    assert any(line.startswith("gemm") for line in lines(profile._repr_html_()))
    assert isinstance(profile.plot.timeline(), figure)
    for chart in (profile.plot.layers, profile.plot.roofline, profile.plot.icicle):
        with pytest.raises(TftraceError, match="has no layers"):
            chart()


def test_the_charts_of_the_page_are_figures(run_of):
    profile = run_of("branches")
    plot = profile.plot
    figures = [plot.layers(), plot.roofline(), plot.timeline(), plot.icicle(), plot.icicle("mults")]
    assert all(isinstance(found, figure) for found in figures)
    # Each of its own, for a model may stand in one document only.
    assert plot.layers() is not figures[0]
    widest = figures[3].x_range.end
    assert widest == pytest.approx(profile.layers["wall_ms"].sum(), rel=1e-5)
    assert figures[4].x_range.end == pytest.approx(profile.layers["mults"].sum(), rel=1e-5)
    with pytest.raises(TftraceError, match="ms or mults, not 'macs'"):
        plot.icicle("macs")
