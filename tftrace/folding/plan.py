"""Which BatchNormalization layers can go, and into which weights: decided on the call graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from keras import layers

from tftrace.folding.absorbing import (
    Weights,
    absorb_input,
    absorb_output,
    absorbs_input,
    absorbs_output,
    read_weights,
)
from tftrace.folding.affine import Affine, Refusal, affine_of_batch_norm
from tftrace.folding.graph import Call, CallGraph, Value, batch_norms_inside
from tftrace.folding.passing import describe, move_past

Direction: TypeAlias = Literal["backward", "forward"]


@dataclass(frozen=True)
class Folded:
    """A BatchNormalization that is gone.

    Attributes:
        layer: its name.
        path: its name behind those of the models it is in, joined by `/`.
        into: names of the layers whose weights took it in.
        direction: `backward` into what makes its input, `forward` into what reads its output.
    """

    layer: str
    path: str
    into: tuple[str, ...]
    direction: Direction


@dataclass(frozen=True)
class Kept:
    """A BatchNormalization that stays, and why; `layer` and `path` as in `Folded`."""

    layer: str
    path: str
    reason: str


@dataclass
class Plan:
    """What to change: new weights by `id` of the layer, layers to leave out, and the account."""

    weights: dict[int, Weights] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)
    folded: list[Folded] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)


@dataclass(frozen=True)
class _Step:
    """One possible fold: the layers that absorb and their weights afterwards."""

    layers: tuple[Any, ...]
    weights: tuple[Weights, ...]
    direction: Direction


_Landing: TypeAlias = tuple[Call, Affine]


def plan_folds(graph: CallGraph) -> Plan:
    """Fold until nothing more can be folded: one fold may clear the way for another."""
    plan = Plan()
    while True:
        candidates = _batch_norms(graph)
        before = len(plan.folded)
        refused = [kept for layer in candidates if (kept := _try(graph, plan, layer)) is not None]
        if len(plan.folded) == before:
            plan.kept = refused + _hidden(graph)
            return plan


def _batch_norms(graph: CallGraph) -> list[Any]:
    found = {
        id(call.operation): call.operation
        for call in graph.calls
        if isinstance(call.operation, layers.BatchNormalization)
    }
    return list(found.values())


def _hidden(graph: CallGraph) -> list[Kept]:
    operations = {id(call.operation): call for call in graph.calls}
    return [
        Kept(
            layer.name,
            f"{call.path}/{layer.name}",
            f"it is inside {describe(call.operation)}, whose own call decides how it is used",
        )
        for call in operations.values()
        for layer in batch_norms_inside(call.operation)
    ]


def _try(graph: CallGraph, plan: Plan, layer: Any) -> Kept | None:
    path = graph.calls_of(layer)[0].path
    step = _find_step(graph, plan, layer)
    if isinstance(step, Refusal):
        return Kept(layer.name, path, step.reason)
    for target, weights in zip(step.layers, step.weights, strict=True):
        plan.weights[id(target)] = weights
    plan.removed.add(id(layer))
    names = tuple(target.name for target in step.layers)
    plan.folded.append(Folded(layer.name, path, names, step.direction))
    graph.remove(layer)
    return None


def _find_step(graph: CallGraph, plan: Plan, layer: Any) -> _Step | Refusal:
    if type(layer) is not layers.BatchNormalization:
        return Refusal(f"{type(layer).__name__} is a class of its own that may compute otherwise")
    calls = graph.calls_of(layer)
    if any(call.training for call in calls):
        return Refusal("it is called with training=True, where it uses the statistics of the batch")
    if any(len(call.inputs) != 1 for call in calls):
        return Refusal("it is called with a mask as an argument")
    if id(layer) in graph.hidden:
        return Refusal(f"it is also used inside {graph.hidden[id(layer)]}")
    affine = affine_of_batch_norm(layer, len(calls[0].inputs[0].shape))
    if isinstance(affine, Refusal):
        return affine
    backward = _backward(graph, plan, calls, affine)
    if isinstance(backward, _Step):
        return backward
    forward = _forward(graph, plan, calls, affine)
    if isinstance(forward, _Step):
        return forward
    return Refusal(f"backward: {backward.reason}; forward: {forward.reason}")


def _backward(graph: CallGraph, plan: Plan, calls: list[Call], affine: Affine) -> _Step | Refusal:
    landings: list[_Landing] = []
    for call in calls:
        landing = _trace_back(call, affine)
        if isinstance(landing, Refusal):
            return landing
        landings.append(landing)
    return _absorb_all(graph, plan, landings, "backward")


def _forward(graph: CallGraph, plan: Plan, calls: list[Call], affine: Affine) -> _Step | Refusal:
    landings: list[_Landing] = []
    for call in calls:
        reached = _trace_forward(call.outputs[0], affine)
        if isinstance(reached, Refusal):
            return reached
        landings += reached
    return _absorb_all(graph, plan, landings, "forward")


def _trace_back(reader: Call, affine: Affine) -> _Landing | Refusal:
    """Follow the only path to the layer that made the input, moving the map to its output."""
    value = reader.inputs[0]
    if value.is_output:
        return Refusal(f"the input of {reader.operation.name} is also an output of the model")
    others = [call.operation.name for call in value.consumers if call is not reader]
    if others:
        return Refusal(f"the input of {reader.operation.name} also goes to {', '.join(others)}")
    producer = value.producer
    if producer is None:
        return Refusal(f"the input of {reader.operation.name} is an input of the model")
    if absorbs_output(producer.operation):
        return producer, affine
    if len(producer.inputs) != 1:
        return Refusal(f"{describe(producer.operation)} before it joins several tensors")
    source, target = value.shape[1:], producer.inputs[0].shape[1:]
    moved = move_past(producer.operation, affine, source, target)
    return moved if isinstance(moved, Refusal) else _trace_back(producer, moved)


def _trace_forward(value: Value, affine: Affine) -> list[_Landing] | Refusal:
    """Follow every path from the output to layers that take the map into their weights."""
    if value.is_output:
        return Refusal("its result is an output of the model")
    landings: list[_Landing] = []
    for consumer in value.consumers:
        if absorbs_input(consumer.operation):
            landings.append((consumer, affine))
            continue
        if len(consumer.inputs) != 1 or len(consumer.outputs) != 1:
            return Refusal(f"{describe(consumer.operation)} joins it with other tensors")
        result = consumer.outputs[0]
        moved = move_past(consumer.operation, affine, value.shape[1:], result.shape[1:])
        if isinstance(moved, Refusal):
            return moved
        further = _trace_forward(result, moved)
        if isinstance(further, Refusal):
            return further
        landings += further
    return landings or Refusal("nothing reads its result")


def _absorb_all(
    graph: CallGraph, plan: Plan, landings: list[_Landing], direction: Direction
) -> _Step | Refusal:
    """New weights for every layer reached, if all calls of each layer ask for the same ones."""
    targets = {id(call.operation): call.operation for call, _ in landings}
    new_weights: list[Weights] = []
    for target in targets.values():
        mine = [(call, affine) for call, affine in landings if call.operation is target]
        if len(mine) != len(graph.calls_of(target)):
            return Refusal(f"{target.name} is shared and also called without it")
        if id(target) in graph.hidden:
            return Refusal(f"{target.name} is also used inside {graph.hidden[id(target)]}")
        call, affine = mine[0]
        side = call.outputs[0] if direction == "backward" else call.inputs[0]
        for other_call, other in mine[1:]:
            other_side = other_call.outputs[0] if direction == "backward" else other_call.inputs[0]
            if not affine.same_as(other) or other_side.shape[1:] != side.shape[1:]:
                return Refusal(f"{target.name} is shared and its calls would need other weights")
        current = plan.weights.get(id(target)) or read_weights(target)
        if isinstance(current, Refusal):
            return current
        absorb = absorb_output if direction == "backward" else absorb_input
        changed = absorb(target, current, affine, side.shape[1:])
        if isinstance(changed, Refusal):
            return changed
        new_weights.append(changed)
    return _Step(tuple(targets.values()), tuple(new_weights), direction)
