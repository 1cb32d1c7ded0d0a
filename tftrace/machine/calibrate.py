"""Calibrate once per setting (machine, instruction sets, oneDNN, TensorFlow, threads); keep it on
disk, apart from that of every other setting."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path

from tftrace import cache
from tftrace.errors import TftraceError
from tftrace.machine.bench.grid import FAMILIES, sample_kernels
from tftrace.machine.bench.peaks import bandwidth_gb, conv_gmacs, dispatch_us, matmul_gmacs
from tftrace.machine.bench.timing import Measured
from tftrace.machine.fits import KernelFit, fit_kernels
from tftrace.machine.model import SCHEMA, CallCost, MachineModel
from tftrace.machine.sampling import forget_units
from tftrace.machine.setting import Setting


def calibrate(setting: Setting, force: bool = False, full: bool = False) -> MachineModel:
    """The model of this machine, from the cache if it is there, else measured (imports TensorFlow).

    Measuring takes about 25 seconds, a full calibration about 90 more; it wants an idle machine and
    says in `warnings` when it did not get one.

    Args:
        setting: of this process, which the result is kept for.
        force: measure even if a result is cached, and forget the times of single kernels that
            estimates have kept.
        full: also time single kernels of many shapes, which predicting a network's time needs. A
            cached result without them is then measured anew.

    A result that cannot be kept is returned all the same, with a warning in the log.
    """
    if force:
        forget_units(setting)
    known = None if force else cached(setting)
    if known is not None and (known.kernels or not full):
        return known
    model = _measure(setting, full)
    try:
        cache.keep(cache_name(setting), json.dumps(model.to_dict(), indent=1).encode())
    except OSError as error:
        cache.warn_once(f"the measurements of this machine are not kept: {error}")
    return model


def cached(setting: Setting) -> MachineModel | None:
    """The model measured before under that setting, if there is one.

    What is there but is damaged, or may be somebody else's, is not used; the log says why.
    """
    try:
        return MachineModel.from_dict(json.loads(cache.read_kept(cache_name(setting))))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        cache.warn_once(f"the kept measurements of this machine are not used: {error}")
        return None


def read_calibration(path: Path) -> MachineModel:
    """The machine model that ``tftrace calibrate --export`` wrote.

    Raises:
        TftraceError: it cannot be read, is no machine model, or has no single kernels.
    """
    try:
        model = MachineModel.from_dict(json.loads(path.read_bytes()))
    except OSError as error:
        raise TftraceError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise TftraceError(f"{path} is no calibration: {error}") from error
    if not model.kernels:
        raise TftraceError(f"{path} has no single kernels; write it with calibrate --full --export")
    return model


def cache_name(setting: Setting) -> str:
    """What the model measured under that setting is kept as, in the cache folder."""
    # What is measured, too: what an earlier version kept may lack some.
    key = json.dumps([SCHEMA, "variables", FAMILIES, *astuple(setting)])
    return f"machine-{hashlib.sha256(key.encode()).hexdigest()[:12]}.json"


def warnings_about(measurements: Mapping[str, Measured]) -> tuple[str, ...]:
    """A sentence for each measurement whose repetitions disagree."""
    return tuple(
        f"{name} is noisy: interquartile range {100 * measured.iqr / abs(measured.median):.0f} % "
        f"of the median over {measured.n} repetitions; is the machine busy?"
        for name, measured in measurements.items()
        if measured.noisy
    )


def _measure(setting: Setting, full: bool) -> MachineModel:
    from tftrace.machine.bench.calls import predict_gb, predict_ms, predict_variable_us

    # What a call costs drifts within seconds on a shared machine.
    calls = [predict_ms()]
    matmul, conv, dispatch = matmul_gmacs(), conv_gmacs(), dispatch_us()
    calls.append(predict_ms())
    bandwidth = bandwidth_gb(dispatch)
    calls.append(predict_ms())
    taken_in, per_variable = predict_gb(), predict_variable_us()
    calls.append(predict_ms())
    around = CallCost.of(calls)
    kernels: dict[str, KernelFit] = {}
    if full:
        kernels = fit_kernels((sample.work, sample.seconds) for sample in sample_kernels())
    named = {f"{dtype} MatMul rate": measured for dtype, measured in matmul.items()}
    named |= {
        "Conv2D rate": conv,
        "dispatch cost": dispatch,
        "predict cost per batch": around.batch_ms,
    }
    named["rate at which predict takes in data"] = taken_in
    named["predict cost per variable"] = per_variable
    named |= {f"bandwidth at {size // 1024} KiB": measured for size, measured in bandwidth}
    return MachineModel(
        machine=f"{setting.cpu}, {setting.cores} logical cores",
        tensorflow=setting.tensorflow,
        threads=setting.threads,
        matmul_gmacs=matmul,
        conv_gmacs=conv,
        bandwidth_gb=bandwidth,
        dispatch_us=dispatch,
        predict_batch_ms=around.batch_ms,
        predict_call_ms=around.call_ms,
        kernels=kernels,
        warnings=warnings_about(named),
        onednn=setting.onednn,
        instruction_sets=setting.instruction_sets,
        instruction_limit=setting.instruction_limit,
        predict_gb=taken_in,
        predict_variable_us=per_variable,
    )
