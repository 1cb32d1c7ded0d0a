"""What is put in the place of Keras's and TensorFlow's methods while a graph is traced."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tftrace.graph.phases import ACCUMULATION, LOSS_SCALING, METRICS, OPTIMIZER
from tftrace.tracer.graphs.recorder import Recording, shape_of
from tftrace.tracer.keras_private import APPLIES, CLIPS, optimizer_methods
from tftrace.tracer.tf_private import gradients_watched
from tftrace.undo import MEASURING

_Way = Callable[[Any, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""What a method does instead: given the object, the bound original and the arguments."""


@contextmanager
def record_calls(model: Any, step: str | None = None) -> Iterator[Recording]:
    """Record every layer call of ``model`` that is traced inside the block.

    The classes' ``__call__`` are wrapped for the time of the block and put back whatever
    happens; the model itself is not touched.

    Args:
        step: the model's method (``predict_step``, ``test_step``, ``train_step``) whose function
            the block traces: it is wrapped too, and whatever layers are called count as the
            model's. Of one with labels, the parts are told apart.
    """
    recording = Recording(model, step)
    with MEASURING.taken(), ExitStack() as doors:
        if step == "train_step":
            recording.tape_is_open = doors.enter_context(
                gradients_watched(lambda: recording.path, recording.gradient, model.name)
            )
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
                shape = shape_of((args, kwargs))
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
    step = recording.step_name
    if step is not None:

        def stepped(_: Any, own: Callable[..., Any], a: Any, k: Any) -> Any:
            return recording.step(lambda: own(*a, **k))

        watched.append(_wrapped(model, step, stepped))
    if recording.labeled:
        watched += _parts(model, recording)
    return watched


def _parts(model: Any, recording: Recording) -> Iterator[tuple[Any, str, Any]]:
    """As `_patches`, for the parts of a step with labels."""

    def measured(_: Any, own: Callable[..., Any], a: Any, k: Any) -> Any:
        return recording.part(METRICS, lambda: own(*a, **k))

    def differentiated(_: Any, own: Callable[..., Any], a: Any, k: Any) -> Any:
        sources = k["sources"] if "sources" in k else a[1]
        return recording.tape(lambda: own(*a, **k), sources)

    def updated(_: Any, own: Callable[..., Any], a: Any, k: Any) -> Any:
        variable = k["variable"] if "variable" in k else a[1]
        return recording.update(variable, lambda: own(*a, **k))

    yield _wrapped(model, "compute_metrics", measured)
    yield tf.GradientTape, "gradient", _method(tf.GradientTape.gradient, None, differentiated)
    if recording.step_name == "train_step":
        found = optimizers_of(model)
        # The optimizer of mixed precision has another inside.
        inner = [each.inner_optimizer for each in found if hasattr(each, "inner_optimizer")]
        yield from _wrapped_all([*found, *inner], "update_step", updated)
        yield from _parts_of_optimizers([*found, *inner], recording)


def _parts_of_optimizers(
    optimizers: list[Any], recording: Recording
) -> Iterator[tuple[Any, str, Any]]:
    """As `_patches`, for what optimizers do around their updates."""

    def applied(optimizer: Any, own: Callable[..., Any], a: Any, k: Any) -> Any:
        # Around the other inside, all is about the scale.
        scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        phase = LOSS_SCALING if scales else OPTIMIZER
        return recording.part(phase, lambda: own(*a, **k))

    def scaled(optimizer: Any, own: Callable[..., Any], a: Any, k: Any) -> Any:
        return recording.part(LOSS_SCALING, lambda: own(*a, **k))

    def way(name: str, part: str | None) -> _Way:
        def worked(optimizer: Any, own: Callable[..., Any], a: Any, k: Any) -> Any:
            if name == APPLIES and optimizer.loss_scale_factor is not None:
                recording.made(LOSS_SCALING)
            if name == CLIPS and optimizer.gradient_accumulation_steps:
                recording.made(ACCUMULATION)
            return recording.part(part or OPTIMIZER, lambda: own(*a, **k))

        return worked

    yield from _wrapped_all(optimizers, "apply", applied)
    yield from _wrapped_all(optimizers, "scale_loss", scaled)
    methods: dict[str, str | None] = {}
    for each in optimizers:
        methods |= optimizer_methods(each)
    for name, part in methods.items():
        yield from _wrapped_all(optimizers, name, way(name, part))


def optimizers_of(model: Any) -> list[Any]:
    """The optimizer that the model is compiled with, and those that it holds besides (a GAN has
    two)."""
    held = [getattr(model, "optimizer", None), *vars(model).values()]
    found = {id(each): each for each in held if isinstance(each, keras.optimizers.Optimizer)}
    return list(found.values())


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


def _wrapped(owner: Any, name: str, way: _Way) -> tuple[Any, str, Any]:
    """The method ``name`` of ``owner``, where it is defined, doing ``way`` for it alone."""
    holder = _holder(owner, name)
    original = vars(holder)[name]
    if holder is owner:
        return holder, name, lambda *a, **k: way(owner, original, a, k)
    return holder, name, _method(original, owner, way)


def _wrapped_all(owners: Iterable[Any], name: str, way: _Way) -> Iterator[tuple[Any, str, Any]]:
    """As `_wrapped`, for several objects, which may have the method of one class."""
    holders = {id(holder): holder for holder in (_holder(owner, name) for owner in owners)}
    for holder in holders.values():
        if isinstance(holder, type):
            yield holder, name, _method(vars(holder)[name], None, way)
        else:
            yield _wrapped(holder, name, way)


def _method(original: Any, only: Any, way: _Way) -> Callable[..., Any]:
    """``original`` (a function, a method of a class, a tf.function), doing ``way`` for one object,
    or for all (None)."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        own = original.__get__(self, type(self))
        if only is not None and self is not only:
            return own(*args, **kwargs)
        return way(self, own, args, kwargs)

    return method


def _holder(model: Any, name: str) -> Any:
    """What has the attribute that the model shows: the model itself or a class of its."""
    return next(each for each in (model, *type(model).__mro__) if name in vars(each))
