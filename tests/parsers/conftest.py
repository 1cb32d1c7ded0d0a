"""Real traces to read."""

import subprocess
import sys
from pathlib import Path

import pytest

GPU_TRACE = Path(__file__).parents[3] / "shared/traces/gpu_alexnet_fit.xplane.pb"


@pytest.fixture(scope="session")
def captured(tmp_path_factory) -> dict[str, Path]:
    """Traces of `predict`, captured once: of `cnn`, `lstm` and `xla`."""
    out = tmp_path_factory.mktemp("captured")
    subprocess.run(
        [sys.executable, Path(__file__).with_name("capture.py"), out], check=True, timeout=300
    )
    return {path.stem: path for path in out.glob("*.pb")}


@pytest.fixture(params=["cnn", "lstm", "xla", "gpu"])
def real_trace(request) -> Path:
    """Each of the real traces; `gpu` where it is at hand."""
    if request.param == "gpu":
        if not GPU_TRACE.exists():
            pytest.skip("no GPU trace at hand")
        return GPU_TRACE
    return request.getfixturevalue("captured")[request.param]
