"""A real Dask scheduler and real workers, each a process of its own, on 127.0.0.1 only."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Even without a dashboard there is a status page, which would ask for port 8787.
HERE = ("--host", "127.0.0.1", "--no-dashboard", "--dashboard-address", "127.0.0.1:0")


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[str]:
    """The address of a scheduler that has so many workers of one thread; ended on exit."""
    told = folder / "scheduler.json"
    # Ended in reverse order, one after the other: a worker that says goodbye to a scheduler which
    # is just going may wait for it forever.
    with ExitStack() as started:
        scheduler = started.enter_context(
            _dask("scheduler", "--port", "0", "--scheduler-file", str(told), cwd=folder)
        )
        address = _address(told, scheduler)
        for _ in range(workers):
            started.enter_context(
                _dask("worker", address, "--no-nanny", "--nthreads", "1", cwd=folder)
            )
        yield address


@contextmanager
def _dask(*arguments: str, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments, *HERE],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
        process.terminate()
        process.wait(timeout=20)
    finally:
        process.kill()  # nothing, if it has ended
        process.wait()


def _address(told: Path, scheduler: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + 30
    while scheduler.poll() is None and time.monotonic() < end:
        if told.exists() and (text := told.read_text()):
            address: str = json.loads(text)["address"]
            return address
        time.sleep(0.05)
    raise RuntimeError("the scheduler did not start")
