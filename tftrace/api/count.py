"""Count a model's work without running it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tftrace.errors import TftraceError

if TYPE_CHECKING:
    from tftrace.counts import Counts


def count(
    model: Any,
    input_shapes: Sequence[Sequence[int | None]] | None = None,
    *,
    flops_per_mac: int = 2,
) -> Counts:
    """Multiplications, MACs, FLOPs and bytes of ``model``, per layer and per operation.

    Args:
        model: a Keras model; a subclassed one that declares no inputs needs ``input_shapes``.
        input_shapes: one shape per input, batch first (None for the rows of a ragged one); by
            default the model's own, with batch 1 where it is open.
        flops_per_mac: 2, or 1 for tables that are compared with papers.

    Returns: tables per sample (the batch's total divided by the batch), coverage and rule.

    Raises:
        TftraceError: a shape is missing or does not fit the model.
    """
    from tftrace.counts import Counts
    from tftrace.tracer.graphs.programs import trace_model
    from tftrace.tracer.keras_model import fixed_batch

    try:
        program, sites = trace_model(model, input_shapes)
    except ValueError as error:
        raise TftraceError(str(error)) from error
    first = (fixed_batch(model),) if input_shapes is None else input_shapes[0]
    batch = first[0] or 1
    return Counts.from_program(program, sites, batch, flops_per_mac=flops_per_mac)


def full_shapes(
    model: Any, texts: Sequence[str] | None, batch: int
) -> list[tuple[int | None, ...]]:
    """Shapes with the batch, from texts like ``224,224,3``, or from the model's own.

    A batch that the model declares is taken instead of ``batch``.

    Raises:
        TftraceError: a text is no shape, or the model leaves a size open and none is given.
    """
    from tftrace.tracer.keras_model import fixed_batch

    batch = fixed_batch(model) or batch
    if texts:
        return [(batch, *_sizes(text)) for text in texts]
    from tftrace.tracer.keras_model import layout_of

    declared = list(getattr(model, "inputs", None) or [])
    if not declared:
        raise TftraceError("the model declares no inputs; give --input-shape")
    for tensor in declared:
        # Rows of a ragged input have lengths of their own, which no shape gives.
        if layout_of(tensor) != "ragged" and any(size is None for size in tensor.shape[1:]):
            shape = ", ".join("?" if s is None else str(s) for s in tensor.shape[1:])
            raise TftraceError(
                f"the model leaves its input size open ({shape}); give --input-shape"
            )
    return [(batch, *tensor.shape[1:]) for tensor in declared]


def _sizes(text: str) -> list[int]:
    parts = [part.strip() for part in text.replace("x", ",").strip("() ").split(",")]
    sizes = [int(part) for part in parts if part.isdecimal()]
    if len(sizes) != len([part for part in parts if part]) or not sizes or min(sizes) < 1:
        raise TftraceError(f"{text!r} is not a shape; write it as 224,224,3")
    if max(sizes) >= 2**31:
        raise TftraceError(f"{text!r} is a shape that no tensor has")
    return sizes
