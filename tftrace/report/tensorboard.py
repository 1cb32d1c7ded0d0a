"""The real TensorBoard on a run, while it is looked at, on this machine's loopback alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tftrace.errors import TftraceError

OFFLINE = (
    "without a network its trace viewer and overview work; charts and op tables stay blank, for "
    "their code is loaded from elsewhere: tftrace report and tftrace view have those numbers"
)
_URL = re.compile(rb"http://127\.0\.0\.1:\d+/")
_PATIENCE_S = 90
_END_S = 5


@contextmanager
def tensorboard(trace: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Start TensorBoard on the log folder of a trace; it has ended when the block has.

    Yields: the address of its profile page, and the process.

    Raises:
        TftraceError: it ends, or says no address.
    """
    with tempfile.TemporaryDirectory(prefix="tftrace-tensorboard-") as scratch:
        said = Path(scratch) / "said"
        with said.open("wb") as output:
            child = _start(_log_folder(trace, Path(scratch)), output)
        try:
            yield f"{_address(child, said)}#profile", child
        finally:
            _end(child)


def _log_folder(trace: Path, scratch: Path) -> Path:
    """The folder with the trace below ``plugins/profile/RUN``; where none is, one with a link."""
    run = trace.absolute().parent
    if (run.parent.name, run.parent.parent.name) == ("profile", "plugins"):
        return run.parent.parent.parent
    linked = scratch / "logs" / "plugins" / "profile" / (run.name or "trace")
    linked.mkdir(parents=True)
    (linked / trace.name).symlink_to(trace.absolute())
    return scratch / "logs"


def _start(folder: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
    words = ["--logdir", str(folder), "--host", "127.0.0.1", "--port", "0", "--load_fast", "false"]
    return subprocess.Popen(
        [sys.executable, "-m", "tensorboard.main", *words],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def _address(child: subprocess.Popen[bytes], said: Path) -> str:
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        found = _URL.search(said.read_bytes())
        if found is not None:
            return found[0].decode()
        if child.poll() is not None:
            break
        time.sleep(0.1)
    lines = said.read_text(errors="replace").strip().splitlines()
    raise TftraceError(f"TensorBoard did not start: {lines[-1] if lines else 'it said nothing'}")


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
