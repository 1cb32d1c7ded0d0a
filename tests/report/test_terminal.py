"""The report on a terminal: it fits, and says what the tables say."""

import keras
import networks
import pytest
from rich.cells import cell_len

import tftrace
from tftrace.report.terminal.run import SORTS, render_text


@pytest.fixture(params=["mission", "recurrent", "mobilenet_v2"])
def profile(request, run_of):
    return run_of(request.param)


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_the_width(profile, width):
    text = render_text(profile, width)
    assert max(cell_len(line) for line in text.splitlines()) <= width


def test_its_parts_stand_in_order(profile):
    text = str(profile)
    parts = ["latency", "wall:", "layers:", "recorded:", "counted:", "rule:"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    for component in profile.wall["component"]:
        assert component in text


def test_names_longer_than_the_terminal_are_folded_not_cut():
    layers = keras.layers
    long = "x" * 300
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, name=long)], name="m")
    profile = tftrace.profile(model, networks.normal(40, 4), repeats=0, calibrate=False)
    text = render_text(profile)
    assert max(map(cell_len, text.splitlines())) <= 80
    assert text.count("x") >= 300


def test_rich_markup_is_text(run_of):
    assert "[bold]" not in str(run_of("small"))


@pytest.mark.parametrize("sort", SORTS)
def test_every_sort_prints(run_of, sort):
    assert "hidden" in render_text(run_of("small"), sort=sort)


def order_of(text, *names):
    rows = text[text.index("layers:") :].splitlines()
    return sorted(names, key=lambda n: next(i for i, r in enumerate(rows) if r.startswith(n)))


def test_sorting_and_order_of_execution(run_of):
    profile = run_of("small")
    by_mults = render_text(profile, sort="mults")
    assert order_of(by_mults, "logits", "hidden") == ["hidden", "logits"]
    by_name = render_text(profile, sort="name", order="run")
    assert order_of(by_name, "logits", "hidden") == ["hidden", "logits"]


def test_top_sums_the_rest(run_of):
    profile = run_of("mobilenet_v2")
    text = render_text(profile, top=3)
    assert f"({len(profile.layers) - 3} more)" in text


def test_depth_rolls_up(run_of):
    text = render_text(run_of("recurrent"), depth=1)
    assert "lstm_cell" not in text.split("layers:")[1].split("recorded:")[0]


def test_the_question_is_answered_in_words(run_of):
    profile = run_of("mission")
    kinds = {(f["layer"], f["kind"]) for f in profile.findings}
    norm = next(p for p in profile.layers["path"] if p.endswith("batch_normalization"))
    assert (norm, "unfused batch norm") in kinds
    text = " ".join(str(profile).split())
    assert "batch_normalization takes" in text
    assert "262.2 kB is the least possible" in text  # 2 x 32,768 x 4 B and the vectors


def test_a_notebook_shows_tables_without_scripts(profile):
    html = profile._repr_html_()
    assert html.count("<table") == 2
    assert "<script" not in html
