"""Which Keras call made which operation, noted while the graph is traced.

Names cannot tell: a second trace renames scopes (``conv2d`` becomes ``conv2d_1``). So the calls
themselves are watched: whatever a graph gains between two calls belongs to the innermost one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import tensorflow as tf

from tftrace.undo import MEASURING

ANOTHER_GRAPH = "\0"
"""In the path of a call noted in a loop's body or another inner graph, before its number."""


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
    predicting: bool = False
    """Whether layers that the predict function calls outside the model's own call are its too."""
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
    _outer: Any = None
    _inner: dict[str, list[Any]] = field(default_factory=dict)

    def owners(self, graph: Any) -> dict[str, str]:
        """Call-site path by operation name, for the operations of ``graph`` that have one."""
        return self._owners.get(id(graph), {})

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
        foreign = not self._stack and layer is not self.model
        if tf.executing_eagerly() or (foreign and not self.predicting):
            return run()
        if self._stack and self._stack[-1][0] is layer:
            return self._shaped(self._stack[-1][1], run())
        graph = tf.compat.v1.get_default_graph()
        if foreign:
            # A predict function of the model's own calls it, not the model's call.
            self._begin_trace(graph)
            again = self.model.name in self.sites
            root = self.model.name if again else self._enter(self.model, graph)
            return self._within(
                self.model,
                root,
                graph,
                lambda: self._within(layer, self._enter(layer, graph), graph, run),
            )
        if not self._stack:
            self._begin_step(graph)
        return self._within(layer, self._enter(layer, graph), graph, run)

    def step(self, run: Callable[[], Any]) -> Any:
        """Run the model's ``predict_step`` on one batch: what it makes and calls is the model's."""
        if self._stack or tf.executing_eagerly():
            return run()
        graph = tf.compat.v1.get_default_graph()
        self._begin_step(graph)
        return self._within(self.model, self._enter(self.model, graph), graph, run)

    def _within(self, layer: Any, path: str, graph: Any, run: Callable[[], Any]) -> Any:
        """Run what the call site ``path`` of ``layer`` does in ``graph``."""
        self._flush(graph)
        self._stack.append((layer, path))
        try:
            return self._shaped(path, run())
        finally:
            self._flush(tf.compat.v1.get_default_graph())
            self._stack.pop()

    def _shaped(self, path: str, outputs: Any) -> Any:
        site = self.sites[path]
        if site.output_shape is None:
            shape = _shape(outputs)
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
        self._inner.clear()
        self._outer = graph

    def _enter(self, layer: Any, graph: Any) -> str:
        parent = self._stack[-1][1] if self._stack else None
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
        if self._stack:
            path = self._stack[-1][1]
            self._owners[key].update((op.name, path) for op in operations[done:])
        self._flushed[key] = len(operations)


@contextmanager
def record_calls(model: Any, predicting: bool = False) -> Iterator[Recording]:
    """Record every layer call of ``model`` that is traced inside the block.

    The classes' ``__call__`` are wrapped for the time of the block and put back whatever
    happens; the model itself is not touched.

    Args:
        predicting: the block traces the predict function; so is the class's ``predict_step``
            wrapped, and whatever layers are called count as the model's.
    """
    recording = Recording(model, predicting)
    with MEASURING.taken():
        patches = _patches(model, recording)
        originals = [(holder, name, vars(holder)[name]) for holder, name, _ in patches]

        def put_back() -> None:
            for holder, name, original in reversed(originals):
                setattr(holder, name, original)

        with MEASURING.undone(put_back):
            for holder, name, wrapper in patches:
                setattr(holder, name, wrapper)
            yield recording
    recording.finish()


@dataclass(frozen=True)
class OuterCall:
    """The first call of a layer outside of any other; ``batch`` is the leading dimension of what
    it is given, None where the graph leaves it open."""

    layer: Any
    batch: int | None


@contextmanager
def outermost_calls() -> Iterator[list[OuterCall]]:
    """The layers, each once, that the block's graphs call outside of any other layer.

    The classes' ``__call__`` are wrapped for the time of the block, as by `record_calls`.
    """
    found: list[OuterCall] = []
    inside = False

    def watched(original: Callable[..., Any]) -> Callable[..., Any]:
        def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal inside
            if inside or tf.executing_eagerly():
                return original(self, *args, **kwargs)
            if not any(known.layer is self for known in found):
                shape = _shape((args, kwargs))
                found.append(OuterCall(self, shape[0] if shape else None))
            inside = True
            try:
                return original(self, *args, **kwargs)
            finally:
                inside = False

        return __call__

    with MEASURING.taken():
        originals = [(cls, cls.__dict__["__call__"]) for cls in layer_classes()]

        def put_back() -> None:
            for cls, original in reversed(originals):
                cls.__call__ = original

        with MEASURING.undone(put_back):
            for cls, original in originals:
                cls.__call__ = watched(original)
            yield found


def _patches(model: Any, recording: Recording) -> list[tuple[Any, str, Any]]:
    """(holder, name of the attribute, what takes its place)."""
    watched: list[tuple[Any, str, Any]] = [
        (cls, "__call__", _watched(cls.__dict__["__call__"], recording))
        for cls in call_classes(model)
    ]
    if recording.predicting:
        holder = _holder(model, "predict_step")
        watched.append((holder, "predict_step", _watched_step(holder, recording)))
    return watched


def call_classes(model: Any) -> Iterable[type]:
    """The classes whose ``__call__`` every layer and operation of the model's Keras goes by."""
    return [
        cls
        for cls in type(model).__mro__
        if "__call__" in cls.__dict__ and cls.__name__ in ("Layer", "Operation")
    ]


def layer_classes() -> list[Any]:
    """What the layers of Keras 3 derive from, and those of Keras 2 where it is imported."""
    legacy = sys.modules.get("tf_keras")
    return [keras.layers.Layer, *([legacy.layers.Layer] if legacy is not None else [])]


def _watched(original: Callable[..., Any], recording: Recording) -> Callable[..., Any]:
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        return recording.call(self, lambda: original(self, *args, **kwargs))

    return __call__


def _watched_step(holder: Any, recording: Recording) -> Callable[..., Any]:
    original = vars(holder)["predict_step"]
    if holder is recording.model:
        return lambda *args, **kwargs: recording.step(lambda: original(*args, **kwargs))

    def predict_step(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Bound here: it may be a tf.function, or a method of a class.
        step = original.__get__(self, type(self))
        if self is not recording.model:
            return step(*args, **kwargs)
        return recording.step(lambda: step(*args, **kwargs))

    return predict_step


def _holder(model: Any, name: str) -> Any:
    """What has the attribute that the model shows: the model itself or a class of its."""
    return next(each for each in (model, *type(model).__mro__) if name in vars(each))


def _shape(tensors: Any) -> list[int | None] | None:
    """Shape of the first tensor, a scalar's empty."""
    for tensor in tf.nest.flatten(tensors):
        shape = getattr(tensor, "shape", None)
        if shape is not None and getattr(shape, "rank", len(shape)) is not None:
            return [None if d is None else int(d) for d in shape]
    return None


def _weights(layer: Any) -> list[Any]:
    return list(getattr(layer, "weights", []))


def _elements(weight: Any) -> int:
    total = 1
    for dimension in weight.shape:
        total *= int(dimension)
    return total
