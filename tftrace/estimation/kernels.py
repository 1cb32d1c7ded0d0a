"""How long a network that never ran here would take, kernel by kernel.

Beside each prediction stands what multiply-accumulates alone would have predicted, which is what
people do with a FLOP count: `macs / peak rate`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

import pandas as pd

from tftrace.graph.kernel_types import plain_type
from tftrace.machine.fits import KernelFit, fit_key
from tftrace.machine.kernels import KernelWork
from tftrace.machine.model import MachineModel

__all__ = ["Estimate", "KernelWork", "estimate_kernels", "estimate_predict"]

COVERAGE = 0.9
"""Share of kernels whose time the interval should contain."""

_QUANTILE = 1.645  # of the normal distribution, for COVERAGE
_ROOFLINE_SPREAD = 0.7  # log error of the roofline where no fit exists: a factor of two is common

FREE = frozenset(
    (
        *("Const", "Placeholder", "Identity", "IdentityN", "NoOp", "ReadVariableOp", "VarHandleOp"),
        *("Reshape", "Squeeze", "ExpandDims", "Shape", "StridedSlice", "Pack", "Range", "Fill"),
        *("StopGradient", "_Arg", "_Retval"),
    )
)
"""Operations that hand a tensor on or look at its shape: the executor's cost is all they have."""

LIKE = {
    "Sub": "AddV2",
    "Add": "AddV2",
    "AddN": "AddV2",
    "BiasAdd": "AddV2, broadcast",
    "SquaredDifference": "AddV2",
    "Maximum": "AddV2",
    "Minimum": "AddV2",
    "RealDiv": "Mul",
    "Square": "Relu",
    "Neg": "Relu",
    "LeakyRelu": "Relu",
    "Cast": "Relu",
    "Selu": "Elu",
    "Erfc": "Erf",
    "Exp": "Sigmoid",
    "Log": "Sigmoid",
    "Rsqrt": "Sigmoid",
    "Sqrt": "Sigmoid",
    "Softplus": "Sigmoid",
    "PadV2": "Pad",
    "MirrorPad": "Pad",
    "Sum": "Mean",
    "Max": "Mean",
}
"""Operations that cost what another one does, element by element."""


@dataclass(frozen=True)
class Estimate:
    """Time of one `model.predict` call, in milliseconds.

    Attributes:
        ms: expected.
        low_ms, high_ms: an interval that should hold it with probability `COVERAGE`.
        mac_only_ms: multiply-accumulates divided by the peak rate; None where either is not known.
    """

    ms: float
    low_ms: float
    high_ms: float
    mac_only_ms: float | None


def estimate_kernels(kernels: Sequence[KernelWork], machine: MachineModel) -> pd.DataFrame:
    """Predict the time of each kernel.

    Args:
        kernels: the kernels that would run, after fusion (see `tftrace.estimation.fusion`).
        machine: a model from a full calibration.

    Returns:
        One row per kernel, in order: `name, op_type, ms, low_ms, high_ms, mac_only_ms, basis`. The
        interval covers the kernel's time with probability `COVERAGE`. `basis` is `fit` (its own
        micro-benchmarks), `fit of X` (those of a kernel that works alike), `roofline` (no
        benchmark: macs and bytes against the roofs), `dispatch` (no work to speak of) or `unknown:
        …`: a kernel that multiplies in an element type without a measured peak has null times.

    Raises:
        ValueError: if the calibration was not a full one.
    """
    if not machine.kernels:
        raise ValueError("estimating needs the single kernels of a full calibration")
    columns = ["name", "op_type", "ms", "low_ms", "high_ms", "mac_only_ms", "basis"]
    return pd.DataFrame([_row(work, machine) for work in kernels], columns=columns)


def estimate_predict(
    kernels: pd.DataFrame,
    machine: MachineModel,
    batches: float = 1,
    batch_bytes: int = 0,
    variables: int = 0,
) -> Estimate:
    """Predict a `model.predict` call that runs those kernels for each batch.

    Errors of kernels of one type are taken as fully dependent (they share a fit), those of
    different types as independent.

    Args:
        kernels: from `estimate_kernels`, for one batch.
        machine: the same model.
        batches: number of batches; a part of one is a smaller batch.
        batch_bytes: of the data of a batch, which predict copies and gathers.
        variables: of the network, each of which it hands over.
    """
    by_type = kernels.groupby("op_type")[["ms", "low_ms", "high_ms"]].sum()
    total = float(by_type["ms"].sum())
    below = math.sqrt(float(((by_type["ms"] - by_type["low_ms"]) ** 2).sum()))
    above = math.sqrt(float(((by_type["high_ms"] - by_type["ms"]) ** 2).sum()))
    per_batch = machine.predict_batch_ms.median + machine.handing_over_ms(batch_bytes, variables)
    fixed = machine.predict_call_ms.median + batches * per_batch
    return Estimate(
        ms=fixed + batches * total,
        low_ms=fixed + batches * (total - below),
        high_ms=fixed + batches * (total + above),
        mac_only_ms=batches * float(kernels["mac_only_ms"].sum()),
    )


def _row(work: KernelWork, machine: MachineModel) -> tuple[object, ...]:
    if work.macs and work.dtype not in machine.matmul_gmacs:
        reason = f"unknown: no peak was measured for {work.dtype}"
        return work.name, work.op_type, nan, nan, nan, nan, reason
    seconds, spread, basis = _predict(work, machine)
    ms = 1e3 * seconds + 1e-3 * machine.dispatch_us.best
    factor = math.exp(_QUANTILE * spread)
    mac_only = work.macs / machine.peak_gmacs(work.dtype) / 1e6 if work.macs else 0.0
    return work.name, work.op_type, ms, ms / factor, ms * factor, mac_only, basis


def _predict(work: KernelWork, machine: MachineModel) -> tuple[float, float, str]:
    """Seconds beside dispatch, standard deviation of their logarithm, and what they rest on."""
    if work.op_type in FREE:
        return 0.0, _ROOFLINE_SPREAD, "dispatch"
    found = _fit_for(work, machine.kernels)
    if found is None:
        macs, moved = work.macs, work.bytes
        return machine.roofline_seconds(macs, moved, 0, work.dtype), _ROOFLINE_SPREAD, "roofline"
    fit, basis = found
    return fit.seconds(work), fit.spread, basis


def _fit_for(work: KernelWork, fits: Mapping[str, KernelFit]) -> tuple[KernelFit, str] | None:
    if work.dtype != "float32":  # all that is benchmarked
        return None
    own = fit_key(work)
    if own in fits:
        return fits[own], "fit"
    plain = plain_type(work.op_type)
    like = LIKE.get(plain, plain)
    for key in (f"{like}, broadcast" if work.broadcast else like, like):
        if key in fits:
            return fits[key], f"fit of {key}"
    return None
