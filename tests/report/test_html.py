"""The HTML report: whole, self-contained, with the run's own numbers in it."""

import json
import math
import re
from html.parser import HTMLParser

import pytest
from runs_by_hand import machine

from tftrace.errors import TftraceError
from tftrace.report.html.drawing import type_colors
from tftrace.report.html.page import document
from tftrace.report.html.roofline import roofline
from tftrace.report.html.rows import Rows, inclusive, parents
from tftrace.report.html.run import render_page, write_html
from tftrace.report.html.source import icicle_places, source_of
from tftrace.text import ms_text

_VOID = {"meta", "link", "img", "br", "hr", "input"}
_LOADS = {"src", "srcset", "poster", "background", "action", "ping"}


class Page(HTMLParser):
    """Tags in order, text by tag, and whether every tag was closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def text(self, tag: str | None = None) -> str:
        return " ".join(data for at, data in self.texts if tag in (None, at))


@pytest.fixture(scope="module")
def profile(run_of):
    return run_of("mission", repeats=3)


@pytest.fixture(scope="module")
def html(profile) -> str:
    return render_page(profile)


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


def test_the_document_is_well_formed_and_titled(html, page) -> None:
    assert html.startswith("<!doctype html>")
    assert page.open == []
    assert page.tags[0] == ("html", {"lang": "en"})
    assert "with_bn" in page.text("title")


def test_it_asks_nothing_of_the_network_or_of_other_files(html, page) -> None:
    # Bokeh's script names addresses that it does not ask; the policy allows none, and the tests in
    # a browser see that none is asked.
    (policy,) = (a["content"] for t, a in page.tags if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy.partition("script-src")[2]
    without = re.sub(r"<script.*?</script>", "", html, flags=re.S)
    assert "http://" not in without
    assert "https://" not in without
    assert "//" not in page.text("style")
    assert not [name for tag, attrs in page.tags for name in attrs if name in _LOADS]
    assert not {tag for tag, _ in page.tags} & {"link", "iframe", "img", "object", "embed"}
    assert "@import" not in without
    assert "url(" not in without


def test_the_latency_is_there(profile, page) -> None:
    assert f"{ms_text(profile.latency['median_ms'])} ms" in page.text("dd")
    assert "median latency, 3 passes" in page.text("dt")


def test_every_component_that_took_time_is_in_the_legend(profile, page) -> None:
    legend = page.text("button") + page.text("span")
    assert (profile.wall["wall_ms"] == 0).any()
    for _, row in profile.wall.iterrows():
        told = f"{row['component']}: {ms_text(row['wall_ms'])} ms" in legend
        assert told == (row["wall_ms"] > 0)


def data_of(html: str) -> dict:
    """What the page's script reads."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    return json.loads(found[1])


def test_every_layer_has_a_row_with_its_time_to_sort_by(profile, html) -> None:
    rows = data_of(html)["layers"]
    n = len(profile.layers)
    assert rows["path"][:n] == list(profile.layers["path"])
    assert rows["ms"][:n] == pytest.approx(list(profile.layers["wall_ms"]), rel=1e-5)
    # The rest of predict stands below, and all of it is the traced pass.
    assert sum(rows["ms"]) == pytest.approx(profile.wall["wall_ms"].sum(), rel=1e-4)


def test_every_kernel_is_in_its_layers_row(profile, html) -> None:
    data = data_of(html)
    named = {kernel[0] + op[0] for kernel in data["kernels"].values() for op in kernel[1:]}
    owned = profile.ops[profile.ops["layer"].notna()]
    assert len(owned)
    assert set(owned["op"]) <= named


def test_every_finding_is_there(profile, page) -> None:
    text = " ".join(page.text().split())
    assert profile.findings
    for finding in profile.findings:
        assert finding["text"] in text
        assert finding["remedy"] in text


