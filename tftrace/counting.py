"""Count a model's work without running it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tftrace.counts import Counts


def count(
    model: Any,
    input_shapes: Sequence[Sequence[int]] | None = None,
    *,
    flops_per_mac: int = 2,
) -> Counts:
    """Multiplications, MACs, FLOPs and bytes of ``model``, per layer and per operation.

    Args:
        model: a Keras model; a subclassed one that declares no inputs needs ``input_shapes``.
        input_shapes: one shape per input, batch first; by default the model's own, batch 1.
        flops_per_mac: 2, or 1 for tables that are compared with papers.

    Returns: tables per sample (the batch's total divided by the batch), coverage and rule.

    Raises:
        ValueError: a shape is missing or does not fit the model.
    """
    from tftrace.counts import Counts
    from tftrace.tracer.programs import trace_model

    program, sites = trace_model(model, input_shapes)
    batch = 1 if input_shapes is None else int(input_shapes[0][0])
    return Counts.from_program(program, sites, batch, flops_per_mac=flops_per_mac)
