"""Long kernels that leave the machine's other threads idle."""

from __future__ import annotations

from collections.abc import Iterator

from tftrace.findings.basis.commands import TRY_ALL
from tftrace.findings.basis.evidence import Evidence
from tftrace.findings.basis.figures import (
    by_layer,
    kernels,
    layers_ms,
    name_of,
    of_predict,
    settled_ms,
    total,
)
from tftrace.findings.basis.reasons import one_thread
from tftrace.findings.registry import Finding, finding
from tftrace.text import ms_text


@finding
def poor_parallelism(profile: Evidence) -> Iterator[Finding]:
    """A kernel runs long on one thread while nothing else uses the others."""
    threads = profile.machine["intra_op_threads"] or 1
    if threads < 2:
        return
    time = layers_ms(profile)
    for path, mine in by_layer(k for k in kernels(profile) if one_thread(k)).items():
        spent = settled_ms(mine)
        used = total(k.thread_ms for k in mine) / total(k.busy_ms for k in mine)
        types = list(dict.fromkeys(k.op_type for k in mine))
        yield Finding(
            layer=path,
            kind="one thread",
            text=(
                f"{', '.join(types)} in {name_of(profile, path)} keeps {used:.2f} of {threads} "
                f"threads busy for {ms_text(spent)} ms, {of_predict(profile, spent)}, with nothing "
                "else running."
            ),
            cause=(
                "TensorFlow does not split this kernel, or not for this shape: often it works "
                "row by row, and there is one row."
            ),
            remedy=(
                "more samples per batch where it splits by sample; another formulation of the "
                "layer; or several predict processes side by side"
            ),
            command=TRY_ALL,
            saving_ms=spent * (1 - used / threads),
            evidence={
                "ms": spent,
                "parallelism": used,
                "threads": threads,
                "kernels": types,
                "time_share": spent / time,
            },
        )
