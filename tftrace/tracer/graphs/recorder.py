"""Which Keras call made which operation, noted while the graph is traced.

Names cannot tell: a second trace renames scopes (``conv2d`` becomes ``conv2d_1``). So the calls
themselves are watched: whatever a graph gains between two calls belongs to the innermost one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import tensorflow as tf

from tftrace.graph.phases import BACKWARD, FORWARD, LOSS, OPTIMIZER, RECOMPUTATION, phase_of
from tftrace.tracer.state import handles_of

ANOTHER_GRAPH = "\0"
"""In the path of a call noted in a loop's body or another inner graph, before its number."""


@dataclass
class CallSite:
    """One place where the model calls a layer (or a Keras operation).

    ``path`` is unique: names from the model down, ``#2`` on the second call of the same name
    under the same parent. ``call`` numbers the calls of this layer object. ``output_shape``
    has None for the batch. ``params`` are the weights that no layer further down owns; a later
    call of the same layer has 0, so that the column sums to the model's parameters.
    ``weights_bytes`` is their size.
    """

    path: str
    name: str
    type: str
    call: int
    depth: int
    parent: str | None
    output_shape: list[int | None] | None = None
    params: int = 0
    weights_bytes: int = 0


class _Frame(NamedTuple):
    """What runs now: a call of ``layer``, or a part of a step (None, or the tape)."""

    layer: Any
    path: str | None
    phase: str


_TAPE = object()


