"""What a user sees: a terminal of 80 columns and of 120, a pipe, `| head`, files that are `-`."""

import json
import os
import pty
import re
import select
import shlex
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import networks
import numpy as np
import pytest
import typer
from stage_lines import stages_of, without_stages
from typer.main import get_command
from typer.testing import CliRunner

import tftrace
from tftrace.cli import app
from tftrace.findings.basis.commands import (
    FOLD,
    FREEZE,
    TRY_ALL,
    TRY_XLA,
    WITHOUT_ONEDNN,
    WITHOUT_XLA,
    batch_size,
    complete,
)
from tftrace.report.terminal.parts.progress import stages
from tftrace.text import Stage

if sys.platform != "linux":
    pytest.skip("pseudo-terminals", allow_module_level=True)
fcntl = pytest.importorskip("fcntl")

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, run_of) -> Path:
    """A run, and a model with data."""
    place = tmp_path_factory.mktemp("screens")
    run_of("mission").save(place / "runs")
    model, data = networks.BUILDERS["small"]()
    model.save(place / "m.keras")
    np.save(place / "x.npy", data)
    networks.BUILDERS["mission"]()[0].save(place / "bn.keras")
    (place / "budget.toml").write_text("[counts]\nparams = 1\n")
    return place


def command(line: str) -> list[str]:
    return [sys.executable, "-m", "tftrace", *shlex.split(line)]


def on_terminal(folder: Path, line: str, columns: int, **env: str) -> tuple[int, str]:
    """Exit code and all that a terminal of that width gets."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        command(line),
        cwd=folder,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**kept, "TERM": "xterm-256color", **env},
    )
    os.close(slave)
    got = b""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if select.select([master], [], [], 1)[0]:
            try:
                part = os.read(master, 1 << 16)
            except OSError:  # all who had the terminal are gone
                break
            got += part
        elif process.poll() is not None:
            break
    os.close(master)
    return process.wait(timeout=10), got.decode(errors="replace")


def in_pipe(folder: Path, line: str, **env: str) -> subprocess.CompletedProcess:
    kept = {k: v for k, v in os.environ.items() if k not in ("TF_CPP_MIN_LOG_LEVEL", "COLUMNS")}
    return subprocess.run(
        command(line), cwd=folder, capture_output=True, text=True, timeout=120, env={**kept, **env}
    )


@pytest.mark.parametrize(("columns", "rates"), [(80, False), (120, True)])
def test_the_report_fits_the_terminal_and_uses_it(folder, columns, rates):
    code, text = on_terminal(folder, "report runs", columns)
    lines = ESCAPES.sub("", text).replace("\r", "").splitlines()
    assert code == 0
    assert max(map(len, lines)) <= columns
    assert ("GMAC/s" in text) is rates
    assert "\x1b[1m" in text


def test_colors_are_forbidden_or_forced(folder):
    assert "\x1b[3" not in on_terminal(folder, "report runs", 80, NO_COLOR="1")[1]
    assert "\x1b" not in in_pipe(folder, "report runs").stdout
    assert "\x1b[1m" in in_pipe(folder, "report runs", CLICOLOR_FORCE="1").stdout
    assert "\x1b" not in in_pipe(folder, "report runs", CLICOLOR_FORCE="1", NO_COLOR="1").stdout


def test_stages_are_drawn_on_a_terminal_while_tensorflow_starts(folder):
    """The descriptor of the process points elsewhere meanwhile; the clock goes on."""
    code, text = on_terminal(folder, "run m.keras x.npy --quick", 80)
    assert code == 0
    starting = re.findall(r"\[1/6\] (\d+) s: starting TensorFlow", text)
    assert len(set(starting)) > 1, "it stands still"
    assert re.search(r"\[6/6\] \d+ s: writing the run", text)
    report = ESCAPES.sub("", text[text.rindex("m.keras: ") :])
    assert "[6/6]" not in report


@pytest.fixture(scope="module")
def quick(folder) -> subprocess.CompletedProcess:
    done = in_pipe(folder, "run m.keras x.npy --quick --json -")
    assert done.returncode == 0, done.stderr
    return done


def test_a_quick_run_makes_three_passes(quick):
    found = json.loads(quick.stdout)
    latency, run = found["latency"], found["run"]
    assert (run["warmup"], latency["n"], latency["without_autotuner"]) == (0, 2, None)
    assert latency["without_autotuner_reason"] == "left out, for a quick answer"


def test_stages_in_a_pipe_are_a_line_each(quick):
    assert stages_of(quick.stderr) == [(k, 6) for k in range(1, 7)]
    assert without_stages(quick.stderr) == ""
    assert re.search(r"\] \d+ s: measuring latency, 2 passes", quick.stderr)


def test_what_is_advised_runs_when_it_is_pasted(folder, quick, monkeypatch):
    """Predict of so few samples is mostly overhead, so trying is advised: here without trying."""
    monkeypatch.chdir(folder)
    advised = {f["command"] for f in json.loads(quick.stdout)["findings"]} - {None}
    assert "tftrace advise m.keras x.npy" in advised
    done = CliRunner().invoke(app, ["advise", "m.keras", "x.npy", "--dry"])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    "template", [FOLD, TRY_XLA, TRY_ALL, WITHOUT_XLA, FREEZE, WITHOUT_ONEDNN, batch_size(64)]
)
@pytest.mark.parametrize("own", [False, True])
def test_every_command_that_is_advised_is_one(template, own):
    """The command line's own parser takes it, with every option that a run may have had."""
    options = ["--custom", "mine", "--unsafe", "--keras", "2"] if own else []
    origin = {"model": "a b.keras", "data": "x.npy", "options": options, "data_module": own}
    run = {"origin": origin, "batch_size": 8 if own else 32, "jit": own}
    words = shlex.split(complete(template, run))
    words = words[words.index("tftrace") + 1 :]
    root = get_command(app)
    context = typer.Context(root)
    found = root.get_command(context, words[0])  # type: ignore[attr-defined]
    parsed = found.make_context(words[0], words[1:]).params
    assert str(parsed.get("model") or parsed["a"]) == "a b.keras"


