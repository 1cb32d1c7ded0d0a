"""Whole scans: on a scheduler and workers in processes of their own, and on local ones."""

import http.server
import shutil
import threading
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from logs import SLOW
from rich.console import Console

import tftrace

pytest.importorskip("distributed")
pytest.importorskip("pyarrow")

import psutil
from cluster import cluster

from tftrace.errors import TftraceError
from tftrace.parsers.op_table import op_totals
from tftrace.report.scan import scan_parts
from tftrace.report.terminal.parts.draw import draw
from tftrace.scan import ScanResult, scan
from tftrace.scan.find import find_captures
from tftrace.scan.read import read_capture
from tftrace.scan.result import TABLES
from tftrace.scan.summary import compare_hosts


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("cluster"), workers=2) as address:
        yield address


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("parquet") / "out"


@pytest.fixture(scope="module")
def scanned(log_folder, scheduler, out) -> ScanResult:
    return scan(log_folder, scheduler=scheduler, workers=2, out=out)


def profiles(folder: Path) -> Path:
    return folder / "plugins" / "profile"


def same(a: ScanResult, b: ScanResult, without: tuple[str, ...] = ()) -> None:
    for name in TABLES:
        first, second = getattr(a, name), getattr(b, name)
        drop = [column for column in without if column in first]
        pd.testing.assert_frame_equal(first.drop(columns=drop), second.drop(columns=drop))


def test_a_worker_reads_on_one_thread(log_folder, monkeypatch):
    def no_threads(*_):
        raise AssertionError("threads were started")

    monkeypatch.setattr("tftrace.parsers.lines.ThreadPoolExecutor", no_threads)
    captures = {(c.run, c.host): c for c in find_captures([log_folder])}
    assert read_capture(captures["one", "a"]).layers is not None
    with pytest.raises(AssertionError):
        read_capture(captures["one", "a"], threads=2)


def test_every_readable_host_of_every_run_is_there(scanned):
    hosts = scanned.hosts
    assert list(zip(hosts["run"], hosts["host"], strict=True)) == [
        ("one", "a"),
        ("one", "b"),
        ("one", "c"),
        ("two", "a"),
        ("two", "d"),
    ]
    assert hosts["model"].tolist()[:3] == ["small"] * 3
    assert hosts["model"].isna().tolist()[3:] == [True, True]
    assert hosts["samples"].tolist()[:3] == [70] * 3


def test_broken_files_are_reported_and_stop_nothing(scanned, log_folder):
    errors = scanned.errors.set_index("host")
    assert sorted(errors.index) == ["cut", "empty"]
    assert errors.loc["cut", "error"].startswith("truncated at byte ")
    assert "(0 bytes)" in errors.loc["empty", "error"]
    assert errors.loc["cut", "url"] == str(profiles(log_folder) / "one" / "cut.xplane.pb")


def test_tables_are_those_of_each_file_alone(scanned, log_folder):
    for run, host in zip(scanned.hosts["run"], scanned.hosts["host"], strict=True):
        trace = profiles(log_folder) / run / f"{host}.xplane.pb"
        pd.testing.assert_frame_equal(of(scanned.ops, run, host), op_totals(trace))
    for host in "abc":
        alone = tftrace.load(profiles(log_folder) / "one" / f"{host}.tftrace.json").layers
        pd.testing.assert_frame_equal(of(scanned.layers, "one", host), alone, check_dtype=False)
    assert set(scanned.layers["run"]) == {"one"}
    machine = tftrace.load(profiles(log_folder) / "one" / "a.tftrace.json").machine
    told = scanned.hosts.set_index(["run", "host"])["machine"]
    assert machine["cpu"] in told["one", "a"]
    assert f"{machine['cores']} cores" in told["one", "a"]
    assert pd.isna(told["two", "a"])


def of(table: pd.DataFrame, run: str, host: str) -> pd.DataFrame:
    mine = table[(table["run"] == run) & (table["host"] == host)]
    return mine.drop(columns=["run", "host"]).reset_index(drop=True)


def test_the_slow_host_is_found_in_every_layer(scanned):
    assert scanned.stragglers["host"].tolist()[0] == "b"
    slowest = scanned.stragglers.iloc[0]
    assert slowest["over_median"] == pytest.approx(SLOW, rel=1e-6)
    spread = scanned.layer_spread.set_index("path")
    assert set(spread["slowest_host"]) >= {"b"}
    for path in ("small/hidden", "small/logits"):
        assert spread.loc[path, "captures"] == 3
        assert spread.loc[path, "slowest_host"] == "b"
        assert spread.loc[path, "max_over_median"] == pytest.approx(SLOW, rel=1e-6)
        assert spread.loc[path, "min_us"] == spread.loc[path, "median_us"]


