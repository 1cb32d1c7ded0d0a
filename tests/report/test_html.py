"""The HTML report: whole, self-contained, with the run's own numbers in it."""

import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pandas as pd
import pytest
from runs_by_hand import machine

from tftrace.errors import TftraceError
from tftrace.report.html.roofline import roofline_svg
from tftrace.report.html.run import render_page, write_html
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
    assert "http://" not in html
    assert "https://" not in html
    assert "//" not in page.text("style")
    assert not [name for tag, attrs in page.tags for name in attrs if name in _LOADS]
    assert not {tag for tag, _ in page.tags} & {"link", "iframe", "img", "object", "embed"}
    assert "@import" not in html
    assert "url(" not in html


def test_the_latency_is_there(profile, page) -> None:
    assert f"{ms_text(profile.latency['median_ms'])} ms" in page.text("dd")
    assert "median latency, 3 passes" in page.text("dt")


def test_every_component_of_the_wall_is_in_the_legend(profile, page) -> None:
    legend = page.text("li")
    for _, row in profile.wall.iterrows():
        assert f"{row['component']}: {ms_text(row['wall_ms'])} ms" in legend


def test_every_layer_has_a_row_with_its_exact_time_to_sort_by(profile, page) -> None:
    cells = page.text("td")
    values = [attrs.get("data-value") for tag, attrs in page.tags if tag == "td"]
    for _, row in profile.layers.iterrows():
        assert row["name"] in cells
        assert str(row["wall_ms"]) in values
    heads = [attrs for tag, attrs in page.tags if tag == "th"]
    assert [attrs.get("aria-sort") for attrs in heads if "aria-sort" in attrs] == ["descending"]
    assert len(heads) == sum(tag == "button" for tag, _ in page.tags)


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
    assert render_page(profile) == html


def test_a_file_is_written_and_an_impossible_path_refused(profile, html, tmp_path) -> None:
    write_html(profile, tmp_path / "new" / "report.html")
    assert (tmp_path / "new" / "report.html").read_text(encoding="utf-8") == html
    (tmp_path / "file").write_text("")
    with pytest.raises(TftraceError, match="cannot write"):
        write_html(profile, tmp_path / "file" / "report.html")


def test_a_trace_from_elsewhere_has_a_page_too(profile, tmp_path) -> None:
    import tftrace.api.load

    (trace,) = profile.folder.glob("*.xplane.pb")
    foreign = tftrace.api.load.load_foreign(trace)
    assert Page(render_page(foreign)).open == []


# --- the roofline plot ------------------------------------------------------------------------


def dots(*rows: tuple[str, float, float, float]) -> pd.DataFrame:
    """Layers as (name, FLOP, intensity, ms)."""
    table = pd.DataFrame(rows, columns=["name", "flops", "intensity", "wall_ms"])
    table["path"], table["type"] = table["name"], "Layer"
    return table.astype({"flops": "Float64", "intensity": "Float64", "wall_ms": "Float64"})


def circles(svg: str) -> list[dict[str, float]]:
    root = ET.fromstring(svg)
    return [{k: float(v) for k, v in c.attrib.items()} for c in root.iter("circle")]


def test_a_dots_place_is_its_intensity_and_rate_and_its_area_the_time() -> None:
    """10 samples x 1e6 FLOP in 10 ms are 1 GFLOP/s; the frame spans 1 to 100 and 0.1 to 10.

    Plot: x from 70 to 840, y from 380 (low) to 30. Intensity 1 stands at the left edge, 100 at
    the right, 10 halfway; rate 10 stands at the top, 0.1 at the bottom.
    """
    layers = dots(("a", 1e6, 1, 1.0), ("b", 1e6, 10, 16.0), ("c", 1e6, 100, 100.0))
    longest, middle, shortest = circles(roofline_svg(layers, 10, None))
    assert (longest["cx"], longest["cy"]) == (840, 380)
    assert middle["cx"] == 455
    assert (shortest["cx"], shortest["cy"]) == (70, 30)
    assert middle["r"] / longest["r"] == pytest.approx(0.4, abs=0.01)


def test_layers_without_arithmetic_or_time_have_no_dot() -> None:
    layers = dots(("a", 1e6, 1, 1.0), ("no_time", 1e6, 1, 0.0))
    layers.loc[2] = ["copy", 0, pd.NA, 1.0, "copy", "Layer"]
    assert len(circles(roofline_svg(layers, 1, None))) == 1
    assert roofline_svg(layers.iloc[1:], 1, None) is None


def test_the_machines_roofs_are_drawn_with_their_figures() -> None:
    svg = roofline_svg(dots(("a", 1e6, 0.01, 1.0), ("b", 1e6, 50, 1.0)), 1, machine())
    # 50 GMAC/s are 100 GFLOP/s
    for told in ("peak 100 GFLOP/s", "memory 10 GB/s", "cache 100 GB/s"):
        assert told in svg
