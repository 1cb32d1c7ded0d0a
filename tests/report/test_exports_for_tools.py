"""Files for other tools: what Perfetto, speedscope and flame graph tools ask of them."""

import json
from collections import defaultdict

import numpy as np
import pytest
from typer.testing import CliRunner

from tftrace.cli import app
from tftrace.report.exports.files import FILES


@pytest.fixture(scope="module")
def profile(run_of):
    return run_of("recurrent")


@pytest.fixture(scope="module")
def written(profile, tmp_path_factory):
    """The text of each format, as the command writes it."""
    folder = tmp_path_factory.mktemp("files")
    found = {}
    for name in FILES:
        file = folder / name
        done = CliRunner().invoke(
            app, ["export", str(profile.folder), "--format", name, "-o", str(file)]
        )
        assert done.exit_code == 0, done.output
        found[name] = file.read_text()
    return found


def test_collapsed_stacks_sum_to_the_wall(profile, written) -> None:
    lines = [line.rpartition(" ") for line in written["collapsed"].splitlines()]
    us = {stack: int(value) for stack, _, value in lines}
    # Each line is rounded by itself.
    assert sum(us.values()) == pytest.approx(1e3 * profile.wall["wall_ms"].sum(), abs=len(us))
    times = profile.layers.set_index("path")["wall_ms"]
    longest = times.idxmax()
    assert us[longest.replace("/", ";")] == pytest.approx(1e3 * times[longest], abs=0.51)


def test_speedscope_has_time_beside_multiplications(profile, written) -> None:
    found = json.loads(written["speedscope"])
    assert found["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = found["shared"]["frames"]
    time, mults = found["profiles"]
    for each in (time, mults):
        assert each["type"] == "sampled"
        assert len(each["samples"]) == len(each["weights"])
        assert each["endValue"] == pytest.approx(sum(each["weights"]))
        assert all(0 <= i < len(frames) for sample in each["samples"] for i in sample)
    assert (time["unit"], mults["unit"]) == ("milliseconds", "none")
    assert sum(time["weights"]) == pytest.approx(profile.wall["wall_ms"].sum())
    assert sum(mults["weights"]) == profile.layers["mults"].sum()


def test_perfettos_slices_nest_and_none_is_lost(profile, written) -> None:
    events = json.loads(written["perfetto"])["traceEvents"]
    names = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    slices = [e for e in events if e["ph"] == "X"]
    kernels = [e for e in slices if e["pid"] > 1]
    assert len(kernels) == len(profile.events)
    assert sum(e["dur"] for e in kernels) == pytest.approx(
        profile.events["duration_ns"].sum() / 1e3
    )
    assert {(e["pid"], e["tid"]) for e in slices} <= names.keys()
    steps = [e for e in slices if e["name"].startswith("step ")]
    assert len(steps) == len(profile.steps)
    of_track = defaultdict(list)
    for e in slices:
        if e["pid"] == 1 and e["tid"]:
            of_track[e["tid"]].append(e)
    layers = [e for track in of_track.values() for e in track]
    paths = set(profile.layers["path"])
    assert {e["args"]["path"] for e in layers} <= paths | {p.rpartition("/")[0] for p in paths}
    for track in of_track.values():
        assert_nested(track)
    # A kernel lies in the slices of its layer and of that layer's containers.
    kernel = next(e for e in kernels if e["args"].get("layer", "").count("/") >= 2)
    around = [e for e in layers if covers(e, kernel)]
    parts = kernel["args"]["layer"].split("/")
    wanted = {"/".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
    assert wanted <= {e["args"]["path"] for e in around}


def covers(outer, inner):
    end = inner["ts"] + inner["dur"]
    return outer["ts"] - 1e-6 <= inner["ts"] and end <= outer["ts"] + outer["dur"] + 1e-6


def assert_nested(track):
    """As a viewer draws them: the later one inside the one before, or behind it."""
    open_until = []
    for e in sorted(track, key=lambda e: (e["ts"], -e["dur"])):
        while open_until and open_until[-1] <= e["ts"] + 1e-3:
            open_until.pop()
        assert not open_until or e["ts"] + e["dur"] <= open_until[-1] + 1e-3
        open_until.append(e["ts"] + e["dur"])


def test_the_counter_says_how_many_kernels_run(profile, written) -> None:
    events = json.loads(written["perfetto"])["traceEvents"]
    counter = [(e["ts"], e["args"]["kernels"]) for e in events if e["ph"] == "C"]
    assert counter[-1][1] == 0
    assert min(level for _, level in counter) == 0
    starts = profile.events["start_ns"].to_numpy(np.int64)
    ends = starts + profile.events["duration_ns"].to_numpy(np.int64)
    at, level = counter[len(counter) // 2]
    assert level == int(((starts / 1e3 <= at) & (ends / 1e3 > at)).sum())


def test_markdown_is_the_report(profile, written) -> None:
    assert "| layer |" in written["markdown"].replace("  ", " ")
    assert profile.model["name"] in written["markdown"]


def test_the_same_run_makes_the_same_files(profile, written) -> None:
    for name, writer in FILES.items():
        assert "".join(writer(profile)) == written[name]
