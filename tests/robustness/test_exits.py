"""Commands whose output goes nowhere, whose disk is full, or that are told to stop."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import signals
from stage_lines import without_stages

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/dev/full, tmpfs, signals")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("exits")
    signals.prepare(place)
    return place


def shell(folder: Path, line: str) -> subprocess.CompletedProcess:
    line = line.replace("tftrace ", f"{sys.executable} -m tftrace ")
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("command", ["report runs", "export runs -o piped", "run --help"])
def test_who_reads_has_had_enough(folder, command):
    done = shell(folder, f"tftrace {command} | true")
    assert (done.returncode, done.stderr) in ((141, ""), (0, ""))


def test_a_report_that_is_cut_has_written_its_files(folder):
    done = shell(folder, "tftrace report runs --top 0 --json cut.json | (sleep 4; true)")
    assert done.returncode in (0, 141)
    assert done.stderr == ""
    assert json.loads((folder / "cut.json").read_text())["schema"] == 1


@pytest.mark.parametrize("command", ["report runs --json full.json", "--help", "--version"])
def test_standard_output_is_full(folder, command):
    done = shell(folder, f"tftrace {command} > /dev/full")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "tftrace: cannot write to standard output: No space left on device"
    ]
    if "full.json" in command:
        assert json.loads((folder / "full.json").read_text())["schema"] == 1


def test_standard_output_or_error_is_closed(folder):
    assert shell(folder, "tftrace report runs >&-").returncode == 0
    assert shell(folder, "tftrace report nowhere 2>&-").returncode == 2
    assert shell(folder, "tftrace report nowhere 2>/dev/full").returncode == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", [0.05, 0.4, 1.2])
def test_a_signal_ends_a_command_quietly(folder, number, after):
    assert signals.fault_of(folder, signals.COMMANDS["report"], number, after, 1.2) is None


# --- targets that cannot be written


@pytest.mark.parametrize(
    "command",
    [
        "run m.keras x.npy --no-calibrate --json file/r.json",
        "run m.keras x.npy --no-calibrate --html runs",
        "run m.keras x.npy --no-calibrate --csv file",
        "run m.keras x.npy --no-calibrate --out blocked",
        "count m.keras --json file/c.json",
        "fold bn.keras -o file/f.keras",
        "estimate m.keras --json file/e.json",
        "report runs --json file/r.json",
        "export runs -o file/t",
        "scan runs --out file/set",
    ],
)
def test_a_target_that_cannot_be_written_is_noticed_first(folder, command):
    (folder / "file").touch()
    (folder / "blocked").mkdir(exist_ok=True)
    (folder / "blocked" / "plugins").touch()
    start = f"import sys; sys.argv[1:] = {command.split()!r}; from tftrace.cli import main; main()"
    begin = [sys.executable, "-X", "importtime", "-c", start]
    done = subprocess.run(begin, cwd=folder, capture_output=True, text=True, timeout=120)
    imported, said = [], []
    for line in without_stages(done.stderr).splitlines():
        (imported if line.startswith("import time:") else said).append(line)
    assert done.returncode == 2
    assert len(said) == 1, said
    assert said[0].startswith("tftrace: cannot write"), said
    if not command.startswith(("fold", "export")):
        assert not any(line.endswith("| tensorflow") for line in imported)
    assert not list(folder.rglob(".tftrace-*"))


# --- a full disk


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """``disk(size)``: an empty file system of so many KB, where this may be mounted."""
    place = tmp_path_factory.mktemp("disk")
    mounted = []

    def of(size: int) -> Path:
        while mounted:
            subprocess.run(["umount", mounted.pop()], check=True)
        options = ["-t", "tmpfs", "-o", f"size={size}k", "none", str(place)]
        if subprocess.run(["mount", *options], capture_output=True).returncode:
            pytest.skip("file systems cannot be mounted here")
        mounted.append(str(place))
        return place

    yield of
    for each in mounted:
        subprocess.run(["umount", each], check=True)


WRITING = {
    "report --json": ("report runs --quiet --json {}/r.json", 3),
    "report --html": ("report runs --quiet --html {}/r.html", 3),
    "report --csv": ("report runs --quiet --csv {}/r", 3),
    "export parquet": ("export runs --format parquet -o {}/t", 3),
    "count --json": ("count m.keras --quiet --json {}/c.json", 1),
    "fold": ("fold bn.keras --quiet -o {}/f.keras", 2),
    "run": ("run m.keras x.npy --quiet --no-calibrate --repeats 0 --out {}/runs", 3),
    "scan": ("scan runs --workers 1 --quiet --out {}/set", 1),
}


@pytest.mark.parametrize("writing", WRITING)
def test_a_full_disk_is_one_line_and_leaves_nothing(folder, disk, writing):
    command, sizes = WRITING[writing]
    for size in (4, 8, 12, 24, 40)[:sizes]:
        place = disk(size)
        done = shell(folder, "tftrace " + command.format(place))
        if done.returncode == 0:
            continue
        assert done.returncode == 2, done.stderr
        assert len(without_stages(done.stderr).splitlines()) == 1, done.stderr
        assert str(place) in done.stderr
        assert [p for p in place.rglob("*") if p.is_file()] == []
    assert size == 4 or done is not None


# --- what a killed process leaves


def test_the_next_run_takes_away_what_a_killed_one_left(folder):
    from tftrace.files import scratch_folder

    place = folder / "shared"
    code = (
        "import pathlib, time; from tftrace.files import scratch_folder\n"
        f"with scratch_folder(pathlib.Path({str(place)!r})) as scratch:\n"
        "    print(scratch, flush=True); time.sleep(60)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    killed, alive = (Path(p.stdout.readline().strip()) for p in processes)
    processes[0].kill()
    processes[0].wait()
    try:
        for each in (killed, alive):
            os.utime(each, (time.time() - 3600,) * 2)
        with scratch_folder(place):
            assert not killed.exists()
            assert alive.exists()
    finally:
        processes[1].terminate()
        processes[1].wait()


_SWALLOWED = """
import os, signal, sys
from tftrace import cli

def native(**_):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000): pass
    except SystemExit:
        raise ImportError("initialization failed") from None

cli.app = native
cli.main()
"""


def test_a_signal_that_native_code_makes_an_error_of_its_own_is_still_a_signal():
    # As an extension module does that is interrupted while it is imported.
    found = subprocess.run([sys.executable, "-c", _SWALLOWED], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (128 + signal.SIGTERM, "")