def test_names_cannot_break_out_of_the_page(profile, html) -> None:
    profile.model["source"] = "<script>alert(1)</script>.keras"
    try:
        assert "<script>alert(1)" not in render_page(profile)
    finally:
        profile.model["source"] = None


def test_a_file_is_written_and_an_impossible_path_refused(profile, html, tmp_path) -> None:
    write_html(profile, tmp_path / "new" / "report.html")
    written = (tmp_path / "new" / "report.html").read_text(encoding="utf-8")
    # Bokeh numbers its models through the life of a process.
    assert re.sub(r'"p\d+"', '"p"', written) == re.sub(r'"p\d+"', '"p"', html)
    (tmp_path / "file").write_text("")
    with pytest.raises(TftraceError, match="cannot write"):
        write_html(profile, tmp_path / "file" / "report.html")


def test_a_trace_from_elsewhere_has_a_page_too(profile, tmp_path) -> None:
    import tftrace.api.load

    (trace,) = profile.folder.glob("*.xplane.pb")
    foreign = tftrace.api.load.load_foreign(trace)
    assert Page(render_page(foreign)).open == []


# --- rows and places --------------------------------------------------------------------------


def test_a_row_lies_in_the_longest_path_before_it() -> None:
    paths = ["m", "m/a", "m/a/x/conv", "m/b", "other"]
    assert parents(paths) == [-1, 0, 1, 0, -1]


def test_inclusive_adds_what_is_below_and_is_unknown_with_a_part_of_it() -> None:
    parent = [-1, 0, 1, 0]
    assert inclusive([1.0, 2.0, 4.0, 8.0], parent) == [15.0, 6.0, 4.0, 8.0]
    assert inclusive([1.0, 2.0, None, 8.0], parent) == [None, None, None, 8.0]


def test_an_icicles_boxes_stand_side_by_side_inside_their_container() -> None:
    """m (1 of its own) holds a (2, with x of 4 inside) and b (8): 15 in all; a row beside."""
    left, right = icicle_places([1.0, 2.0, 4.0, 8.0, 99.0], [-1, 0, 1, 0, -1], 4)
    assert left[:4] == [0, 0, 0, 6]
    assert right[:4] == [15, 6, 4, 14]
    assert math.isnan(left[4])


def rows_by_hand(*layers: tuple[str, float | None, float | None, float | None]) -> Rows:
    """Layers as (name, FLOP, intensity, ms)."""
    names = [layer[0] for layer in layers]
    figures = {"flops": 1, "intensity": 2, "ms": 3, "all_ms": 3, "mults": 1}
    columns = {key: [layer[n] for layer in layers] for key, n in figures.items()}
    same = {"name": names, "path": names, "type": ["Layer"] * len(names)}
    tree = {"parent": [-1] * len(names), "depth": [0] * len(names)}
    return Rows(columns | same | tree, len(names), 100.0, {"ms": 100.0, "mults": None})


def plotted(rows: Rows, samples: int, roofs=None):
    source = source_of(rows, samples, type_colors(rows))
    return source, roofline(source, roofs)


def test_a_dots_place_is_its_intensity_and_rate_and_its_area_the_time() -> None:
    """10 samples x 1e6 FLOP in 10 ms are 1 GFLOP/s; a quarter of the time is half as wide."""
    rows = rows_by_hand(("a", 1e6, 1, 2.5), ("b", 1e6, 10, 10.0))
    source, plot = plotted(rows, 10)
    assert list(source.data["intensity"]) == [1, 10]
    assert list(source.data["rate"]) == pytest.approx([4.0, 1.0])
    small, large = source.data["size"]
    assert (small - 6) / (large - 6) == pytest.approx(0.5)
    assert plot.x_range.start < 1 < 10 < plot.x_range.end


def test_without_arithmetic_or_time_there_is_no_dot() -> None:
    _, plot = plotted(rows_by_hand(("no_time", 1e6, 1, 0.0), ("copy", 0, None, 1.0)), 1)
    assert plot is None


