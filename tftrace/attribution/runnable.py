"""What runs on every call of a function, as far as its graphs tell: recorded or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tftrace.attribution.function import Function
from tftrace.attribution.provenance import STATEFUL, WORKLESS, TracedOps
from tftrace.graph.flatten import flat_name
from tftrace.graph.types import BRANCHES, CALLS, LOOPS

EVERY_OP = 3
"""The recording level of a trace that has every kernel."""

HIDDEN_NOTE = (
    "in a function that TensorFlow calls whole: expected by its traced graph, which TensorFlow "
    "optimizes out of sight"
)


def runnable(function: Function) -> Iterable[tuple[str, str]]:
    """Name and type of what runs on every call; constants are folded before the first."""
    if function.kernels.name:
        return (
            (n, t)
            for n, t in zip(function.kernels.name, function.kernels.type, strict=True)
            if t not in WORKLESS and flat_name(n) not in function.constant
        )
    return (
        (k, t)
        for k, t, live in zip(function.ops.key, function.ops.type, function.ops.live, strict=True)
        if live and t not in WORKLESS
    )


def hidden(function: Function) -> Iterator[tuple[str, str]]:
    """Flat key and type of the operations in functions that ``function`` calls whole.

    Their optimized graphs are not to be had, so these are the traced ones: a few of them may be
    fused, or left out. Calls, loops and branches themselves are no kernels there.
    """
    calls = function.whole_calls
    if not calls:
        return
    constant = _constant(function.ops)
    ops = function.ops
    for i, (key, kind, live) in enumerate(zip(ops.key, ops.type, ops.live, strict=True)):
        works = kind not in WORKLESS and kind not in (*CALLS, *LOOPS, *BRANCHES)
        if live and works and i not in constant and key.startswith(calls):
            yield key, kind


def _constant(ops: TracedOps) -> set[int]:
    """Operations that rest on constants alone."""
    found: set[int] = set()
    for i, (kind, inputs) in enumerate(zip(ops.type, ops.inputs, strict=True)):
        folds = bool(inputs) and found.issuperset(inputs) and not STATEFUL.search(kind)
        if folds or kind == "Const":
            found.add(i)
    return found
