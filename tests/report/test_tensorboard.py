"""``view --tensorboard``: the real one, on loopback, with the run in it; Ctrl-C ends it."""

import gzip
import json
import os
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tftrace.errors import TftraceError
from tftrace.report.tensorboard import tensorboard
from tftrace.runs.names import TRACE


def asked(url: str):
    with urllib.request.urlopen(url, timeout=60) as answer:
        data = answer.read()
    return json.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)


@contextmanager
def viewing(path: Path):
    """The command, when it has printed the address."""
    command = [sys.executable, "-m", "tftrace", "view", str(path), "--tensorboard", "--no-browser"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    try:
        yield process, process.stdout.readline().strip()
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_it_shows_the_run_and_ends_with_ctrl_c(run_of, tmp_path):
    folder = run_of("small").save(tmp_path / "logs")
    with viewing(folder) as (process, url):
        assert url.startswith("http://127.0.0.1:")
        base = url.removesuffix("#profile")
        assert asked(f"{base}data/plugin/profile/runs") == [folder.name]
        tools = asked(f"{base}data/plugin/profile/run_tools?run={folder.name}")
        assert any(tool.startswith("trace_viewer") for tool in tools)
        (child,) = psutil.Process(process.pid).children(recursive=True)
        hosts = {c.laddr.ip for c in child.net_connections() if c.status == psutil.CONN_LISTEN}
        assert hosts == {"127.0.0.1"}
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
        assert process.returncode == 0
        assert not psutil.pid_exists(child.pid)
    assert "charts and op tables stay blank" in told
    assert "interrupted" not in told


def test_a_trace_that_lies_elsewhere_is_linked_into_a_log_folder(run_of, tmp_path):
    (trace,) = run_of("small").folder.glob(f"*{TRACE}")
    copy = tmp_path / "mine" / trace.name
    copy.parent.mkdir()
    copy.write_bytes(trace.read_bytes())
    with tensorboard(copy) as (url, child):
        base = url.removesuffix("#profile")
        assert asked(f"{base}data/plugin/profile/runs") == ["mine"]
    assert child.poll() is not None


def test_one_that_does_not_start_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(TftraceError, match="did not start: it said nothing"), tensorboard(tmp_path):
        pass
