"""Which Keras call made which operation, noted while the graph is traced.

Names cannot tell: a second trace renames scopes (``conv2d`` becomes ``conv2d_1``). So the calls
themselves are watched: whatever a graph gains between two calls belongs to the innermost one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf


@dataclass
class CallSite:
    """One place where the model calls a layer (or a Keras operation).

    ``path`` is unique: names from the model down, ``#2`` on the second call of the same name
    under the same parent. ``call`` numbers the calls of this layer object. ``output_shape``
    has None for the batch. ``params`` are the weights that no layer further down owns; a later
    call of the same layer has 0, so that the column sums to the model's parameters.
    """

    path: str
    name: str
    type: str
    call: int
    depth: int
    parent: str | None
    output_shape: list[int | None] | None = None
    params: int = 0


@dataclass
class Recording:
    """What was seen: call sites by path in execution order, owners of operations per graph."""

    model: Any
    sites: dict[str, CallSite] = field(default_factory=dict)
    roots: list[Any] = field(default_factory=list)
    """Outermost FuncGraph of every trace of the model, oldest first."""
    _calls: dict[int, int] = field(default_factory=dict)
    _owners: dict[int, dict[str, str]] = field(default_factory=dict)
    _graphs: list[Any] = field(default_factory=list)
    _flushed: dict[int, int] = field(default_factory=dict)
    _stack: list[tuple[Any, str]] = field(default_factory=list)
    _seen: dict[tuple[int, str], int] = field(default_factory=dict)
    _layers: dict[str, Any] = field(default_factory=dict)

    def owners(self, graph: Any) -> dict[str, str]:
        """Call-site path by operation name, for the operations of ``graph`` that have one."""
        return self._owners.get(id(graph), {})

    def model_calls(self, root: Any) -> int:
        """How often the graph ``root`` calls the model: the batches of one execution."""
        return self._calls.get(id(root), 1)

    def finish(self) -> None:
        """Fill in the numbers that need the whole picture: calls and parameters."""
        calls: dict[int, int] = {}
        counted: set[int] = set()
        for path, layer in self._layers.items():
            calls[id(layer)] = calls.get(id(layer), 0) + 1
            self.sites[path].call = calls[id(layer)]
        # Deepest first, so that a weight is counted where it is used, not at its container.
        for path in sorted(self._layers, key=lambda p: -self.sites[p].depth):
            own = [w for w in _weights(self._layers[path]) if id(w) not in counted]
            counted.update(id(w) for w in own)
            self.sites[path].params = sum(_elements(w) for w in own)

    def call(self, layer: Any, run: Callable[[], Any]) -> Any:
        """Run one call of ``layer``, noting what the current graph gains meanwhile."""
        inside_itself = bool(self._stack) and self._stack[-1][0] is layer
        foreign = not self._stack and layer is not self.model
        if inside_itself or foreign or tf.executing_eagerly():
            return run()
        graph = tf.compat.v1.get_default_graph()
        if not self._stack:
            self._begin_trace(graph)
        self._flush(graph)
        path = self._enter(layer, graph)
        self._stack.append((layer, path))
        try:
            outputs = run()
            site = self.sites[path]
            if site.output_shape is None:
                site.output_shape = _shape(outputs)
            return outputs
        finally:
            self._flush(tf.compat.v1.get_default_graph())
            self._stack.pop()

    def _begin_trace(self, graph: Any) -> None:
        root = graph
        while isinstance(getattr(root, "outer_graph", None), type(graph)):
            root = root.outer_graph
        if not any(known is root for known in self.roots):
            self.roots.append(root)
        self._calls[id(root)] = self._calls.get(id(root), 0) + 1
        # Several steps in one graph (steps_per_execution) are the same call sites again.
        self._seen.clear()

    def _enter(self, layer: Any, graph: Any) -> str:
        parent = self._stack[-1][1] if self._stack else None
        base = layer.name if parent is None else f"{parent}/{layer.name}"
        number = self._seen.get((id(graph), base), 0) + 1
        self._seen[id(graph), base] = number
        path = base if number == 1 else f"{base}#{number}"
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
        if self._stack:
            path = self._stack[-1][1]
            self._owners[key].update((op.name, path) for op in operations[done:])
        self._flushed[key] = len(operations)


@contextmanager
def record_calls(model: Any) -> Iterator[Recording]:
    """Record every layer call of ``model`` that is traced inside the block.

    The classes' ``__call__`` are wrapped for the time of the block and put back whatever
    happens; the model itself is not touched.
    """
    recording = Recording(model)
    originals = [(cls, cls.__dict__["__call__"]) for cls in call_classes(model)]
    for cls, original in originals:
        setattr(cls, "__call__", _watched(original, recording))  # noqa: B010
    try:
        yield recording
    finally:
        for cls, original in originals:
            setattr(cls, "__call__", original)  # noqa: B010
        recording.finish()


def call_classes(model: Any) -> Iterable[type]:
    """The classes whose ``__call__`` every layer and operation of the model's Keras goes by."""
    return [
        cls
        for cls in type(model).__mro__
        if "__call__" in cls.__dict__ and cls.__name__ in ("Layer", "Operation")
    ]


def _watched(original: Callable[..., Any], recording: Recording) -> Callable[..., Any]:
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        return recording.call(self, lambda: original(self, *args, **kwargs))

    return __call__


def _shape(outputs: Any) -> list[int | None] | None:
    """Shape of the first output tensor with the batch dimension left open."""
    for tensor in tf.nest.flatten(outputs):
        shape = getattr(tensor, "shape", None)
        if shape is not None and getattr(shape, "rank", len(shape)) is not None:
            return [None, *(None if d is None else int(d) for d in shape[1:])]
    return None


def _weights(layer: Any) -> list[Any]:
    return list(getattr(layer, "weights", []))


def _elements(weight: Any) -> int:
    total = 1
    for dimension in weight.shape:
        total *= int(dimension)
    return total
