"""The command line as a user meets it: real processes, exit codes, one line on stderr."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import networks
import numpy as np
import pytest
from rich.cells import cell_len
from stage_lines import stages_of, without_stages

from tftrace.commands.view import view
from tftrace.errors import TftraceError

NO_TENSORFLOW = """
import sys
from tftrace.cli import main
try:
    main()
finally:
    found = {name.partition(".")[0] for name in sys.modules} & {"tensorflow", "keras", "tf_keras"}
    print("IMPORTED", *sorted(found), file=sys.stderr)
"""


def tftrace(*arguments: object, cwd: Path | None = None, code: str | None = None, **env: str):
    # The tests themselves silence TensorFlow; a user's environment does not.
    kept = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    start = [sys.executable, "-c", code] if code else [sys.executable, "-m", "tftrace"]
    return subprocess.run(
        [*start, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=cwd,
        env={**kept, **env},
    )


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> Path:
    """A folder with a model and data that fits and does not."""
    folder = tmp_path_factory.mktemp("files")
    model, data = networks.BUILDERS["small"]()
    model.save(folder / "m.keras")
    np.save(folder / "x.npy", data)
    np.save(folder / "wide.npy", data[:, :3])
    (folder / "empty").mkdir()
    (folder / "cut.keras").write_bytes((folder / "m.keras").read_bytes()[:900])
    return folder


@pytest.fixture(scope="session")
def ran(files: Path):
    """One run with everything written: the process and its folder."""
    arguments = "m.keras x.npy --out runs --json all.json --csv tables --repeats 3 --no-calibrate"
    done = tftrace("run", *arguments.split(), cwd=files)
    assert done.returncode == 0, done.stderr
    return done


def said(done: subprocess.CompletedProcess) -> str:
    """The one line of an error."""
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    lines = without_stages(done.stderr).strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("tftrace: ")
    return lines[0]


def test_run_prints_the_report_and_nothing_else(ran):
    headline, shares, first, *_ = ran.stdout.splitlines()
    assert re.fullmatch(r"m\.keras: .* per sample, .* ms for 70 \(.* in 3 passes\)", headline)
    assert " · " in shares
    assert first.startswith("Do first: ")
    for part in ("layers: time in ms", "hidden", "predict, traced", "100%"):
        assert part in ran.stdout
    assert re.fullmatch(r"page: tftrace view runs/plugins/profile/\S+", ran.stdout.splitlines()[-1])
    assert max(cell_len(line) for line in ran.stdout.splitlines()[:-1]) <= 80
    assert without_stages(ran.stderr) == ""
    # Start, model, graph, warm-up, latency, traced pass, latency without the autotuner, files.
    assert stages_of(ran.stderr) == [(k, 8) for k in range(1, 9)]


def test_run_writes_what_was_asked_for(ran, files):
    assert json.loads((files / "all.json").read_text())["schema"] == 1
    assert len(list((files / "tables").glob("*.csv"))) == 5
    (run,) = (files / "runs" / "plugins" / "profile").iterdir()
    assert str(run.relative_to(files)) in ran.stdout
    assert not list((files / "runs").glob(".tftrace-*"))


def test_evaluate_takes_labels_and_a_loss(files, tmp_path):
    labels = "--phase evaluate --labels y.npy --loss mse --metrics mae"
    arguments = f"m.keras x.npy {labels} --out {tmp_path} --json - --repeats 1 --no-calibrate"
    np.save(files / "y.npy", np.zeros((70, 4), "float32"))
    done = tftrace("run", *arguments.split(), cwd=files)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["run"]["call"] == "evaluate"
    assert found["run"]["origin"]["options"] == labels.split()
    assert {op["phase"] for op in found["ops"]} == {"forward", "loss", "metrics", None}
    # Start, model, graph, warm-up, latency, traced pass, files.
    assert stages_of(done.stderr) == [(k, 7) for k in range(1, 8)]


def test_fit_takes_an_optimizer_too(files, tmp_path):
    labels = "--phase fit --labels y.npy --loss mse --optimizer adam"
    page = tmp_path / "page.html"
    arguments = f"m.keras x.npy {labels} --out {tmp_path} --json - --html {page} --no-calibrate"
    np.save(files / "y.npy", np.zeros((70, 4), "float32"))
    done = tftrace("run", *arguments.split(), "--repeats", "1", cwd=files)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["run"]["call"] == "fit"
    assert found["run"]["origin"]["options"] == labels.split()
    phases = {op["phase"] for op in found["ops"]}
    assert phases == {"forward", "backward", "optimizer", "loss", "metrics", None}
    for layer in found["layers"]:
        parts = (layer["forward_ms"], layer["backward_ms"], layer["optimizer_ms"])
        assert sum(parts) == pytest.approx(layer["wall_ms"])
    assert ">backward<" in page.read_text()


def test_the_trained_model_is_written_where_it_is_asked_for(files, tmp_path):
    labels = "--phase fit --labels y.npy --loss mse --optimizer adam"
    arguments = f"m.keras x.npy {labels} --out {tmp_path} --keep {tmp_path}/new.keras --quick"
    np.save(files / "y.npy", np.zeros((70, 4), "float32"))
    before = (files / "m.keras").read_bytes()
    done = tftrace("run", *arguments.split(), cwd=files)
    assert done.returncode == 0, done.stderr
    kept = keras.models.load_model(tmp_path / "new.keras")
    assert int(kept.optimizer.iterations.numpy()) == 3  # 70 samples in batches of 32
    old = keras.models.load_model(files / "m.keras")
    assert any((a != b).any() for a, b in zip(old.get_weights(), kept.get_weights(), strict=True))
    assert (files / "m.keras").read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["new.keras", "plugins"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--optimizer adam", "--optimizer is for --phase evaluate and fit"),
        ("--phase evaluate --labels y.npy --loss mse --optimizer adam", "is for --phase fit"),
        ("--phase fit --labels y.npy --optimizer adam", "--optimizer goes with --loss"),
        ("--phase fit --labels x.npy --loss mse --optimizer a", "Could not interpret optimizer"),
        ("--keep m2.keras", "--keep is for --phase fit"),
        ("--phase evaluate --labels y.npy --keep m2.keras", "--keep is for --phase fit"),
        ("--phase fit --labels y.npy --keep m2.h5", "m2.h5: the trained model is saved as .keras"),
        ("--phase fit --labels y.npy --keep x.npy/m.keras", "x.npy is a file"),
        ("--phase fit --labels y.npy --keep a.keras --json a.keras", "cannot be two of the files"),
        ("--json a --html ./a", "cannot be two of the files"),
        ("--labels y.npy", "--labels is for --phase evaluate"),
        ("--loss mse", "--loss is for --phase evaluate"),
        ("--phase evaluate", "--phase evaluate needs --labels y.npy"),
        ("--phase evaluate --labels y.npy --metrics mae", "--metrics goes with --loss"),
        ("--phase evaluate --labels y.npy --try jit", "leave --phase out"),
        ("--phase evaluate --labels none.npy", "the model is not compiled"),
        ("--phase evaluate --labels none.npy --loss mse", "no data file none.npy"),
        ("--phase evaluate --labels x.npy --loss least", "Could not interpret loss identifier"),
    ],
)
def test_options_of_evaluate_that_do_not_go_together(files, arguments, message):
    assert message in said(tftrace("run", "m.keras", "x.npy", *arguments.split(), cwd=files))


@pytest.mark.parametrize(
    "arguments",
    [
        "run m.keras x.npy --json m.keras",
        "run m.keras x.npy --html ./x.npy",
        "run m.keras x.npy --phase fit --labels y.npy --keep m.keras",
        "run m.keras x.npy --phase fit --labels y.npy --json y.npy",
        "fold m.keras -o m.keras",
        "fold m.keras -o new.keras --data x.npy --json x.npy",
        "compare m.keras x.npy --set jit=on --html x.npy",
        "count m.keras --json m.keras",
        "first m.keras x.npy --json x.npy",
        "advise m.keras x.npy --script m.keras",
        "estimate m.keras --calibration x.npy --json x.npy",
        "check runs --budget x.npy --json x.npy",
        "report x.npy --html x.npy",
        "export x.npy --format perfetto -o x.npy",
    ],
)
def test_no_command_writes_over_what_it_reads(files, arguments):
    before = {each: each.read_bytes() for each in files.iterdir() if each.is_file()}
    assert "is read, and cannot be written over" in said(tftrace(*arguments.split(), cwd=files))
    assert {each: each.read_bytes() for each in files.iterdir() if each.is_file()} == before


def test_report_says_the_same_without_tensorflow(ran, files):
    again = tftrace("report", "runs", cwd=files, code=NO_TENSORFLOW)
    assert again.returncode == 0
    assert again.stderr.splitlines()[-1].split() == ["IMPORTED"]
    assert again.stdout == ran.stdout


def test_a_run_is_found_from_above_and_by_its_trace(ran, files):
    (trace,) = files.rglob("*.xplane.pb")
    for path in (".", trace):
        again = tftrace("report", path, cwd=files)
        assert "hidden" in again.stdout
        assert "matched by name" not in again.stdout


@pytest.mark.parametrize("format", ["csv", "parquet", "json"])
def test_export_without_tensorflow(ran, files, tmp_path, format):
    output = tmp_path / ("all.json" if format == "json" else "tables")
    arguments = ("export", "runs", "--format", format, "-o", output)
    done = tftrace(*arguments, cwd=files, code=NO_TENSORFLOW)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1].split() == ["IMPORTED"]
    for line in done.stdout.splitlines():
        assert Path(line).stat().st_size > 0
    assert len(done.stdout.splitlines()) == (1 if format == "json" else 5)


def test_quiet_prints_nothing(ran, files, tmp_path):
    done = tftrace("report", "runs", "--quiet", "--json", tmp_path / "r.json", cwd=files)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads((tmp_path / "r.json").read_text())["schema"] == 1


def test_a_folder_above_the_runs_will_do(ran, files):
    done = tftrace("report", ".", cwd=files)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].startswith("m.keras")


def test_a_page_that_view_cannot_write_leaves_no_folder(ran, files, tmp_path, monkeypatch):
    def failing(*_):
        raise TftraceError("the disk is full")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("tftrace.report.html.run.write_html", failing)
    with pytest.raises(TftraceError):
        view(files / "runs", browser=False)
    assert not list(tmp_path.iterdir())


def test_python_api_json_and_cli_json_are_one_contract(ran, files):
    import tftrace as package

    assert json.loads((files / "all.json").read_text()) == package.load(files / "runs").to_dict()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "no.keras", "x.npy"), "no model file no.keras"),
        (("report", "nowhere"), "no run at nowhere"),
        (("report", "empty"), "holds no trace"),
        (("report", "x.npy"), "x.npy"),
        (("export", "nowhere", "-o", "t"), "no run at nowhere"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_mistyped_path_fails_before_tensorflow_starts(files, arguments, message):
    done = tftrace(*arguments, cwd=files, code=NO_TENSORFLOW)
    *error, imported = done.stderr.strip().splitlines()
    assert imported.split() == ["IMPORTED"]
    done.stderr = "\n".join(error)
    assert message in said(done)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cut.keras", "x.npy"), "not a whole .keras file"),
        (("m.keras", "no.npy"), "no data file no.npy"),
        (("m.keras", "wide.npy"), "wants shape (batch, 8), the data has (70, 3)"),
        (("m.keras", "x.npy", "--out", "x.npy"), "--out"),
        (("m.keras", "x.npy", "--out", "/proc/no"), "cannot write"),
        (("m.keras", "x.npy", "--custom", "no_module"), "--custom no_module"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_cannot_be_run_is_said_in_one_line(files, arguments, message):
    done = tftrace("run", *arguments, "--no-calibrate", cwd=files)
    assert message in said(done)
    assert done.stdout == ""


def test_debug_shows_the_traceback(files):
    done = tftrace("--debug", "report", "nowhere", cwd=files)
    assert done.returncode != 0
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("run",), ("run", "--nonsense"), ("nonsense",)], ids=" ".join
)
def test_usage_errors_exit_with_2(arguments):
    assert "--help" in said(tftrace(*arguments))


def test_version_and_help():
    from tftrace import __version__

    assert tftrace("--version").stdout.strip() == f"tftrace {__version__}"
    text = tftrace("run", "--help", COLUMNS="100").stdout
    for option in ("--batch-size", "--repeats", "--warmup", "--samples", "--jit", "--all-ops"):
        assert option in text


@pytest.fixture(scope="session")
def cut(ran, files, tmp_path_factory):
    """Cuts a copy of the run's trace: so many bytes off its end, or all but so many."""

    def cut_to(length: int) -> Path:
        folder = tmp_path_factory.mktemp("cut")
        for file in (files / "runs").rglob("*.tftrace.json"):
            shutil.copy(file, folder)
        (trace,) = (files / "runs").rglob("*.xplane.pb")
        (folder / trace.name).write_bytes(trace.read_bytes()[:length])
        return folder

    return cut_to