def test_the_machines_roofs_are_drawn_with_their_figures() -> None:
    from bokeh.models import LabelSet

    _, plot = plotted(rows_by_hand(("a", 1e6, 0.01, 1.0), ("b", 1e6, 50, 1.0)), 1, machine())
    told = {text for label in plot.select(LabelSet) for text in label.source.data["text"]}
    # 50 GMAC/s are 100 GFLOP/s
    assert {"peak 100 GFLOP/s", "memory 10 GB/s", "cache 100 GB/s"} <= told


def test_the_script_of_the_table_is_no_longer_than_one_can_read() -> None:
    from tftrace.report import html as package

    (folder,) = package.__path__
    with open(f"{folder}/page.js", encoding="utf-8") as script:
        assert sum(1 for _ in script) <= 250


def test_data_cannot_end_the_script_that_holds_it() -> None:
    page = document("t", {"layers": None, "x": "</script><b>"}, {}, name="n", verdict=["v"])
    assert "</script><b>" not in page
    assert data_of(page)["x"] == "</script><b>"


def test_layers_are_drawn_where_their_kernels_ran() -> None:
    """`b` reads its parameters 30 ms before it is needed: two stretches of it, of 100 ms in all."""
    import pandas as pd

    from tftrace.report.html.timeline import nested

    rows = rows_by_hand(("m", 0, None, 0.0), ("m/a", 1, None, 1.0), ("m/b", 1, None, 1.0))
    rows.columns.update(parent=[-1, 0, 0], depth=[0, 1, 1])
    kernels = [("m/b", 0.0, 1.0), ("m/a", 1.5, 29.0), ("m/b", 31.0, 40.0), ("m/b", 71.5, 28.5)]
    slices = pd.DataFrame(kernels, columns=["layer", "start_ms", "ms"])
    found = {(s["what"], s["left"], s["right"]) for s in nested(slices, rows, 100.0)}
    assert found == {
        ("m", 0.0, 100.0),
        ("m/b", 0.0, 1.0),
        ("m/a", 1.5, 30.5),
        ("m/b", 31.0, 100.0),
    }


def test_names_stand_in_boxes_that_they_fit() -> None:
    from bokeh.plotting import figure

    from tftrace.report.html.drawing import named_boxes

    plot = figure()
    # 200 pixels for 100: "narrow" takes some 47 pixels, so it does not fit into 10; of two that
    # overlap the wider has the name.
    names = ["narrow", "wide", "wider", "below"]
    named_boxes(
        plot, names, [(0, 10), (10, 50), (5, 60), (40, 100)], [0, 0, 0, -1], ["#ffffff"] * 4, 200
    )
    assert plot.select(name="names")[0].data_source.data["text"] == ["below", "wider"]


def test_ink_is_read_on_every_color() -> None:
    from tftrace.report.html.drawing import PALETTE, REST, ink_on

    def luminance(color: str) -> float:
        parts = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for color in (*PALETTE, REST):
        high, low = sorted((luminance(color), luminance(ink_on(color))), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_devices_that_did_the_same_are_told_together(tmp_path) -> None:
    """GPU 0 and 1 each compute for 30 of 60 us, GPU 2 for all of them."""
    from traces import write_trace

    import tftrace

    busy = {0: [("k", 0, 30, {})], 1: [("k", 0, 30, {})], 2: [("k", 0, 60, {})]}
    planes = {f"/device:GPU:{n}": {"Stream #1(Compute)": events} for n, events in busy.items()}
    html = render_page(tftrace.load(write_trace(tmp_path / "gpus.xplane.pb", planes)))
    assert "What GPU:0 and GPU:1 did" in html
    assert "What GPU:2 did" in html
    # A color is a component's wherever it stands; what is idle is gray.
    assert re.findall(r'<i class="(c\d)"></i>(\w+):', html) == [
        ("c0", "compute"),
        ("c6", "idle"),
        ("c0", "compute"),
    ]
