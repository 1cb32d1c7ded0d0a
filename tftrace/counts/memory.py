"""What one batch takes of memory, computed from the graph: nothing runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tftrace.counts.liveness import Peak, peak_of
from tftrace.graph import Program, flatten


@dataclass(frozen=True)
class Memory:
    """Bytes that a model and one batch take.

    Attributes:
        batch: samples.
        weights_bytes: of the model's weights; None where it has none yet.
        inputs_bytes: of the batch itself; None where a size is open.
        activations_bytes: the most that the kernels' results and temporaries hold at once, as they
            are asked for; None where it is not known: ``note`` says why.
        constants_bytes: of the graph's constants.
        at_peak: the activations at that moment by the layer that made them, the largest first;
            the path is None where no layer is known.
        basis: ``computed``, or None where it is not known.
        note: what else is known.
    """

    batch: int
    weights_bytes: int | None
    inputs_bytes: int | None
    activations_bytes: int | None
    constants_bytes: int
    at_peak: tuple[tuple[str | None, int], ...]
    basis: str | None
    note: str | None

    @property
    def total_bytes(self) -> int | None:
        """Of all parts; None where one is not known."""
        parts = (self.weights_bytes, self.inputs_bytes, self.activations_bytes)
        known = [part for part in parts if part is not None]
        return sum(known) + self.constants_bytes if len(known) == len(parts) else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        at_peak = [{"path": path, "bytes": size} for path, size in self.at_peak]
        return {**asdict(self), "total_bytes": self.total_bytes, "at_peak": at_peak}


def memory_of(
    program: Program,
    kernels: Program | None,
    batch: int,
    weights: int | None,
    onednn: bool,
    inter_op: int,
    intra_op: int,
    reason: str | None = None,
) -> Memory:
    """What a call of ``program`` takes.

    Args:
        program: as traced, on one batch; its operations say whose they are.
        kernels: what TensorFlow's optimizer makes of it; None where that is not known, and
            ``reason`` says why: then the traced operations are taken for the kernels.
        weights: bytes of the model's weights.
        onednn: whether the kernels are oneDNN's.
        inter_op: threads that run kernels.
        intra_op: threads of one kernel.
    """
    root = program.functions[program.root]
    given = [root.nodes[name].outputs[0].bytes for name in root.inputs if name in root.arguments]
    known = [size for size in given if size is not None]
    peak = peak_of(program if kernels is None else kernels, onednn, inter_op, intra_op)
    return Memory(
        batch=batch,
        weights_bytes=weights,
        inputs_bytes=sum(known) if len(known) == len(given) else None,
        activations_bytes=peak.bytes,
        constants_bytes=peak.constants,
        at_peak=_by_layer(peak, {op.key: op.owner for op in flatten(program)}),
        basis=None if peak.bytes is None else "computed",
        note=peak.reason or reason,
    )


def _by_layer(peak: Peak, owners: Mapping[str, str | None]) -> tuple[tuple[str | None, int], ...]:
    sums: Counter[str | None] = Counter()
    for key, size in peak.held.items():
        sums[owners.get(key)] += size
    return tuple(sums.most_common())