def test_a_truncated_trace_is_an_error_that_names_salvage(cut):
    message = said(tftrace("report", cut(-1)))
    assert re.search(r"truncated at byte \d+, \d+ events read; .*--salvage", message)


def test_what_is_whole_of_a_truncated_trace_is_reported_with_what_is_lost(cut, files, tmp_path):
    folder = cut(-1)
    (trace,) = folder.glob("*.xplane.pb")
    size = trace.stat().st_size
    for path in (folder, trace):
        done = tftrace("report", "--salvage", path, "--json", tmp_path / "cut.json")
        assert done.returncode == 0, done.stderr
        assert f"truncated at byte {size}" in done.stdout
        found = json.loads((tmp_path / "cut.json").read_text())
        assert re.match(
            rf"the trace is truncated at byte {size}: .* \d+ events", *found["warnings"]
        )
        # The host's plane comes first: of what was measured nothing is lost.
        assert found["layers"] == json.loads((files / "all.json").read_text())["layers"]


def test_a_trace_cut_before_any_name_has_nothing_to_report(cut):
    done = tftrace("report", "--salvage", cut(2000))
    assert "truncated at byte 2000" in said(done)
    assert done.stdout == ""


def test_a_whole_trace_salvaged_is_as_it_was(ran, files):
    done = tftrace("report", "--salvage", files / "runs")
    assert done.stdout == tftrace("report", files / "runs").stdout
    assert "truncated" not in done.stdout


def test_a_trace_is_not_taken_for_a_run_below_its_folder(ran, files, tmp_path):
    shutil.copytree(files / "runs", tmp_path / "runs")
    (trace,) = tmp_path.rglob("*.xplane.pb")
    shutil.copy(trace, tmp_path / "other.xplane.pb")
    assert "a trace taken elsewhere" in tftrace("report", tmp_path / "other.xplane.pb").stdout
    assert tftrace("report", trace).stdout.startswith("m.keras: ")
