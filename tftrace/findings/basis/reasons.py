"""What a kernel's time goes into when it is not multiplications: one reason per kernel.

The reasons exclude each other, so that the parts of a layer add up to its time.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isnan

from tftrace.findings.basis.figures import Kernel
from tftrace.findings.basis.folds import READS

COPIES = frozenset(
    (
        *("BatchToSpaceND", "Cast", "Concat", "Copy", "DepthToSpace", "Gather", "GatherNd"),
        *("MirrorPad", "Pack", "Pad", "ResizeNearestNeighbor", "Reverse", "Roll", "Slice"),
        *("SpaceToBatchND", "SpaceToDepth", "Split", "SplitV", "StridedSlice", "Tile"),
        *("Transpose", "ConjugateTranspose", "Unpack", "ResourceGather", "BroadcastTo"),
        *("TensorListGetItem", "TensorListSetItem", "TensorListStack", "TensorListFromTensor"),
    )
)
"""Plain types that move values and compute none."""

TRANSCENDENTAL = frozenset(
    (
        *("Acos", "Acosh", "Asin", "Asinh", "Atan", "Atan2", "Atanh", "Cos", "Cosh", "Digamma"),
        *("Elu", "Erf", "Erfc", "Erfinv", "Exp", "Expm1", "Lgamma", "Log", "Log1p", "LogSoftmax"),
        *("Pow", "Rsqrt", "Selu", "Sigmoid", "Sin", "Sinh", "Softmax", "Softplus", "Sqrt", "Tan"),
        "Tanh",
    )
)
"""Plain types whose time is exp, tanh and their kind, which count as no multiplication."""

_LONG_US = 1000.0
_ONE_THREAD = 1.25
_ALONE = 0.9
_MIN_CALLS = 3
_SMALL_US = 20.0  # the executor's part and a kernel's own set-up are several us of it


def one_thread(kernel: Kernel) -> bool:
    """Whether it runs long, on one thread of the CPU, with nothing beside it."""
    return (
        kernel.p50_us >= _LONG_US
        # One execution proves little: its helper may just have been late.
        and kernel.calls >= _MIN_CALLS
        and kernel.thread_ms < _ONE_THREAD * kernel.busy_ms
        and kernel.wall_ms >= _ALONE * kernel.busy_ms
        and "CPU" in kernel.device
    )


def _waiting(kernel: Kernel, threads: int) -> bool:
    return kernel.plain_type in READS


def _small(kernel: Kernel, threads: int) -> bool:
    return kernel.p50_us < _SMALL_US


def _alone(kernel: Kernel, threads: int) -> bool:
    return threads > 1 and one_thread(kernel)


def _multiplies(kernel: Kernel, threads: int) -> bool:
    return kernel.macs > 0


def _copies(kernel: Kernel, threads: int) -> bool:
    return kernel.plain_type in COPIES


def _transcendental(kernel: Kernel, threads: int) -> bool:
    return kernel.plain_type in TRANSCENDENTAL


def _streams(kernel: Kernel, threads: int) -> bool:
    return not isnan(kernel.macs)


REASONS: dict[str, Callable[[Kernel, int], bool]] = {
    "waiting": _waiting,
    "small kernels": _small,
    "one thread": _alone,
    "slow product": _multiplies,
    "copies": _copies,
    "transcendentals": _transcendental,
    "memory": _streams,
}
"""In this order: a kernel's reason is the first that holds."""

UNKNOWN = "unknown"


def reason_of(kernel: Kernel, threads: int) -> str:
    """The name of what a kernel's time goes into; ``unknown`` where its work is not known.

    Args:
        threads: how many a kernel may use.
    """
    return next((name for name, holds in REASONS.items() if holds(kernel, threads)), UNKNOWN)
