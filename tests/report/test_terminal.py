"""The report on a terminal: it fits, and says what the tables say."""

import re

import keras
import networks
import pytest
from rich.cells import cell_len

import tftrace
from tftrace.report.details import tracing_cost
from tftrace.report.layer_rows import SORTS, far_above, layers_sheet
from tftrace.report.markdown import escaped, markdown
from tftrace.report.place import page_command
from tftrace.report.terminal.run import render_text, report_parts
from tftrace.report.verdict import short_component, verdict


@pytest.fixture(params=["mission", "recurrent", "mobilenet_v2"])
def profile(request, run_of):
    return run_of(request.param)


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_the_width(profile, width):
    text = render_text(profile, width)
    *lines, page = text.splitlines()
    assert page.startswith("page: tftrace view /")  # whole, however long: it is pasted
    assert max(map(cell_len, lines)) <= width


def test_its_parts_stand_in_order(profile):
    text = render_text(profile, verbose=True)
    parts = ["Do first", "layers:", "latency:", "wall:", "recorded:", "counted:", "rule:"]
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
    # The model itself, and the four paddings whose operation has a row, ran nothing of their own.
    assert f"({len(profile.layers) - 3 - 5} more)" in text
    assert f"({len(profile.layers) - 3} more)" in render_text(profile, top=3, verbose=True)


def test_depth_rolls_up(run_of):
    text = render_text(run_of("recurrent"), depth=1)
    assert "lstm_cell" not in text.split("layers:")[1].split("recorded:")[0]


def test_the_question_is_answered_in_words(run_of):
    profile = run_of("mission")
    kinds = {(f["layer"], f["kind"]) for f in profile.findings}
    norm = next(p for p in profile.layers["path"] if p.endswith("batch_normalization"))
    assert (norm, "unfused batch norm") in kinds
    text = " ".join(render_text(profile, explain=True).split())
    assert "batch_normalization takes" in text
    assert "262.2 kB is the least possible" in text  # 2 x 32,768 x 4 B and the vectors


def test_the_answer_comes_first_and_the_table_closes(profile):
    """Layers and what is beside them sum to predict, whatever is named."""
    text = render_text(profile, 120, top=3)
    lines = text.splitlines()
    assert lines[0].startswith(f"{profile.model['source'] or profile.model['name']}: ")
    assert sum(int(p) for p in re.findall(r"(\d+)%", lines[1])) >= 99  # <1% counts as 1 here
    table = text[text.index("layers:") : text.index("predict, traced")].splitlines()
    beside = table[next(n for n, line in enumerate(table) if line.startswith("all layers")) :]
    there = profile.wall[profile.wall["wall_ms"] > 0]["component"]
    for component in set(there) - {"layers"}:
        assert any(line.startswith(f"{short_component(component)} ") for line in beside), component
    for component in set(profile.wall["component"]) - set(there):
        assert not any(line.startswith(f"{short_component(component)} ") for line in beside)


def test_a_wider_terminal_has_more_columns(profile):
    narrow, wide, wider = (render_text(profile, width) for width in (80, 100, 120))
    head = [next(li for li in t.splitlines() if li.startswith("layer ")) for t in (narrow, wide)]
    assert head[0].split() == ["layer", "type", "ms", "of", "predict", "of", "mults"]
    assert head[1].split()[-1] == "mults"
    last = next(line for line in wider.splitlines() if line.startswith("layer ")).split()
    assert last[len(head[1].split()) :] == ["GMAC/s", "GB/s", "threads", "bound"]


@pytest.mark.parametrize("sort", SORTS)
def test_the_column_that_sorts_is_shown(run_of, sort):
    text = render_text(run_of("small"), 80, sort=sort)
    head = next(line for line in text.splitlines() if line.startswith("layer "))
    assert SORTS[sort].heading in head


@pytest.mark.parametrize(
    ("time", "mults", "marked"),
    [
        (0.15, 0.01, True),
        (0.02, 0.01, True),
        (0.019, 0.01, False),
        (0.009, 0.0, False),
        (0.5, None, False),
    ],
)
def test_a_layer_is_marked_from_twice_its_share_of_multiplications(time, mults, marked):
    """Not if it takes less than a hundredth of predict: nobody would see it."""
    assert far_above(time, mults) is marked


def test_the_mark_is_red_and_a_character(run_of):
    """Whoever sees no color sees the mark."""
    profile = tftrace.load(run_of("mission").folder)
    # Of so few samples the layers are a small part of predict; here they are half of it.
    profile.layers["wall_share"] = profile.layers["wall_ms"] / profile.layers["wall_ms"].sum() / 2
    sheet = layers_sheet(profile, verdict(profile))
    norm = next(row for row in sheet.rows if row.cells[0] == "batch_normalization")
    assert (norm.style, norm.cells[5]) == ("red", "!")


def test_what_is_explained(run_of):
    profile = run_of("mission")
    short, whole = (render_text(profile, 100, explain=explain) for explain in (False, True))
    assert "tftrace fold model.keras -o folded.keras" in short
    assert "because:" not in short
    assert "because:" in whole
    for why in profile.disagreements["why"]:
        assert why[:40] in " ".join(whole.split())


@pytest.mark.parametrize(
    ("traced", "said"),
    [(90.0, "within noise"), (105.0, "within noise"), (130.0, "30.0 ms, 30% of the median")],
)
def test_what_tracing_costs_below_the_spread_is_noise(traced, said):
    assert tracing_cost({"traced_ms": traced, "median_ms": 100.0, "iqr_ms": 6.0}) == said


def test_in_markdown_names_are_text_and_tables_are_tables(run_of):
    profile = run_of("mission")
    text = markdown(report_parts(profile))
    assert "\n| batch\\_normalization | BatchNormalization |" in text
    assert "\n| :-- | :-- | --: |" in text
    assert "█" not in text
    assert "\n\n\n" not in text
    assert escaped("a|b\n`c` [x](y) <i>") == "a\\|b \\`c\\` \\[x\\](y) \\<i\\>"


def test_the_page_is_offered_where_the_run_lasts(run_of, tmp_path, monkeypatch):
    folder = run_of("small").save(tmp_path / "my runs")
    monkeypatch.chdir(tmp_path)
    profile = tftrace.load(folder)
    last = render_text(profile).splitlines()[-1]
    # Relative, for the run lies below, and quoted, for the shell would take two words.
    assert last == f"page: tftrace view 'my runs/plugins/profile/{folder.name}'"
    monkeypatch.chdir("/")
    assert page_command(profile) == f"tftrace view '{str(folder)[1:]}'"
    assert "page: " not in markdown(report_parts(profile))
    profile._keep = object()  # as of a profile in a temporary folder
    assert "page:" not in render_text(profile)
