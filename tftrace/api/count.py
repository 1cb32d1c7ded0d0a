"""Count a model's work without running it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tftrace.errors import TftraceError

if TYPE_CHECKING:
    from tftrace.counts import Counts
    from tftrace.counts.memory import Memory
    from tftrace.counts.training import Training
    from tftrace.estimation.fitting_batch import FittingBatch
    from tftrace.graph import Program


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

    Returns: tables per sample (the batch's total divided by the batch), coverage and rule, and the
    memory that one batch takes.

    Raises:
        TftraceError: a shape is missing or does not fit the model.
    """
    from tftrace.counts import Counts

    graph, program, sites, batch = _traced(model, input_shapes)
    counts = Counts.from_program(program, sites, batch, flops_per_mac=flops_per_mac)
    return replace(counts, memory=_memory(model, graph, program, batch))


def memory(model: Any, input_shapes: Sequence[Sequence[int | None]] | None = None) -> Memory:
    """What ``model`` and one batch of those shapes take of memory, as in `count`."""
    graph, program, _, batch = _traced(model, input_shapes)
    return _memory(model, graph, program, batch)


def training(model: Any, optimizer: str | None = None) -> Training:
    """What ``fit`` takes of memory beside `memory`, whatever the batch: gradients and optimizer.

    Args:
        optimizer: Keras's name of it; None for the one that ``model`` is compiled with.

    Raises:
        TftraceError: the model is not compiled and no optimizer is named, or it is of Keras 2.
    """
    from tftrace.tracer.keras_model import is_legacy
    from tftrace.tracer.training import training_of

    if is_legacy(model):
        raise TftraceError("the optimizers of Keras 2 are not counted")
    return training_of(model, optimizer)


def memories(
    model: Any,
    shapes_of: Callable[[int], Sequence[Sequence[int | None]]],
    batches: Sequence[int],
    progress: Callable[[str], None] = lambda _: None,
) -> list[Memory]:
    """`memory` at each of several batch sizes.

    Args:
        shapes_of: the shape of each input, batch first, for a batch of so many samples.

    Raises:
        TftraceError: the model declares its batch, and that is another.
    """
    from tftrace.tracer.keras_model import fixed_batch

    fixed = fixed_batch(model)
    if fixed is not None and set(batches) != {fixed}:
        raise TftraceError(f"the model takes batches of exactly {fixed} samples")
    found = []
    for batch in batches:
        progress(f"batch {batch}")
        found.append(memory(model, shapes_of(batch)))
    return found


def fitting_batch(
    model: Any,
    shapes_of: Callable[[int], Sequence[Sequence[int | None]]],
    limit: int,
    progress: Callable[[str], None] = lambda _: None,
) -> FittingBatch:
    """The largest batch whose `memory` is at most ``limit`` bytes in all.

    Args:
        shapes_of: the shape of each input, batch first, for a batch of so many samples.

    Raises:
        TftraceError: the model declares its batch.
    """
    from tftrace.estimation.fitting_batch import find_fitting
    from tftrace.tracer.keras_model import fixed_batch

    fixed = fixed_batch(model)
    if fixed is not None:
        raise TftraceError(f"the model takes batches of exactly {fixed} samples")

    def at(batch: int) -> Memory:
        progress(f"batch {batch}")
        return memory(model, shapes_of(batch))

    return find_fitting(at, limit)


def _traced(
    model: Any, input_shapes: Sequence[Sequence[int | None]] | None
) -> tuple[Any, Program, list[Any], int]:
    """The FuncGraph of one call, the same as a program, its call sites, and its samples."""
    from tftrace.tracer.graphs.programs import program_of, trace_call
    from tftrace.tracer.keras_model import fixed_batch

    try:
        graph, recording = trace_call(model, input_shapes)
    except ValueError as error:
        raise TftraceError(str(error)) from error
    first = (fixed_batch(model),) if input_shapes is None else input_shapes[0]
    program = program_of(graph, recording)
    return graph, program, list(recording.sites.values()), first[0] or 1


def _memory(model: Any, graph: Any, program: Program, batch: int) -> Memory:
    from tftrace.counts.memory import memory_of
    from tftrace.tracer.graphs.optimized import kernels_of
    from tftrace.tracer.graphs.recorder import weight_bytes
    from tftrace.tracer.setting import setting

    kernels, reason = kernels_of(graph)
    weights = sum(weight_bytes(w) for w in model.weights) if model.built else None
    here = setting()
    intra_op, inter_op = (threads or here.cores or 1 for threads in here.threads or (0, 0))
    optimized = None if kernels is None else kernels.program
    return memory_of(
        program, optimized, batch, weights, bool(here.onednn), inter_op, intra_op, reason
    )


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
