"""The page in a real browser: it sorts, filters, opens, zooms, remembers, and asks for nothing."""

import functools
import json
import shutil
import sys
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from runs_by_hand import machine
from traces import write_trace

from tftrace.api.load import load_foreign
from tftrace.report.html.page import document
from tftrace.report.html.run import write_html
from tftrace.report.html.scan import write_scan

_BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="session")
def browser():
    """Playwright's own Chromium, else the system's."""
    api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with api.sync_playwright() as playwright:
        start = functools.partial(playwright.chromium.launch, args=["--no-sandbox"])
        found = next(filter(None, map(shutil.which, _BROWSERS)), None)
        try:
            opened = start()
        except api.Error:  # it has none of its own
            if found is None:
                pytest.skip(
                    "no Chromium: `playwright install chromium-headless-shell`, or `apt-get "
                    "install chromium-headless-shell`"
                )
            opened = start(executable_path=found)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser):
    """``visit(path, hash="", width=1280, theme="light")``: the page, drawn. Afterwards no page
    may have asked for anything, nor said anything on the console."""
    contexts, said = [], []

    def opened(path: Path, hash: str = "", width: int = 1280, theme: str = "light", charts=True):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        url = path.as_uri()
        page.on("console", lambda m: m.type in ("error", "warning") and said.append(m.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda r: r.url.startswith(url) or said.append(r.url))
        page.goto(url + hash)
        if charts:
            page.wait_for_selector("html[data-ready]", state="attached", timeout=20_000)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def run_page(run_of, folder) -> Path:
    write_html(run_of("branches"), folder / "run.html")
    return folder / "run.html"


def names(page) -> list[str]:
    return page.locator("#table tbody .name").all_inner_texts()


def times(page) -> list[float]:
    texts = page.locator("#table tbody td.ms").all_inner_texts()
    return [float(text.replace(",", "")) for text in texts]


def state(page) -> dict:
    return parse_qs(page.evaluate("location.hash.slice(1)"))


def selected(page, name: str) -> list[int]:
    return page.evaluate(
        "name => [...Bokeh.documents[0].get_model_by_name(name).selected.indices]", name
    )


def test_a_heading_sorts_and_the_hash_remembers(visit, run_page):
    page = visit(run_page)
    assert times(page) == sorted(times(page), reverse=True)
    page.click("th[data-key=ms] .sort")
    assert times(page) == sorted(times(page))
    assert state(page)["sort"] == ["ms"]
    page.click("th[data-key=name] .sort")
    again = visit(run_page, page.evaluate("location.hash"))
    assert names(again) == names(page)
    assert page.locator("th[aria-sort]").get_attribute("data-key") == "name"


def test_search_types_and_parts_filter_everything_below(visit, run_page):
    page = visit(run_page)
    every = names(page)
    page.keyboard.press("/")
    page.keyboard.type("Branch_1")
    assert names(page) == [n for n in every if "branch_1" in n] != []
    assert len(selected(page, "layers")) == len(names(page))
    page.click("#clear")
    assert names(page) == every
    chip = page.locator("#chips button").first
    chip.click()
    assert chip.get_attribute("aria-pressed") == "true"
    kinds = set(page.locator("#table tbody td.type").all_inner_texts())
    assert kinds == {chip.get_attribute("data-type")}
    page.click("#clear")
    page.click("[data-part='input pipeline']")
    assert names(page) == ["input pipeline"]
    assert state(page)["part"] == ["input pipeline"]


def test_a_row_opens_its_kernels_and_is_chosen_in_every_chart(visit, run_page):
    page = visit(run_page)
    row = page.locator("#table tr[data-row]", has_text="conv").first
    number = int(row.get_attribute("data-row"))
    row.locator(".name").focus()
    page.keyboard.press("Enter")
    assert row.locator(".name").get_attribute("aria-expanded") == "true"
    assert "p99 us" in page.locator("tr.kernels").inner_text()
    assert page.evaluate("document.activeElement.className") == "name"
    assert selected(page, "layers") == [number]
    rows = page.evaluate("[...Bokeh.documents[0].get_model_by_name('slices').data.row]")
    assert selected(page, "slices") == [n for n, r in enumerate(rows) if r == number]
    again = visit(run_page, page.evaluate("location.hash"))
    assert again.locator("tr.kernels").count() == 1
    assert selected(again, "layers") == [number]


def test_what_is_chosen_in_a_chart_is_chosen_in_the_table(visit, run_page):
    page = visit(run_page)
    page.evaluate("Bokeh.documents[0].get_model_by_name('layers').selected.indices = [2, 3]")
    picked = page.locator("tr.picked")
    assert {int(r.get_attribute("data-row")) for r in picked.all()} <= {2, 3}
    slices = page.evaluate("[...Bokeh.documents[0].get_model_by_name('slices').data.row]")
    page.evaluate(
        "n => Bokeh.documents[0].get_model_by_name('slices').selected.indices = [n]",
        slices.index(2),
    )
    assert selected(page, "layers") == [2]


def test_the_tree_adds_up_and_folds(visit, run_page, run_of):
    page = visit(run_page, "#tree=1")
    layers = run_of("branches").layers
    assert times(page)[0] == pytest.approx(layers["wall_ms"].sum(), rel=0.02)
    before = len(names(page))
    page.locator(".twist").first.click()
    assert page.locator(".twist").first.get_attribute("aria-expanded") == "false"
    beside = page.locator("#table tbody td.type", has_text="beside layers").count()
    assert len(names(page)) == 1 + beside < before


def test_units_change_the_cells(visit, run_page):
    page = visit(run_page)
    page.check("input[value='%']")
    assert all(t.endswith("%") for t in page.locator("#table tbody td.ms").all_inner_texts())
    page.check("input[value=flops]")
    assert page.locator("th[data-key=work] .sort").inner_text() == "FLOPs"
    assert state(page) == {"unit": ["%"], "work": ["flops"]}


def test_the_timeline_zooms_and_returns(visit, run_page):
    page = visit(run_page)

    def span() -> float:
        return page.evaluate(
            "(() => { const r = Bokeh.documents[0].get_model_by_name('timeline').x_range;"
            " return r.end - r.start; })()"
        )

    whole = span()
    page.click("[data-zoom='0.5']")
    assert span() == pytest.approx(whole / 2)
    page.click("[data-zoom='0']")
    assert span() == pytest.approx(whole)


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_window(visit, run_page, width):
    page = visit(run_page, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_and_light_by_the_system_and_by_hand(visit, run_page):
    def background() -> str:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    page = visit(run_page, theme="dark")
    dark = background()
    page.click("#theme")
    assert background() == "rgb(255, 255, 255)" != dark
    assert state(page)["theme"] == ["light"]


def test_landmarks_names_and_contrast(visit, run_page):
    for theme in ("light", "dark"):
        page = visit(run_page, theme=theme)
        assert page.locator("main").count() == page.locator("h1").count() == 1
        for button in page.locator("button").all():
            assert button.inner_text().strip() or button.get_attribute("aria-label")
        worst = page.evaluate(
            """() => {
              const lum = (c) => { const [r, g, b] = c.match(/\\d+/g).map((v) => v / 255)
                .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
              const back = lum(getComputedStyle(document.body).backgroundColor);
              return Math.min(...[...document.querySelectorAll("p, h2, dt, dd, li, td, th")]
                .map((e) => lum(getComputedStyle(e).color))
                .map((l) => (Math.max(l, back) + 0.05) / (Math.min(l, back) + 0.05)));
            }"""
        )
        assert worst >= 4.5


def test_a_command_is_copied_and_its_layers_are_shown(visit, run_of, folder):
    write_html(run_of("mission", repeats=3), folder / "mission.html")
    page = visit(folder / "mission.html")
    button = page.locator(".show").first
    wanted = json.loads(button.get_attribute("data-rows"))
    button.click()
    assert {int(r.get_attribute("data-row")) for r in page.locator("tr.picked").all()} == set(
        wanted
    )
    page.locator(".copy").first.click()
    chosen = page.evaluate("getSelection().toString()")
    assert chosen.startswith("tftrace ")


def test_a_name_of_markup_is_text(visit, run_of, folder):
    profile = run_of("small")
    layers, ops = profile.layers.copy(), profile.ops.copy()
    evil = {path: f"m/{EVIL}{n}" for n, path in enumerate(layers["path"])}
    vars(profile)["layers"] = layers.assign(path=layers["path"].map(evil), type=EVIL, note=EVIL)
    vars(profile)["ops"] = ops.assign(layer=ops["layer"].map(evil), op=EVIL)
    before, profile.model["source"] = profile.model["source"], EVIL
    try:
        write_html(profile, folder / "evil.html")
    finally:
        profile.model["source"] = before
        vars(profile).update(layers=layers, ops=ops)
    page = visit(folder / "evil.html", "#q=<img&part=" + EVIL)
    page = visit(folder / "evil.html")
    assert any(EVIL in name for name in names(page))
    page.locator(".name").first.click()
    for chart in page.locator(".chart").all():
        box = chart.bounding_box()
        for part in (0.3, 0.5, 0.7):
            chart.hover(position={"x": box["width"] * part, "y": box["height"] / 2})
    assert page.locator("img").count() == 0


def test_a_trace_from_elsewhere(visit, folder):
    events = [("gemm", 0, 30, {}), ("gemm", 40, 60, {}), ("relu", 60, 70, {})]
    trace = write_trace(folder / "gpu.xplane.pb", {"/device:GPU:0": {"Stream #1(Compute)": events}})
    write_html(load_foreign(trace), folder / "foreign.html")
    page = visit(folder / "foreign.html")
    text = page.locator("main").inner_text()
    assert "a trace taken elsewhere" in text
    assert "its steps are not known" in text
    assert page.locator("#table").count() == 0
    assert page.locator("#chart-timeline").count() == 1
    first = page.locator("#tables table").first
    first.locator("th button", has_text="calls").click()
    assert first.locator("tbody tr").first.locator("th").inner_text() == "gemm"


def test_a_comparison_and_a_scan(visit, run_of, folder):
    from tftrace.comparison.compare import compare_runs
    from tftrace.report.html.comparison import write_comparison
    from tftrace.scan import scan

    runs = run_of("small"), run_of("branches")
    comparison = compare_runs(*runs)
    write_comparison(comparison, folder / "compare.html")
    page = visit(folder / "compare.html")
    assert comparison.verdict in page.locator("#verdict").inner_text()
    assert page.locator("#chart-pairs").count() == 1
    for run in runs:
        run.save(folder / "logs")
    write_scan(scan([str(folder / "logs")], None, None, 1, lambda _: None), folder / "scan.html")
    page = visit(folder / "scan.html", charts=False)
    assert "traces: 2" in page.locator("#verdict").inner_text()
    assert page.locator("#tables table").count() >= 2


def test_a_thousand_layers_fit():
    """Made by hand: a real run of so many layers takes a minute."""
    from test_html import data_of, rows_by_hand

    from tftrace.report.html.drawing import type_colors
    from tftrace.report.html.icicle import icicle
    from tftrace.report.html.roofline import roofline
    from tftrace.report.html.source import source_of

    layers = [(f"stage{n // 100}_block{n}_conv", 1e6 + n, 1 + n / 7, 0.1) for n in range(1000)]
    rows = rows_by_hand(*layers)
    source = source_of(rows, 32, type_colors(rows))
    charts = {
        "roofline": roofline(source, machine()),
        "icicle": icicle(source, "ms"),
    }
    kernels = {
        n: ["a/b/", *[["Conv2D", "Conv2D", 9, 0.1, 0.1, 0.1, "", ""]] * 6] for n in range(1000)
    }
    data = {"layers": None, "columns": rows.columns, "kernels": kernels}
    page = document("t", data, charts, name="n", verdict=["v"], roofline_note="r", icicle_note="i")
    assert data_of(page)
    assert len(page.encode()) < 2_500_000


def test_view_writes_a_page_and_prints_where(run_of, monkeypatch):
    from typer.testing import CliRunner

    from tftrace.cli import app

    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    done = CliRunner().invoke(app, ["view", str(run_of("small").folder)])
    page = Path(done.output.strip())
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    if sys.platform == "linux":
        assert opened == []
        monkeypatch.setenv("DISPLAY", ":0")
        CliRunner().invoke(app, ["view", str(run_of("small").folder)])
        assert len(opened) == 1
        CliRunner().invoke(app, ["view", "--no-browser", str(run_of("small").folder)])
        assert len(opened) == 1
