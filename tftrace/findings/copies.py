"""Passes that compute nothing: transposes, type casts, padding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tftrace.findings.basis.evidence import Evidence
from tftrace.findings.basis.figures import (
    by_layer,
    kernels,
    layers_ms,
    name_of,
    of_predict,
    settled_ms,
)
from tftrace.findings.registry import Finding, finding
from tftrace.text import ms_text


@dataclass(frozen=True)
class _Copy:
    kind: str
    types: frozenset[str]
    cause: str
    remedy: str


_COPIES = (
    _Copy(
        "transpose pass",
        frozenset(("Transpose", "ConjugateTranspose")),
        "Another order of axes is another layout in memory: every value is moved.",
        "keep one order of axes through the model (channels last on a CPU), and hand the data "
        "over in it",
    ),
    _Copy(
        "cast pass",
        frozenset(("Cast",)),
        "A change of element type reads and writes the whole tensor.",
        "give data and neighboring layers one dtype; a mixed policy gains nothing on a CPU "
        "without such arithmetic",
    ),
    _Copy(
        "padding pass",
        frozenset(("MirrorPad", "Pad")),
        "A padding layer copies the whole tensor into a larger one.",
        "padding='same' in the convolution that follows pads without a copy, where it pads the "
        "same sides",
    ),
)


@finding
def copy_pass(profile: Evidence) -> Iterator[Finding]:
    """A transpose, cast or padding that takes a visible part of the layers' time."""
    seen, time = kernels(profile), layers_ms(profile)
    for copy in _COPIES:
        for path, mine in by_layer(k for k in seen if k.plain_type in copy.types).items():
            spent = settled_ms(mine)
            types = ", ".join(dict.fromkeys(k.op_type for k in mine))
            yield Finding(
                layer=path,
                kind=copy.kind,
                text=(
                    f"{types} in {name_of(profile, path)} takes {ms_text(spent)} ms, "
                    f"{of_predict(profile, spent)}, and computes nothing."
                ),
                cause=copy.cause,
                remedy=copy.remedy,
                saving_ms=spent,
                evidence={
                    "ms": spent,
                    "time_share": spent / time,
                    "kernels": types.split(", "),
                    "executions": int(sum(k.calls for k in mine)),
                },
            )
