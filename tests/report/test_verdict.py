"""The answer in three lines: its parts close, and what is not known is said."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

import tftrace
from tftrace.findings.basis.commands import FOLD, TRY_XLA, batch_size, complete, preparation
from tftrace.report.verdict import Advice, _headline, _shares, verdict
from tftrace.text import percentages, short_names, time_text

OLD = Path(__file__).parents[1] / "runs" / "version_0_1_0"
REAL = Path(__file__).parents[3] / "shared" / "traces"
SAMPLES = {"samples": 3000, "trace": {"samples": 3000, "whole": True}}


@pytest.fixture(params=["mission", "recurrent"])
def profile(request, run_of):
    return run_of(request.param)


def test_the_parts_close(profile):
    found = verdict(profile)
    assert sum(part.percent for part in found.shares) == 100
    assert sum(part.ms for part in found.shares) == pytest.approx(found.base_ms)
    assert found.base_ms == pytest.approx(profile.wall["wall_ms"].sum())
    components = [name for part in found.shares for name in part.components]
    there = profile.wall[profile.wall["wall_ms"] > 0]["component"]
    assert sorted(components) == sorted(there)


def test_an_unmeasured_latency_is_said(profile):
    """The session's runs have no untraced pass."""
    found = verdict(profile)
    assert found.latency_ms is None
    assert "latency was not measured" in found.headline
    assert "traced pass" in found.headline


@pytest.mark.parametrize(
    ("passes", "said"),
    [
        ([293.0], "98 us per sample, 293 ms for 3,000 (1 pass)"),
        ([280.0, 293.0, 310.0], "98 us per sample, 293 ms for 3,000 (280 to 310 in 3 passes)"),
        ([280.0, 290.0, 293.0, 310.0, 340.0], "98 us per sample, 293 ms for 3,000 (IQR 20.0)"),
    ],
)
def test_the_headline_tells_the_spread_that_is_known(passes, said):
    """With four passes and more the quartiles mean something: here 290 and 310."""
    middle = sorted(passes)[len(passes) // 2]
    latency = {"median_ms": middle, "n": len(passes), "all_ms": passes, "iqr_ms": 20.0}
    assert _headline(SimpleNamespace(foreign=False, run=SAMPLES, latency=latency)) == said


def test_small_parts_are_told_together():
    """Three of at least 5 % beside the layers; two small ones are ``other``, one has its name."""
    parts = {"layers": 3.0, "input pipeline": 50.0, "function dispatch": 40.0, "a": 4.0, "b": 3.0}
    assert [p.name for p in _shares(parts)] == ["input pipeline", "dispatch", "layers", "other"]
    assert _shares(parts)[-1].components == ("a", "b")
    assert [p.name for p in _shares({"layers": 97.0, "compilation": 3.0, "a": 0.0})] == [
        "layers",
        "compilation",
    ]


def test_whole_percents_sum_to_100():
    assert percentages([1 / 3, 1 / 3, 1 / 3]) == [34, 33, 33]
    # 45.5 + 27.3 + 27.2: cut off, 99; the first has lost most.
    assert percentages([0.455, 0.273, 0.272]) == [46, 27, 27]


def test_the_largest_share_is_explained_whatever_it_is(profile):
    found = verdict(profile)
    largest = max(found.shares, key=lambda part: part.ms)
    if largest.name != "other":
        (component,) = largest.components
        assert found.explanation.startswith(component)


def test_advice_is_a_command_with_a_share_of_the_same_base(run_of):
    profile = run_of("mission")
    found = verdict(profile)
    group = [f for f in profile.findings if f["kind"] == found.do_first.kind]
    assert found.findings == len({f["kind"] for f in profile.findings})
    if found.do_first.saving_ms is not None:
        saving = sum(f["saving_ms"] or 0.0 for f in group)
        assert found.do_first.saving_ms == pytest.approx(saving)
        assert found.do_first.saving_share == pytest.approx(saving / found.base_ms)
    norm = next(f for f in profile.findings if f["kind"] == "unfused batch norm")
    assert norm["command"] == "tftrace fold model.keras -o folded.keras"
    assert preparation(norm["command"], profile.run) == "model.save('model.keras')"


def test_advice_in_words():
    advice = Advice("fold", ("m/bn",), "fold it", "tftrace fold m", None, 41.2, 0.137, "measured")
    assert str(advice) == "tftrace fold m   about -41.2 ms (-14%)"
    assert str(dataclasses.replace(advice, command=None)) == "fold it; about -41.2 ms (-14%)"
    silent = dataclasses.replace(advice, saving_ms=None, saving_share=None)
    assert str(silent) == "tftrace fold m"


def test_commands_name_the_files_and_options_of_the_run():
    origin = {"model": "my nets/a;b.keras", "data": "x.npy", "options": ["--custom", "layers:L"]}
    run = {"origin": origin, "batch_size": 64, "jit": True}
    assert complete(FOLD, run) == (
        "tftrace fold 'my nets/a;b.keras' -o folded.keras --custom layers:L"
    )
    assert complete(TRY_XLA, run | {"jit": False}) == (
        "tftrace run 'my nets/a;b.keras' x.npy --try jit --custom layers:L --batch-size 64"
    )
    assert complete(batch_size(256), run) == (
        "tftrace compare 'my nets/a;b.keras' x.npy --set batch-size=256 --custom layers:L --jit on"
    )
    assert complete(None, run) is None
    assert preparation("tftrace fold …", run) is None


def test_a_run_without_files_says_what_to_save_first():
    run = {"origin": None, "batch_size": 32, "jit": False}
    command = complete(batch_size(64), run)
    assert command == "tftrace compare model.keras data.npy --set batch-size=64"
    assert preparation(command, run) == "model.save('model.keras'); np.save('data.npy', x)"


def test_a_run_of_an_older_version_has_an_answer():
    """Six samples in three passes; the input pipeline took 42.9 of 48.3 ms."""
    found = verdict(tftrace.load(OLD))
    assert found.headline == "7.72 ms per sample, 46.3 ms for 6 (40.9 to 54.2 in 3 passes)"
    assert found.shares_text.startswith("89% input pipeline · 6% Keras loop")
    assert found.recorded == 1.0


@pytest.mark.parametrize("name", ["gpu_alexnet_fit", "gpu_bert_8_replicas"])
def test_a_trace_from_elsewhere_says_what_is_known(name):
    trace = REAL / f"{name}.xplane.pb"
    if not trace.exists():
        pytest.skip("the real traces are not here")
    found = verdict(tftrace.load(trace))
    assert "a trace taken elsewhere" in found.headline
    assert "latency are not known" in found.headline
    assert sum(part.percent for part in found.shares) == 100
    assert found.do_first is None
    assert found.latency_ms is found.recorded is None
    assert "idle" in found.shares_text


def test_names_are_the_shortest_suffix_that_no_other_ends_with():
    paths = ["m", "m/a/conv", "m/b/conv", "m/a/dense", "conv", "m/b"]
    assert short_names(paths) == {
        "m": "m",
        "m/a/conv": "a/conv",
        "m/b/conv": "b/conv",
        "m/a/dense": "dense",
        "conv": "conv",
        "m/b": "b",
    }


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (0.00034, "0.34 us"),
        (0.0977, "98 us"),
        (0.0996, "100 us"),
        (0.1, "0.10 ms"),
        (293.4, "293 ms"),
    ],
)
def test_times_have_the_unit_that_reads_best(ms, said):
    assert time_text(ms) == said
    assert time_text(12_345) == "12.3 s"
