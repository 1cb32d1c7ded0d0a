"""How long a network that never ran here would take, kernel by kernel.

Beside each prediction stands what multiply-accumulates alone would have predicted, which is what
people do with a FLOP count: `macs / peak rate`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan

import pandas as pd

from tftrace.graph.fusions import takes_activation, takes_bias
from tftrace.machine.bench.shapes import MMAP_BYTES
from tftrace.machine.fits import KernelFit, fit_key
from tftrace.machine.kernels import KernelWork
from tftrace.machine.model import MachineModel

__all__ = ["Estimate", "KernelWork", "estimate_kernels", "estimate_predict", "fuse_kernels"]

COVERAGE = 0.9
"""Share of kernels whose time the interval should contain."""

_QUANTILE = 1.645  # of the normal distribution, for COVERAGE
_ROOFLINE_SPREAD = 0.7  # log error of the roofline where no fit exists: a factor of two is common

# Operations that hand a tensor on or look at its shape: the executor's cost is all they have.
_FREE = frozenset(
    (
        *("Const", "Placeholder", "Identity", "IdentityN", "NoOp", "ReadVariableOp", "VarHandleOp"),
        *("Reshape", "Squeeze", "ExpandDims", "Shape", "StridedSlice", "Pack", "Range", "Fill"),
        *("StopGradient", "_Arg", "_Retval"),
    )
)
# Operations that cost what another one does, element by element.
_LIKE = {
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
_ELEMENT_WISE = frozenset({"AddV2", "Mul", "Relu", "Relu6", "Elu", "Sigmoid", "Tanh", "Erf"})


@dataclass(frozen=True)
class Estimate:
    """Time of one `model.predict` call, in milliseconds.

    Attributes:
        ms: expected.
        low_ms, high_ms: an interval that should hold it with probability `COVERAGE`.
        mac_only_ms: multiply-accumulates divided by the peak rate.
    """

    ms: float
    low_ms: float
    high_ms: float
    mac_only_ms: float


def estimate_kernels(kernels: Sequence[KernelWork], machine: MachineModel) -> pd.DataFrame:
    """Predict the time of each kernel.

    Args:
        kernels: the kernels that would run, after fusion (see `fuse_kernels`).
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


def estimate_predict(kernels: pd.DataFrame, machine: MachineModel, batches: int = 1) -> Estimate:
    """Predict a `model.predict` call that runs those kernels for each batch.

    Errors of kernels of one type are taken as fully dependent (they share a fit), those of
    different types as independent.

    Args:
        kernels: from `estimate_kernels`, for one batch.
        machine: the same model.
        batches: number of batches; the last one is taken to be as large as the others.
    """
    by_type = kernels.groupby("op_type")[["ms", "low_ms", "high_ms"]].sum()
    total = float(by_type["ms"].sum())
    below = math.sqrt(float(((by_type["ms"] - by_type["low_ms"]) ** 2).sum()))
    above = math.sqrt(float(((by_type["high_ms"] - by_type["ms"]) ** 2).sum()))
    fixed = machine.predict_call_ms.best + batches * machine.predict_batch_ms.best
    return Estimate(
        ms=fixed + batches * total,
        low_ms=fixed + batches * (total - below),
        high_ms=fixed + batches * (total + above),
        mac_only_ms=batches * float(kernels["mac_only_ms"].sum()),
    )


def fuse_kernels(
    kernels: Sequence[KernelWork], reads: Mapping[str, Sequence[str]], onednn: bool
) -> list[KernelWork]:
    """Turn the operations of a traced graph into the kernels that TensorFlow would run on a CPU.

    A bias, and then an activation of one operation, is applied by the product that makes its input
    where that takes it in (see `tftrace.graph.fusions`) and nothing else reads it. The fused kernel
    costs what the product does: its output is in cache when the rest is applied
    (tensorflow/core/grappler/optimizers/remapper.cc).

    An element-wise kernel writes over an input that nothing else reads. Every other output needs
    memory, and `fresh` tells where malloc gets it from the operating system: glibc keeps what is
    smaller than the largest block freed so far, of those up to 32 MiB.

    Args:
        kernels: one per graph operation before optimization, each after those it reads.
        reads: for each operation's name, the names of those whose results it reads.
        onednn: whether oneDNN runs them, whose products take in more.

    Returns:
        The kernels that run; a fused one bears the name of its last member, as TensorFlow has it.
    """
    readers = Counter(source for sources in reads.values() for source in sources)
    running: dict[str, KernelWork] = {}
    taken: dict[str, int] = {}
    for work in kernels:
        source = next((name for name in reads.get(work.name, ()) if name in running), "")
        product = running.get(source) if readers[source] == 1 else None
        if product is not None and _takes(product, work, taken.get(source, 0), onednn):
            del running[source]
            taken[work.name] = taken.get(source, 0) + 1
            work = replace(product, name=work.name, flops=product.flops + work.flops)
        running[work.name] = work
    largest = max((w.bytes_out for w in running.values() if w.bytes_out <= MMAP_BYTES), default=0)
    return [
        replace(work, fresh=work.bytes_out >= largest and not _overwrites(work, reads, readers))
        for work in running.values()
    ]


def _takes(product: KernelWork, work: KernelWork, before: int, onednn: bool) -> bool:
    """Whether a product that took in so many operations takes in one more."""
    # A convolution in groups is compiled by XLA, with nothing of what follows it.
    if product.op_type == "Conv2D" and product.groups > 1:
        return False
    if before == 0:
        return work.op_type == "BiasAdd" and takes_bias(product.op_type, onednn)
    return before == 1 and takes_activation(product.op_type, {work.op_type}, onednn)


def _overwrites(
    work: KernelWork, reads: Mapping[str, Sequence[str]], readers: Mapping[str, int]
) -> bool:
    if work.op_type in _FREE:
        return True
    element_wise = _LIKE.get(work.op_type, work.op_type).split(",")[0] in _ELEMENT_WISE
    return element_wise and any(readers[source] == 1 for source in reads.get(work.name, ()))


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
    if work.op_type in _FREE:
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
    like = _LIKE.get(work.op_type)
    if like is None:
        return None
    for key in (f"{like}, broadcast" if work.broadcast else like, like):
        if key in fits:
            return fits[key], f"fit of {key}"
    return None
