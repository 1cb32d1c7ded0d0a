"""The few facts about a model's predict path that differ from model to model."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from tftrace.runs.names import STEP
from tftrace.tracer.keras_private import jit_setting, layers_within, set_jit_setting
from tftrace.undo import MEASURING

_MISSING = object()
_FUNCTIONS = ("predict_function", "test_function", "train_function")
_LEFT_BY_A_PASS = ("stop_predicting", "stop_evaluating", "stop_training", "history")


@contextmanager
def borrowed(model: Any, jit: bool | None = None) -> Iterator[None]:
    """Let the block have the model's functions built anew, then give the old ones back.

    Args:
        jit: compile predict with XLA or not; None keeps what the model would do by itself.

    The model leaves as it came, also after an exception: same functions, same ``jit_compile``,
    same marks of a pass that ended.
    """
    setting = jit_setting(model)
    kept = {name: model.__dict__.get(name, _MISSING) for name in (*_FUNCTIONS, *_LEFT_BY_A_PASS)}

    def give_back() -> None:
        for name, value in kept.items():
            if value is _MISSING:
                model.__dict__.pop(name, None)
            else:
                setattr(model, name, value)
        set_jit_setting(model, setting)

    with MEASURING.undone(give_back):
        for name in _FUNCTIONS:
            setattr(model, name, None)
        if jit is not None:
            model.jit_compile = jit
        yield


def jit_compiled(model: Any) -> bool:
    """Whether predict is compiled with XLA; asking leaves the model's setting unresolved."""
    setting = jit_setting(model)
    answer = bool(model.jit_compile)
    set_jit_setting(model, setting)
    return answer


def steps_per_execution(model: Any) -> int:
    """Batches that one call of the predict function runs."""
    return int(getattr(model, "steps_per_execution", 1) or 1)


def all_built(model: Any) -> bool:
    """Whether every layer of the model has its weights."""
    return all(layer.built for layer in (model, *layers_within(model)))


def is_legacy(model: Any) -> bool:
    """Whether it is a model of Keras 2 (tf_keras)."""
    return any(cls.__module__.partition(".")[0] == "tf_keras" for cls in type(model).__mro__)


def overrides_predict(model: Any) -> bool:
    """Whether the model's class has a ``predict`` of its own instead of Keras's."""
    return not type(model).predict.__module__.startswith(("keras.", "tf_keras.", "tftrace."))


def dtype_name(tensor: Any) -> str:
    """``float32`` for a symbolic tensor of Keras 2 or 3."""
    return str(getattr(tensor.dtype, "name", tensor.dtype))


def layout_of(tensor: Any) -> str:
    """``dense``, ``sparse`` or ``ragged``: what a symbolic tensor of Keras 2 or 3 stands for."""
    spec = getattr(tensor, "type_spec", None)
    if getattr(tensor, "sparse", False) or isinstance(spec, tf.SparseTensorSpec):
        return "sparse"
    ragged = getattr(tensor, "ragged", False) or isinstance(spec, tf.RaggedTensorSpec)
    return "ragged" if ragged else "dense"


def step_marker(model: Any) -> Any:
    """A callback of the model's own Keras (2 or 3) that draws each batch as a step."""

    class StepMarker(keras_of(model).callbacks.Callback):  # type: ignore[misc]
        """Open a trace event at a batch's begin and close it at its end."""

        def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
            """Open the step; ``_r`` makes the profiler's own pages count it as a root."""
            self._event = tf.profiler.experimental.Trace(STEP, step_num=batch, _r=1)
            self._event.__enter__()

        def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
            """Close the step."""
            self._event.__exit__(None, None, None)

        on_test_batch_begin = on_train_batch_begin = on_predict_batch_begin
        on_test_batch_end = on_train_batch_end = on_predict_batch_end

    return StepMarker()


def keras_of(model: Any) -> Any:
    """The Keras that the model is of."""
    return importlib.import_module("tf_keras" if is_legacy(model) else "keras")


def fixed_batch(model: Any) -> int | None:
    """The batch that the model's inputs declare, as a stateful RNN's do; None where it is open."""
    declared = getattr(model, "inputs", None) or []
    sizes = {tensor.shape[0] for tensor in declared if len(tensor.shape)}
    return next((int(size) for size in sizes if size is not None), None)
