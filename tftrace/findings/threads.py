"""Long kernels that leave the machine's other threads idle."""

from __future__ import annotations

from collections.abc import Iterator

from tftrace.findings.basis.evidence import Evidence
from tftrace.findings.basis.figures import Kernel, by_layer, kernels, layers_ms, settled_ms, total
from tftrace.findings.registry import Finding, finding
from tftrace.text import ms_text

_LONG_US = 1000.0
_ONE_THREAD = 1.25
_ALONE = 0.9
_MIN_CALLS = 3


@finding
def poor_parallelism(profile: Evidence) -> Iterator[Finding]:
    """A kernel runs long on one thread while nothing else uses the others."""
    threads = profile.machine["intra_op_threads"] or 1
    if threads < 2:
        return
    time = layers_ms(profile)
    for path, mine in by_layer(k for k in kernels(profile) if _lonely(k)).items():
        spent = settled_ms(mine)
        used = total(k.thread_ms for k in mine) / total(k.busy_ms for k in mine)
        types = list(dict.fromkeys(k.op_type for k in mine))
        yield Finding(
            layer=path,
            kind="one thread",
            text=(
                f"{', '.join(types)} in {path} keeps {used:.2f} of {threads} threads busy for "
                f"{ms_text(spent)} ms, {spent / time:.1%} of the layers' time, with nothing else "
                "running."
            ),
            cause=(
                "TensorFlow does not split this kernel, or not for this shape: often it works "
                "row by row, and there is one row."
            ),
            remedy=(
                "more samples per batch where it splits by sample; another formulation of the "
                "layer; or several predict processes side by side"
            ),
            saving_ms=spent * (1 - used / threads),
            evidence={
                "ms": spent,
                "parallelism": used,
                "threads": threads,
                "kernels": types,
                "time_share": spent / time,
            },
        )


def _lonely(kernel: Kernel) -> bool:
    """Whether it runs long, on one thread of the CPU, with nothing beside it."""
    return (
        kernel.p50_us >= _LONG_US
        # One execution proves little: its helper may just have been late.
        and kernel.calls >= _MIN_CALLS
        and kernel.thread_ms < _ONE_THREAD * kernel.busy_ms
        and kernel.wall_ms >= _ALONE * kernel.busy_ms
        and "CPU" in kernel.device
    )
