"""The optimized graph as it ran: oneDNN merges nodes after TensorFlow has shown the graph.

A ``Pad`` before a ``Conv2D`` is gone when the convolution ran as ``_MklNativePadWithConv2D``: what
the type of a kernel tells beyond its node's is the work of the nodes that it reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tftrace.attribution.function import Function
from tftrace.attribution.provenance import KernelNodes
from tftrace.graph.kernel_types import kernel_type, plain_type


def function_as_run(function: Function, ran: Mapping[str, str]) -> Function:
    """``function`` with the graph that ran; ``ran`` are types of the recorded kernels by name."""
    kernels = kernels_as_run(function.kernels, ran)
    return function if kernels is function.kernels else replace(function, kernels=kernels)


def kernels_as_run(kernels: KernelNodes, ran: Mapping[str, str]) -> KernelNodes:
    """``kernels`` without those that another one did the work of, which reads for them."""
    shown = dict(zip(kernels.name, kernels.type, strict=True))
    merged: set[str] = set()
    for name, sources in zip(kernels.name, kernels.inputs, strict=True):
        more = _beyond(ran[name], shown[name]) if name in ran else frozenset()
        if more:
            merged |= {s for s in sources if s not in ran and plain_type(shown.get(s, "")) in more}
    if not merged:
        return kernels
    reads = dict(zip(kernels.name, kernels.inputs, strict=True))
    kept = [name for name in kernels.name if name not in merged]
    return KernelNodes(
        name=kept,
        type=[shown[name] for name in kept],
        inputs=[
            [
                source
                for given in reads[name]
                for source in (reads[given] if given in merged else [given])
            ]
            for name in kept
        ],
    )


def _beyond(ran: str, shown: str) -> frozenset[str]:
    """What a kernel's type computes that its node's does not."""
    return frozenset(kernel_type(ran).plain) - frozenset(kernel_type(shown).plain)


def runs_as(shown: str | None, ran: str) -> bool:
    """Whether a node of type ``shown`` (None: of no graph) can run as a kernel of type ``ran``."""
    if shown is None:
        return True
    return not set(kernel_type(shown).plain).isdisjoint(kernel_type(ran).plain)