def test_local_processes_give_the_same_and_listen_on_loopback_only(scanned, log_folder):
    said: list[str] = []
    listening: set[str] = set()

    def look(stage: str) -> None:
        said.append(stage)
        me = psutil.Process()
        for process in (me, *me.children(recursive=True)):
            for connection in process.net_connections():
                if connection.status == psutil.CONN_LISTEN:
                    listening.add(connection.laddr.ip)

    local = scan([str(log_folder)], workers=1, progress=look)
    same(local, scanned)
    assert said[-1] == "7 of 7 traces read"
    assert listening == {"127.0.0.1"}


def test_the_data_set_holds_all_tables(scanned, out):
    assert (out / "run=one" / "host=a" / "layers-0.parquet").exists()
    whole = pd.read_parquet(out)
    assert whole["kind"].value_counts().to_dict() == {
        name: len(getattr(scanned, name)) for name in TABLES
    }
    layers = pd.read_parquet(out, filters=[("kind", "==", "layers")])
    key = ["run", "host", "path"]
    merged = layers.astype({"run": str, "host": str}).merge(
        scanned.layers, on=key, suffixes=("", "_expected")
    )
    assert len(merged) == len(scanned.layers)
    assert (merged["wall_ms"] == merged["wall_ms_expected"]).all()


def test_a_data_set_is_never_written_over_another(log_folder, out):
    with pytest.raises(TftraceError, match="not an empty folder"):
        scan(log_folder, out=out)


def test_the_report_fits_80_columns(scanned):
    console = Console(width=80, record=True, highlight=False)
    draw(scan_parts(scanned, top=3), console)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "5 traces" in text
    assert "2 files could not be read" in text
    assert "stragglers: 2 of 5 compared" in text
    assert "b, run one: 3.00 x the median wall time per sample of 2 other captures" in text


def test_the_report_tells_runs_apart(scanned):
    def named(table: pd.DataFrame) -> pd.DataFrame:
        again = table[table["run"] == "one"].replace({"run": {"one": "three"}})
        return pd.concat([table, again], ignore_index=True)

    hosts = compare_hosts(named(scanned.hosts))
    both = ScanResult(named(scanned.ops), named(scanned.layers), hosts, scanned.errors.head(0))
    console = Console(width=80, record=True, highlight=False)
    draw(scan_parts(both, top=None), console)
    text = console.export_text()
    assert "[1] one" in text
    assert "[2] three" in text
    assert "could not be read" not in text
    assert "more)" not in text


def test_a_manifest_that_cannot_be_read_costs_its_layers_only(log_folder, tmp_path, scheduler):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(profiles(log_folder) / "one" / "a.xplane.pb", run)
    (run / "a.tftrace.json").write_text("{")
    result = scan(run, scheduler=scheduler)
    assert len(result.ops)
    assert result.layers.empty
    assert result.errors["error"].str.contains("is damaged").tolist() == [True]


def test_files_behind_http(log_folder, scanned, scheduler):
    pytest.importorskip("aiohttp")
    handler = partial(_Quiet, directory=log_folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/"
            remote = scan(url, scheduler=scheduler)
        finally:
            server.shutdown()
            thread.join()
    assert remote.errors["host"].tolist() == ["cut", "empty"]
    assert remote.errors["error"].iloc[1].startswith(f"{url}plugins/profile/one/empty.xplane.pb is")
    same(ScanResult(remote.ops, remote.layers, remote.hosts, scanned.errors), scanned, ("url",))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


def test_remote_files_are_read_without_leaving_a_copy(log_folder, tmp_path, monkeypatch):
    import fsspec

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    memory = fsspec.filesystem("memory")
    memory.put(str(profiles(log_folder) / "one"), "/scan/", recursive=True)
    try:
        capture = next(c for c in find_captures(["memory://scan"]) if c.host == "a")
        reading = read_capture(capture)
    finally:
        memory.rm("/scan", recursive=True)
    assert reading.layers is not None
    assert not list(tmp_path.iterdir())


def test_a_scheduler_that_is_not_there(log_folder, monkeypatch):
    monkeypatch.setattr("tftrace.scan.run._TIMEOUT", 1)
    with pytest.raises(TftraceError, match="no Dask scheduler answers at"):
        scan(log_folder, scheduler="tcp://127.0.0.1:9")


def test_too_few_workers(log_folder, scheduler, monkeypatch):
    monkeypatch.setattr("tftrace.scan.run._TIMEOUT", 1)
    with pytest.raises(TftraceError, match="too few workers"):
        scan(log_folder, scheduler=scheduler, workers=3)


@pytest.mark.parametrize("packages", ["_NEEDED", "_NEEDED_LOCALLY"])
def test_without_dask_the_user_learns_what_to_install(log_folder, monkeypatch, packages):
    monkeypatch.setattr(f"tftrace.scan.run.{packages}", ("surely_not_installed",))
    with pytest.raises(TftraceError, match=r"pip install 'tftrace\[distributed\]'"):
        scan(log_folder)