@pytest.mark.parametrize("option", ["--json", "--html", "--csv"])
def test_a_file_may_be_standard_output(folder, option):
    done = in_pipe(folder, f"report runs {option} -")
    assert done.returncode == 0
    start = {"--json": '{"schema": 1', "--html": "<!", "--csv": "path,name,type,"}[option]
    assert done.stdout.lower().startswith(start)
    assert "Do first" not in done.stdout.splitlines()[0]
    assert not (folder / "-").exists()


def test_standard_output_takes_one_file(folder):
    done = in_pipe(folder, "report runs --json - --html -")
    assert done.returncode == 2
    assert "one of the files only" in done.stderr


RESULTS = [
    "report runs",
    "count m.keras",
    "compare runs runs",
    "check runs --budget budget.toml",
    "fold bn.keras -o folded.keras",
    "scan runs --workers 1",
    "advise m.keras x.npy --dry",
]
"""Of each command with a result, but for those that measure for long."""


@pytest.mark.parametrize("line", RESULTS)
def test_each_layout_and_json_on_standard_output(folder, line, monkeypatch):
    monkeypatch.chdir(folder)
    text, markdown, data, file = (
        CliRunner().invoke(app, [*line.split(), *option.split()]).stdout
        for option in ("", "--format markdown", "--format json", "--json -")
    )
    assert json.loads(data)["schema"] == 1
    assert json.loads(file).keys() == json.loads(data).keys()
    assert ("**folded 1 of 1" if line.startswith("fold") else "\n| :-- |") in markdown
    assert "|" not in text


def test_head_takes_no_file_away(folder):
    line = shlex.join(command("report runs --json head.json --csv heads --html head.html --top 0"))
    done = subprocess.run(["bash", "-c", f"{line} | head -1"], cwd=folder, capture_output=True)
    assert done.stdout.startswith(b"with_bn: ")
    assert json.loads((folder / "head.json").read_text())["schema"] == 1
    assert (folder / "heads" / "layers.csv").exists()
    assert (folder / "head.html").read_text().rstrip().endswith("</html>")


def test_the_shell_completes(folder):
    done = in_pipe(
        folder,
        "",
        _TFTRACE_COMPLETE="complete_bash",
        _PYTHON_M_TFTRACE_COMPLETE="complete_bash",
        **{"_PYTHON _M TFTRACE_COMPLETE": "complete_bash"},  # of older versions of typer
        COMP_WORDS="tftrace rep",
        COMP_CWORD="1",
    )
    assert "report" in done.stdout.split()


def test_time_left_counts_down_and_extra_stages_count(capsys):
    with stages(False, 2) as say:
        say("one")
        say(Stage("beside", 15, unplanned=True))
        say(Stage("of it", within=True))
        say("two")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["[1/2] 0 s: one", "[2/3] 0 s: beside, about 15 s left", "[3/3] 0 s: two"]


def test_a_profile_in_python_prints_no_stage(capsys):
    model, data = networks.BUILDERS["small"]()
    tftrace.profile(model, data, repeats=0, calibrate=False)
    assert capsys.readouterr() == ("", "")
