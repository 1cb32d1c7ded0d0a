"""Each trace of the predict function: its program, its work, and the kernels it became."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from tftrace.counts.count import OpCount, count_flow
from tftrace.counts.flow import Flow, flow_of
from tftrace.tracer.inputs import take
from tftrace.tracer.keras_model import is_legacy, steps_per_execution
from tftrace.tracer.programs import program_of, trace_model, trace_specs
from tftrace.tracer.recorder import Recording
from tftrace.tracer.tf_private import GraphCollection, concrete_functions

_HIDDEN = ("_Arg", "_DeviceArg", "_Retval", "_DeviceRetval")
_SAME_GRAPH = 0.8


@dataclass(frozen=True)
class Kernel:
    """A node of the optimised graph: what TensorFlow runs."""

    name: str
    type: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Captured:
    """One trace of the predict function.

    ``name`` is the function's name as it stands in profiler events, None when hidden.
    ``batch`` is the leading dimension of its first input, None for the general trace that
    TensorFlow makes for a second batch size. ``counts`` hold the work of one call on
    ``counted_batch`` samples, of which there are several batches with ``steps_per_execution``.
    """

    name: str | None
    batch: int | None
    flow: Flow
    counts: list[OpCount]
    counted_batch: int
    kernels: list[Kernel]


@dataclass(frozen=True)
class Reference:
    """A trace with a fixed batch, whose shapes are all known: what is counted.

    ``batch`` samples pass through one call, in ``steps`` batches.
    """

    batch: int
    steps: int
    flow: Flow
    counts: list[OpCount]


def captured_functions(
    model: Any, recording: Recording, collection: GraphCollection, x: Any, batch_size: int
) -> tuple[Reference, list[Captured]]:
    """The traces that ``recording`` saw of the predict function, oldest first.

    Args:
        x: data of the run, for the shapes.

    Returns: the trace that counts, and all traces with their work.
    """
    names = {id(graph): name for name, graph in concrete_functions(model.predict_function)}
    roots = [g for g in recording.roots if not names or id(g) in names]
    flows = [(graph, _batch(graph), flow_of(program_of(graph, recording))) for graph in roots]
    reference = next(
        (_reference(f, b, recording.model_calls(g)) for g, b, f in flows if b),
        None,
    )
    if reference is None:
        reference = _fixed_trace(model, x, batch_size)
    return reference, [
        Captured(
            name=names.get(id(graph)),
            batch=batch,
            flow=flow,
            counts=_counts(flow, batch, reference.counts),
            counted_batch=(batch or reference.batch // reference.steps)
            * _batches(model, recording, graph),
            kernels=_kernels(graph, collection),
        )
        for graph, batch, flow in flows
    ]


def _batches(model: Any, recording: Recording, graph: Any) -> int:
    """Batches that one call of the traced function runs; Keras 2 runs them in a loop."""
    return steps_per_execution(model) if is_legacy(model) else recording.model_calls(graph)


def events_per_step(functions: list[Captured]) -> float:
    """Roughly how many events one call of the largest function leaves in a trace."""
    sizes = [sum(c.times or 1 for c in f.counts if c.live) for f in functions]
    # Worker threads and the executor add about as many events as the operations do.
    return 2.0 * max(sizes, default=0)


def _fixed_trace(model: Any, x: Any, batch_size: int) -> Reference:
    """A trace at a fixed batch, only to be counted: the general one leaves shapes open."""
    batch = take(x, batch_size)
    arrays = tf.nest.flatten(batch)
    if getattr(model, "inputs", None):
        program, _ = trace_model(model, [a.shape for a in arrays])
    else:
        program, _ = trace_specs(model, tf.nest.map_structure(_spec, batch))
    return _reference(flow_of(program), len(arrays[0]), 1)


def _spec(array: Any) -> tf.TensorSpec:
    # Keras feeds every floating-point array as its own default type.
    return tf.TensorSpec(array.shape, "float32" if array.dtype.kind == "f" else array.dtype)


def _reference(flow: Flow, batch: int, steps: int) -> Reference:
    return Reference(batch * steps, steps, flow, count_flow(flow))


def _batch(graph: Any) -> int | None:
    """Leading dimension of the data; None where it is open, or comes from an iterator inside."""
    # Weights and constant tensors that the model holds are inputs too, behind the arguments.
    captured = {id(inner) for _, inner in graph.captures}
    for tensor in graph.inputs:
        if tensor.dtype not in (tf.resource, tf.variant) and id(tensor) not in captured:
            shape = tensor.shape
            return shape[0] if shape.rank else None
    return None


def _counts(flow: Flow, batch: int | None, reference: list[OpCount]) -> list[OpCount]:
    """Work of the operations of ``flow``.

    The general trace has open shapes: its operations take the work of their twins in the
    reference, which the same Python code made for the same call in the same order. It may
    repeat the model more often (``steps_per_execution``).
    """
    own = count_flow(flow)
    if batch is not None:
        return own
    twins: dict[tuple[str | None, str], list[OpCount]] = defaultdict(list)
    for count in reference:
        twins[count.owner, count.type].append(count)
    result = []
    used: dict[tuple[str | None, str], int] = defaultdict(int)
    for count in own:
        alike = twins[count.owner, count.type] or [count]
        twin = alike[used[count.owner, count.type] % len(alike)]
        used[count.owner, count.type] += 1
        result.append(replace(count, work=twin.work, needed=twin.needed))
    return result


def _kernels(graph: Any, collection: GraphCollection) -> list[Kernel]:
    """The optimised graph that belongs to ``graph``, found by the operations they share."""
    names = {op.name for op in graph.get_operations() if op.type != "Placeholder"}
    best, best_share = None, _SAME_GRAPH
    for before, after in collection.functions:
        other = {n.name for n in before.node if n.op not in _HIDDEN}
        share = len(names & other) / max(1, len(names | other))
        if share > best_share:
            best, best_share = after, share
    if best is None:
        return []
    return [
        Kernel(n.name, n.op, tuple(_producer(i) for i in n.input if not i.startswith("^")))
        for n in best.node
        if n.op not in _HIDDEN
    ]


def _producer(reference: str) -> str:
    return reference.partition(":")[0]
