"""Long kernels that leave the machine's other threads idle."""

from __future__ import annotations

from collections.abc import Iterator

from tftrace.advice.findings.evidence import Evidence
from tftrace.advice.findings.figures import kernels, layers_ms
from tftrace.advice.findings.registry import Finding, finding
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
    seen, time = kernels(profile), layers_ms(profile)
    # One execution proves little: its helper may just have been late.
    lonely = seen[
        (seen["p50_us"] >= _LONG_US)
        & (seen["calls"] >= _MIN_CALLS)
        & (seen["thread_ms"] < _ONE_THREAD * seen["busy_ms"])
        & (seen["wall_ms"] >= _ALONE * seen["busy_ms"])
        & seen["device"].str.contains("CPU")
    ]
    for path, mine in lonely.groupby("layer", sort=False):
        spent = float(mine["settled_ms"].sum())
        used = float(mine["thread_ms"].sum() / mine["busy_ms"].sum())
        types = list(dict.fromkeys(mine["op_type"]))
        yield Finding(
            layer=str(path),
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
