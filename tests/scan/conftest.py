"""One log folder for all tests of scans."""

from collections.abc import Callable
from pathlib import Path

import pytest
from logs import write_logs


@pytest.fixture(scope="session")
def log_folder(run_of: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `write_logs`, from a run of a small network."""
    run = run_of("small").folder
    (trace,), (manifest,) = run.glob("*.xplane.pb"), run.glob("*.tftrace.json")
    folder = tmp_path_factory.mktemp("scan") / "logs"
    return write_logs(folder, trace.read_bytes(), manifest.read_bytes())
