"""Each trace of the predict function: its program, its work, and the kernels it became."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from tftrace.counts.count import OpCount, count_flow
from tftrace.counts.flow import Flow, flow_of
from tftrace.tracer.data.arrays import spec_of
from tftrace.tracer.data.inputs import samples_of, take
from tftrace.tracer.data.own_batches import OwnBatches
from tftrace.tracer.graphs.programs import program_of, settle, trace_batch
from tftrace.tracer.graphs.recorder import Recording
from tftrace.tracer.keras_model import is_legacy, steps_per_execution
from tftrace.tracer.tf_private import GraphCollection, concrete_functions, data_specs

_HIDDEN = ("_Arg", "_DeviceArg", "_Retval", "_DeviceRetval")
_SAME_GRAPH = 0.8


@dataclass(frozen=True)
class Kernel:
    """A node of the optimized graph: what TensorFlow runs."""

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

    ``batches`` are the samples of each batch that passes through one call.
    """

    batches: tuple[int, ...]
    flow: Flow
    counts: list[OpCount]

    @property
    def batch(self) -> int:
        """Samples of one call."""
        return sum(self.batches)

    def samples(self, batches: int) -> int:
        """Of so many batches, the same again after the last."""
        return sum(self.batches[i % len(self.batches)] for i in range(batches))


def captured_functions(
    model: Any,
    recording: Recording,
    collection: GraphCollection,
    x: Any,
    batch_size: int,
    function: Any,
    lists_batches: bool = True,
    fed: Sequence[Any] = (),
) -> tuple[Reference, list[Captured]]:
    """The traces that ``recording`` saw of the predict function, oldest first.

    Args:
        x: data of the run, for the shapes.
        function: the ``tf.function`` that was traced.
        lists_batches: whether it takes a list of batches, as the predict function does; what does
            not, takes one of ``batch_size``, in however many calls of the model.
        fed: shapes of a full batch, if the function asks an iterator for it.

    Returns: the trace that counts, and all traces with their work.
    """
    names = {id(graph): name for name, graph in concrete_functions(function)}
    roots = [g for g in recording.roots if not names or id(g) in names]
    settle(recording, roots)
    flows = [
        (
            graph,
            _sizes(model, recording, graph, lists_batches, batch_size, fed),
            flow_of(program_of(graph, recording, batch=fed)),
        )
        for graph in roots
    ]
    reference = next(
        (_reference(flow, sizes) for _, batches, flow in flows if (sizes := _known(batches))),
        None,
    )
    if reference is None:
        reference = _fixed_trace(model, x, batch_size)
    result = []
    for graph, batches, flow in flows:
        sizes = _known(batches)
        captured = Captured(
            name=names.get(id(graph)),
            batch=sizes[0] if sizes else None,
            flow=flow,
            counts=_counts(flow, sizes, reference.counts),
            counted_batch=sum(sizes) if sizes else reference.samples(len(batches)),
            kernels=_kernels(graph, collection),
        )
        result.append(captured)
    return reference, result


def _sizes(
    model: Any,
    recording: Recording,
    graph: Any,
    lists_batches: bool,
    batch_size: int,
    fed: Sequence[Any],
) -> tuple[int | None, ...]:
    if fed:
        return (fed[0][0],)
    return _batches(model, recording, graph) if lists_batches else (batch_size,)


def _batches(model: Any, recording: Recording, graph: Any) -> tuple[int | None, ...]:
    """Samples of each batch that one call of the predict function runs; None where the graph
    leaves them open.

    Keras 3 hands over a list of batches, Keras 2 runs them in a loop.
    """
    if is_legacy(model):
        return (_batch(graph),) * steps_per_execution(model)
    data = data_specs(graph)
    if data is None:
        return (_batch(graph),) * recording.model_calls(graph)
    return tuple(leading(tf.nest.flatten(step)) for step in data)


def _known(batches: tuple[int | None, ...]) -> tuple[int, ...]:
    """The sizes where all are known, else none."""
    sizes = tuple(size for size in batches if size is not None)
    return sizes if len(sizes) == len(batches) else ()


def events_per_step(functions: list[Captured]) -> float:
    """Roughly how many events one call of the largest function leaves in a trace."""
    sizes = [sum(c.times or 1 for c in f.counts if c.live) for f in functions]
    # Worker threads and the executor add about as many events as the operations do.
    return 2.0 * max(sizes, default=0)


def _fixed_trace(model: Any, x: Any, batch_size: int) -> Reference:
    """A trace at a fixed batch, only to be counted: the general one leaves shapes open."""
    program = trace_batch(model, batch_specs(x, batch_size))
    return _reference(flow_of(program), (min(batch_size, samples_of(x)),))


def batch_specs(x: Any, batch_size: int) -> Any:
    """TensorSpecs of the first batch of ``x``, in the structure that predict hands over."""
    if isinstance(x, OwnBatches):
        return x.spec
    return tf.nest.map_structure(spec_of, take(x, batch_size))


def _reference(flow: Flow, batches: tuple[int, ...]) -> Reference:
    return Reference(batches, flow, count_flow(flow))


def _batch(graph: Any) -> int | None:
    """Leading dimension of the data; None where it is open, or comes from an iterator inside."""
    # Weights and constant tensors that the model holds are inputs too, behind the arguments.
    captured = {id(inner) for _, inner in graph.captures}
    return leading(tensor for tensor in graph.inputs if id(tensor) not in captured)


def leading(tensors: Iterable[Any]) -> int | None:
    """First dimension of the first that is data, or a description of data."""
    for tensor in tensors:
        if tensor is not None and tensor.dtype not in (tf.resource, tf.variant):
            shape = tensor.shape
            return shape[0] if shape.rank else None
    return None


def _counts(flow: Flow, sizes: tuple[int, ...], reference: list[OpCount]) -> list[OpCount]:
    """Work of the operations of ``flow``.

    The general trace has open shapes: its operations take the work of their twins in the
    reference, which the same Python code made for the same call in the same order. It may
    repeat the model more often (``steps_per_execution``).
    """
    own = count_flow(flow)
    if sizes:
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
    """The optimized graph that belongs to ``graph``, found by the operations they share."""
    names = {op.name for op in graph.get_operations() if op.type != "Placeholder"}
    best, most = None, 0
    for before, after in collection.functions:
        other = {n.name for n in before.node if n.op not in _HIDDEN}
        # What nothing needs (a constant that only the tape asked for) does not get there.
        shared = len(names & other)
        if shared > most and shared > _SAME_GRAPH * len(other):
            best, most = after, shared
    if best is None:
        return []
    return [
        Kernel(n.name, n.op, tuple(_producer(i) for i in n.input if not i.startswith("^")))
        for n in best.node
        if n.op not in _HIDDEN
    ]


def _producer(reference: str) -> str:
    return reference.partition(":")[0]