@dataclass
class Recording:
    """What was seen: call sites by path in execution order, owners of operations per graph."""

    model: Any
    step_name: str | None = None
    """The model's method that is followed (``predict_step``, ``test_step``, ``train_step``): layers
    that it calls outside the model's own call are the model's too. None: the call alone."""
    tape_is_open: bool = True
    """Whether the gradient of each operation is seen; what is not seen stays with the model."""
    sites: dict[str, CallSite] = field(default_factory=dict)
    roots: list[Any] = field(default_factory=list)
    """Outermost FuncGraph of every trace of the model, oldest first."""
    _calls: dict[int, int] = field(default_factory=dict)
    _owners: dict[int, dict[str, str]] = field(default_factory=dict)
    _graphs: list[Any] = field(default_factory=list)
    _flushed: dict[int, int] = field(default_factory=dict)
    _phases: dict[int, dict[str, str]] = field(default_factory=dict)
    _by_tape: dict[int, set[str]] = field(default_factory=dict)
    _stack: list[_Frame] = field(default_factory=list)
    _seen: dict[tuple[int, str], int] = field(default_factory=dict)
    _layers: dict[str, Any] = field(default_factory=dict)
    _repeated: dict[tuple[str, int], int] = field(default_factory=dict)
    _began: list[tuple[int, int]] = field(default_factory=list)
    """Graph, and how many operations it had, when each of the gradients that run began."""
    _outer: Any = None
    _inner: dict[str, list[Any]] = field(default_factory=dict)

    def owners(self, graph: Any) -> dict[str, str]:
        """Call-site path by operation name, for the operations of ``graph`` that have one."""
        return self._owners.get(id(graph), {})

    def phases(self, graph: Any) -> dict[str, str]:
        """Phase by operation name, for the operations of ``graph`` that are of another than the
        forward one."""
        return self._phases.get(id(graph), {})

    @property
    def labeled(self) -> bool:
        """Whether the step that is followed knows labels: it has a loss, and maybe gradients."""
        return self.step_name in ("test_step", "train_step")

    def model_calls(self, root: Any) -> int:
        """How often the graph ``root`` runs a step of the model: the batches of one execution."""
        return self._calls.get(id(root), 1)

    def rename(self, paths: Mapping[str, str]) -> None:
        """Give every call site its path in ``paths``; those that get the same become one."""
        noted, layers = self.sites, self._layers
        self.sites, self._layers = {}, {}
        for old, site in noted.items():
            parent = None if site.parent is None else paths[site.parent]
            new = self.sites.setdefault(paths[old], replace(site, path=paths[old], parent=parent))
            new.output_shape = new.output_shape or site.output_shape
            self._layers[paths[old]] = layers[old]
        for graph, owners in self._owners.items():
            self._owners[graph] = {name: paths[old] for name, old in owners.items()}
        self.finish()

    def add_below(self, parent: str, name: str, kind: str) -> str:
        """The path of a call site ``name`` below ``parent``, made where there is none.

        It stands behind all that is below ``parent`` already.
        """
        path = f"{parent}/{name}"
        if path not in self.sites:
            site = CallSite(path, name, kind, 1, self.sites[parent].depth + 1, parent)
            known = list(self.sites.items())
            below = [i for i, (p, _) in enumerate(known) if (p + "/").startswith(parent + "/")]
            known.insert(max(below) + 1, (path, site))
            self.sites = dict(known)
        return path

    def finish(self) -> None:
        """Fill in the numbers that need the whole picture: calls and parameters."""
        calls: dict[int, int] = {}
        for path, layer in self._layers.items():
            calls[id(layer)] = calls.get(id(layer), 0) + 1
            self.sites[path].call = calls[id(layer)]
        for path, own in self._own_weights():
            self.sites[path].params = sum(_elements(w) for w in own)
            self.sites[path].weights_bytes = sum(weight_bytes(w) for w in own)

    def _own_weights(self) -> Iterator[tuple[str, list[Any]]]:
        """Every call site with the weights that are its own."""
        counted: set[int] = set()
        # Deepest first, so that a weight is counted where it is used, not at its container.
        for path in sorted(self._layers, key=lambda p: -self.sites[p].depth):
            own = [w for w in _weights(self._layers[path]) if id(w) not in counted]
            counted.update(id(w) for w in own)
            yield path, own

    def call(self, layer: Any, run: Callable[[], Any]) -> Any:
        """Run one call of ``layer``, noting what the current graph gains meanwhile."""
        foreign = not self._stack and layer is not self.model
        if tf.executing_eagerly() or (foreign and self.step_name is None):
            return run()
        if self.labeled and not self._stack:
            return run()  # Keras builds what the step needs before it traces the step
        if self._stack and self._stack[-1].layer is layer:
            return self._shaped(self._stack[-1].path, run())
        if self._stack and phase_of(self._stack[-1].phase) in (BACKWARD, OPTIMIZER):
            return self._anew(layer, run)
        graph = tf.compat.v1.get_default_graph()
        in_step = bool(self._stack) and self._stack[-1].path is None
        if foreign or (in_step and layer is not self.model):
            # A step, or a predict function, of the model's own calls it, not the model's call.
            self._begin_trace(graph)
            again = self.model.name in self.sites
            root = self.model.name if again else self._enter(self.model, graph)
            return self._called(
                self.model,
                root,
                graph,
                lambda: self._called(layer, self._enter(layer, graph), graph, run),
            )
        if not self._stack:
            self._begin_step(graph)
        return self._called(layer, self._enter(layer, graph), graph, run)

    def _anew(self, layer: Any, run: Callable[[], Any]) -> Any:
        """Run a call that is computed once more for its gradient (`tf.recompute_grad`).

        It is of the call site that it repeats, below the one whose gradient asks for it.
        """
        _, place, phase = self._stack[-1]
        below = f"{place}/"
        sites = [p for p, known in self._layers.items() if known is layer and p.startswith(below)]
        if place is None or not sites:
            return run()
        number = self._repeated.get((place, id(layer)), 0)
        self._repeated[place, id(layer)] = number + 1
        frame = _Frame(layer, sites[number % len(sites)], phase)
        return self._within(frame, tf.compat.v1.get_default_graph(), run)

    def step(self, run: Callable[[], Any]) -> Any:
        """Run the model's step on one batch.

        What a ``predict_step`` makes and calls is the model's; what a step with labels makes
        outside of the layers is the loss, if nothing says otherwise.
        """
        if self._stack or tf.executing_eagerly():
            return run()
        graph = tf.compat.v1.get_default_graph()
        self._begin_step(graph)
        if self.labeled:
            return self._within(_Frame(None, None, LOSS), graph, run)
        return self._called(self.model, self._enter(self.model, graph), graph, run)

    def part(self, phase: str, run: Callable[[], Any], path: str | None = None) -> Any:
        """Run a part of a step that is of ``phase``, for the call site ``path`` if for any."""
        if not self._stack:
            return run()
        graph = tf.compat.v1.get_default_graph()
        return self._within(_Frame(None, path, phase), graph, run)

    def made(self, phase: str) -> None:
        """What the graph has gained since the last call or part ended is of ``phase``."""
        if not self._stack:
            return
        running = self._stack[-1]
        self._stack[-1] = running._replace(phase=phase)
        self._flush(tf.compat.v1.get_default_graph())
        self._stack[-1] = running

    def tape(self, run: Callable[[], Any], sources: Any) -> Any:
        """Run a tape's differentiation with respect to ``sources``, variables for one.

        What the tape itself makes (it adds up where a value is used twice) is for whoever made
        the value.
        """
        if not self._stack:
            return run()
        graph = tf.compat.v1.get_default_graph()
        self._computed_anew(graph)
        seen = _TAPE if self.tape_is_open else None
        path = None if self.tape_is_open else self.model.name
        gradients = self._within(_Frame(seen, path, BACKWARD), graph, run)
        owners = self.variable_owners()
        for gradient, source in zip(
            tf.nest.flatten(gradients), tf.nest.flatten(sources), strict=True
        ):
            for handle in handles_of(source) if hasattr(source, "value") else ():
                self._claim([gradient], owners.get(id(handle)))
        if self._began:
            self._began[-1] = id(graph), len(graph.get_operations())
        return gradients

    def _computed_anew(self, graph: Any) -> None:
        """A gradient that asks a tape of its own has first computed what that differentiates."""
        if not self._began or self._began[-1][0] != id(graph):
            return
        self._flush(graph)
        phases = self._phases.get(id(graph), {})
        for operation in graph.get_operations()[self._began[-1][1] :]:
            if phases.get(operation.name) == BACKWARD:
                phases[operation.name] = RECOMPUTATION

    @property
    def path(self) -> str | None:
        """The call site that runs now; None outside of layers."""
        return self._stack[-1].path if self._stack else None

    def gradient(self, path: str | None, given: Sequence[Any], run: Callable[[], Any]) -> Any:
        """Run the gradient of an operation that the call site ``path`` made (None: of the loss).

        Args:
            given: the gradients of its results.
        """
        if not self._stack:
            return run()
        graph = tf.compat.v1.get_default_graph()
        self._flush(graph)
        self._claim(given, path)
        self._began.append((id(graph), len(graph.get_operations())))
        try:
            return self.part(BACKWARD, run, path)
        finally:
            self._began.pop()

    def update(self, variable: Any, run: Callable[[], Any]) -> Any:
        """Run the optimizer's update of one variable: for the layer whose it is."""
        owners = self.variable_owners()
        paths = (owners.get(id(handle)) for handle in handles_of(variable))
        return self.part(OPTIMIZER, run, next(paths, None))

    def variable_owners(self) -> dict[int, str]:
        """The call site of each of the layers' variables, by the id of its handle."""
        return {
            id(handle): path
            for path, own in self._own_weights()
            for variable in own
            for handle in handles_of(variable)
        }

    def _claim(self, tensors: Sequence[Any], path: str | None) -> None:
        """Give the call site what the tape made to compute ``tensors``."""
        flat = tf.nest.flatten(list(tensors), expand_composites=True)
        pending = [tensor.op for tensor in flat if tf.is_symbolic_tensor(tensor)]
        while pending and path is not None:
            operation = pending.pop()
            key = id(operation.graph)
            if operation.name in self._by_tape.get(key, ()):
                self._by_tape[key].discard(operation.name)
                self._owners[key][operation.name] = path
                pending += [tensor.op for tensor in operation.inputs]

    def _called(self, layer: Any, path: str, graph: Any, run: Callable[[], Any]) -> Any:
        """Run what the call site ``path`` of ``layer`` does in ``graph``."""
        frame = _Frame(layer, path, FORWARD)
        return self._within(frame, graph, lambda: self._shaped(path, run()))

    def _within(self, frame: _Frame, graph: Any, run: Callable[[], Any]) -> Any:
        self._flush(graph)
        self._stack.append(frame)
        try:
            return run()
        finally:
            self._flush(tf.compat.v1.get_default_graph())
            self._stack.pop()

    def _shaped(self, path: str | None, outputs: Any) -> Any:
        site = None if path is None else self.sites[path]
        if site is not None and site.output_shape is None:
            shape = shape_of(outputs)
            site.output_shape = None if shape is None else [None, *shape[1:]]
        return outputs

    def _begin_trace(self, graph: Any) -> Any:
        """Note the outermost graph around ``graph``, and return it."""
        root = graph
        # A loop's body is of another class than the function around it, and that inside no other.
        while hasattr(getattr(root, "outer_graph", None), "outer_graph"):
            root = root.outer_graph
        if not any(known is root for known in self.roots):
            self.roots.append(root)
            self._begin_paths(graph)
        return root

    def _begin_step(self, graph: Any) -> None:
        root = self._begin_trace(graph)
        self._calls[id(root)] = self._calls.get(id(root), 0) + 1
        # Several steps in one graph (steps_per_execution) are the same call sites again.
        self._begin_paths(graph)

    def _begin_paths(self, graph: Any) -> None:
        self._seen.clear()
        self._repeated.clear()
        self._inner.clear()
        self._outer = graph

    def _enter(self, layer: Any, graph: Any) -> str:
        parent = self.path
        base = layer.name if parent is None else f"{parent}/{layer.name}"
        number = self._seen.get((id(graph), base), 0) + 1
        self._seen[id(graph), base] = number
        path = base if number == 1 else f"{base}#{number}"
        if graph is not self._outer:
            # Whether it is another place of the model shows when the graphs are whole.
            inner = self._inner.setdefault(path, [])
            if not any(known is graph for known in inner):
                inner.append(graph)
            path += f"{ANOTHER_GRAPH}{[known is graph for known in inner].index(True)}"
        if path not in self.sites:
            depth = 0 if parent is None else self.sites[parent].depth + 1
            self.sites[path] = CallSite(path, layer.name, type(layer).__name__, 1, depth, parent)
            self._layers[path] = layer
        return path

    def _flush(self, graph: Any) -> None:
        """Give what ``graph`` gained since the last look to the call that is running."""
        key = id(graph)
        if key not in self._owners:
            self._owners[key] = {}
            self._graphs.append(graph)  # keeps the id from being reused
        operations = graph.get_operations()
        done = self._flushed.get(key, 0)
        gained = [op.name for op in operations[done:]]
        if self._stack and gained:
            layer, path, phase = self._stack[-1]
            if path is not None:
                self._owners[key].update(dict.fromkeys(gained, path))
            if phase != FORWARD:
                self._phases.setdefault(key, {}).update(dict.fromkeys(gained, phase))
            if layer is _TAPE:
                self._by_tape.setdefault(key, set()).update(gained)
        self._flushed[key] = len(operations)


def shape_of(tensors: Any) -> list[int | None] | None:
    """Shape of the first tensor, a scalar's empty."""
    for tensor in tf.nest.flatten(tensors):
        shape = getattr(tensor, "shape", None)
        if shape is not None and getattr(shape, "rank", len(shape)) is not None:
            return [None if d is None else int(d) for d in shape]
    return None


def _weights(layer: Any) -> list[Any]:
    return list(getattr(layer, "weights", []))


def weight_bytes(weight: Any) -> int:
    """Size of a variable's value."""
    return _elements(weight) * int(tf.as_dtype(weight.dtype).size)


def _elements(weight: Any) -> int:
    total = 1
    for dimension in weight.shape:
        total *= int(dimension)
    return total
