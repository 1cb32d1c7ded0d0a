"""Every private attribute of Keras that tftrace uses, each with what to do when it is gone.

`tests/tracer/test_keras_private.py` is the canary: it fails when a release of Keras takes one away.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any, TypeVar

from tftrace.graph.phases import ACCUMULATION, CLIPPING, MOVING_AVERAGE, WEIGHT_DECAY

_ABSENT = object()
_Class = TypeVar("_Class", bound=type)


def jit_setting(model: Any) -> dict[str, Any]:
    """Whether to compile with XLA, before Keras resolves ``auto``: what `set_jit_setting` takes.

    Empty when it is hidden: asking ``model.jit_compile`` then leaves the answer behind.
    """
    kept = model.__dict__.get("_jit_compile", _ABSENT)
    return {} if kept is _ABSENT else {"_jit_compile": kept}


def set_jit_setting(model: Any, setting: Mapping[str, Any]) -> None:
    """Put back what `jit_setting` returned."""
    for name, value in setting.items():
        setattr(model, name, value)


def inputs_structure(model: Any) -> Any:
    """The structure in which a functional model declares its inputs; None without, or hidden.

    Keras 2 and 3 name it differently.
    """
    names = (name for name in ("_inputs_struct", "_nested_inputs") if hasattr(model, name))
    return getattr(model, next(names, ""), None)


def outputs_structure(functional: Any) -> Any:
    """The structure of a functional model's outputs; where it is hidden, as few as there are."""
    outputs = list(functional.outputs)
    flat = outputs[0] if len(outputs) == 1 else outputs
    return getattr(functional, "_outputs_struct", flat)


def functional_of_sequential(model: Any) -> Any:
    """The functional model inside a built Sequential; None before it is built, or hidden."""
    return getattr(model, "_functional", None)


def nodes_by_depth(functional: Any) -> dict[int, list[Any]] | None:
    """The call nodes of a functional model, the deepest first to run; None when hidden."""
    nodes: dict[int, list[Any]] | None = getattr(functional, "_nodes_by_depth", None)
    return nodes


def layer_of_input(tensor: Any) -> Any:
    """The input layer that made a symbolic input; None when hidden."""
    history = getattr(tensor, "_keras_history", None)
    return getattr(history, "operation", None)


def lambda_output_shape(layer: Any) -> Any:
    """The output shape that a Lambda was given; None without, or hidden."""
    return getattr(layer, "_output_shape", None)


def layers_within(layer: Any) -> list[Any]:
    """The layers that a layer keeps, and those that they keep, without itself.

    Where Keras's own list is hidden they are looked for in the attributes.
    """
    lister = getattr(layer, "_flatten_layers", None)
    if lister is not None:
        return list(lister(include_self=False, recursive=True))
    found: dict[int, Any] = {}
    pending = [vars(layer)]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            pending += value.values()
        elif isinstance(value, list | tuple):
            pending += value
        elif _is_layer(value) and value is not layer and id(value) not in found:
            found[id(value)] = value
            pending.append(vars(value))
    return list(found.values())


def predict_arguments(model: Any) -> dict[str, Any] | None:
    """What the ``predict`` of ``model`` that is running was given, by the names of its parameters.

    Keras tells its callbacks of no data, so the frame of the call is asked.

    Returns: None where no such call is found, or it names its parameters otherwise.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        seen = frame.f_locals
        if frame.f_code.co_name == "predict" and seen.get("self") is model and "x" in seen:
            return {name: seen.get(name) for name in ("x", "batch_size", "steps")}
        frame = frame.f_back
    return None


def function_of_iterator(function: Any) -> Any:
    """The ``tf.function`` by which a train or test function of Keras runs the next batch.

    Keras wraps it in a function of Python, which keeps it in its closure. None when it is hidden.
    """
    if hasattr(function, "get_concrete_function"):
        return function
    return _in_closure(function, "multi_step_on_iterator")


def function_of_batch(function: Any) -> Any:
    """The ``tf.function`` by which a train or test function of Keras runs a batch that it is given
    itself, as ``train_on_batch`` does. None when it is hidden, or the model runs eagerly."""
    inner = getattr(_in_closure(function, "one_step_on_data"), "__wrapped__", None)
    return inner if hasattr(inner, "get_concrete_function") else None


def _in_closure(function: Any, name: str) -> Any:
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    return function.__closure__[names.index(name)].cell_contents if name in names else None


def callbacks_told(
    callback_list: Any, begin: Callable[[Any], bool], end: Callable[[Any], None]
) -> Callable[[], None] | None:
    """Be told when a ``CallbackList`` turns to each of its callbacks, and when it has done so.

    It goes through its own list for every hook, so what stands between two callbacks that the list
    hands out is the first one's hook, on whatever thread.

    Args:
        begin: called with the callback before its hook.
        end: called after it where ``begin`` has returned True.

    Returns: what gives the list back; None where it is hidden, and nothing is told.
    """
    own = getattr(callback_list, "callbacks", None)
    if type(own) is not list:
        return None

    class Told(list):  # type: ignore[type-arg]
        def __iter__(self) -> Iterator[Any]:
            for callback in super().__iter__():
                told = begin(callback)
                try:
                    yield callback
                finally:
                    if told:
                        end(callback)

    told = Told(own)

    def put_back() -> None:
        own[:] = told[:]  # what was added meanwhile, too
        callback_list.callbacks = own

    callback_list.callbacks = told
    return put_back


_OF_OPTIMIZER = {
    "_clip_gradients": CLIPPING,
    "_apply_weight_decay": WEIGHT_DECAY,
    "_update_model_variables_moving_average": MOVING_AVERAGE,
    "_overwrite_model_variables_with_average_value": MOVING_AVERAGE,
    "_backend_increment_gradient_accumulators": ACCUMULATION,
    "_backend_reset_gradient_accumulators": ACCUMULATION,
}
OVERWRITES, APPLIES, CLIPS = (
    "_overwrite_variables_directly_with_gradients",
    "_backend_apply_gradients",
    "_clip_gradients",
)
"""Methods of an optimizer between which its ``apply`` does something itself: divides by a loss's
scale between the first two, and between the last two takes the mean of what it has added up."""


def optimizer_methods(optimizer: Any) -> dict[str, str | None]:
    """The methods by which an optimizer does a part of its work, and which; None for a mark that
    comes before or behind one. What is hidden is left out."""
    known = {**_OF_OPTIMIZER, OVERWRITES: None, APPLIES: None}
    return {name: part for name, part in known.items() if hasattr(optimizer, name)}


def without_batch_hooks(callback: _Class) -> _Class:
    """Let Keras 2 take a callback of Keras 3, which it asks whether its batches concern it."""
    for pass_ in ("train", "test", "predict"):
        setattr(callback, f"_implements_{pass_}_batch_hooks", lambda self: False)
    return callback


def _is_layer(value: Any) -> bool:
    return any(
        cls.__name__ == "Layer" and cls.__module__.startswith(("keras.", "tf_keras."))
        for cls in type(value).__mro__
    )
