"""Calibrate once per machine, TensorFlow version and thread setting; keep the result on disk."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path

from tftrace.machine.bench.grid import FAMILIES, sample_kernels
from tftrace.machine.bench.peaks import (
    bandwidth_gb,
    conv_gmacs,
    dispatch_us,
    matmul_gmacs,
    predict_ms,
)
from tftrace.machine.bench.timing import Measured
from tftrace.machine.fits import KernelFit, fit_kernels
from tftrace.machine.model import SCHEMA, MachineModel


def calibrate(force: bool = False, full: bool = False) -> MachineModel:
    """The model of this machine, from the cache if it is there, else measured (imports TensorFlow).

    Measuring takes about 15 seconds, a full calibration about 90 more; it wants an idle machine and
    says in `warnings` when it did not get one.

    Args:
        force: measure even if a result is cached.
        full: also time single kernels of many shapes, which predicting a network's time needs. A
            cached result without them is then measured anew.

    Raises:
        OSError: if the cache folder cannot be written.
    """
    known = None if force else cached()
    if known is not None and (known.kernels or not full):
        return known
    machine, version, threads = _machine(), _tensorflow_version(), _threads()
    model = _measure(machine, version, threads, full)
    _write(cache_path(machine, version, threads), model)
    return model


def cached() -> MachineModel | None:
    """The model of this machine if it was measured before (imports TensorFlow)."""
    path = cache_path(_machine(), _tensorflow_version(), _threads())
    if not path.exists():
        return None
    return MachineModel.from_dict(json.loads(path.read_text(encoding="utf-8")))


def cache_folder() -> Path:
    """`$TFTRACE_CACHE_DIR`, else `tftrace` in `$XDG_CACHE_HOME`, else in `~/.cache`."""
    own = os.environ.get("TFTRACE_CACHE_DIR")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tftrace"


def cache_path(machine: str, version: str, threads: tuple[int, int]) -> Path:
    """Where the model for that combination is kept."""
    key = f"{SCHEMA}.{FAMILIES}|{machine}|{version}|{threads[0]}|{threads[1]}"
    digest = hashlib.sha256(key.encode()).hexdigest()[:12]
    return cache_folder() / f"machine-{digest}.json"


def warnings_about(measurements: Mapping[str, Measured]) -> tuple[str, ...]:
    """A sentence for each measurement whose repetitions disagree."""
    return tuple(
        f"{name} is noisy: interquartile range {100 * measured.iqr / abs(measured.median):.0f} % "
        f"of the median over {measured.n} repetitions; is the machine busy?"
        for name, measured in measurements.items()
        if measured.noisy
    )


def _measure(machine: str, version: str, threads: tuple[int, int], full: bool) -> MachineModel:
    matmul, conv, dispatch = matmul_gmacs(), conv_gmacs(), dispatch_us()
    bandwidth = bandwidth_gb(dispatch)
    per_batch, per_call = predict_ms()
    kernels: dict[str, KernelFit] = {}
    if full:
        kernels = fit_kernels((sample.work, sample.seconds) for sample in sample_kernels())
    named = {f"{dtype} MatMul rate": measured for dtype, measured in matmul.items()}
    named |= {"Conv2D rate": conv, "dispatch cost": dispatch, "predict cost per batch": per_batch}
    named |= {f"bandwidth at {size // 1024} KiB": measured for size, measured in bandwidth}
    return MachineModel(
        machine=machine,
        tensorflow=version,
        threads=threads,
        matmul_gmacs=matmul,
        conv_gmacs=conv,
        bandwidth_gb=bandwidth,
        dispatch_us=dispatch,
        predict_batch_ms=per_batch,
        predict_call_ms=per_call,
        kernels=kernels,
        warnings=warnings_about(named),
    )


def _write(path: Path, model: MachineModel) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Whole or absent: two processes may calibrate at the same time.
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(model.to_dict(), indent=1), encoding="utf-8")
    partial.replace(path)


def _machine() -> str:
    return f"{_processor()}, {os.cpu_count()} logical cores"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        if named:
            return named.group(1).strip()
    return platform.processor() or platform.machine()


def _tensorflow_version() -> str:
    import tensorflow as tf

    return str(tf.__version__)


def _threads() -> tuple[int, int]:
    import tensorflow as tf

    threading = tf.config.threading
    return (
        threading.get_intra_op_parallelism_threads(),
        threading.get_inter_op_parallelism_threads(),
    )
