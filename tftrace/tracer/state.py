"""What a pass through a model moves: saved before the first, put back so that nobody notices.

States of recurrent layers, seeds, running statistics, counters: whatever they are, they are
variables that the predict function captures, tracked by Keras or not. A copy costs nothing until
one is written: TensorFlow shares the memory till then.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from tftrace.counts.flow import Flow
from tftrace.tracer.tf_private import variable_type
from tftrace.undo import MEASURING


class State:
    """Values of variables at the time when each was first seen."""

    def __init__(self, handles: list[Any]) -> None:
        """Args: the resources of variables that are known from the start."""
        self._values: dict[int, tuple[Any, Any]] = {}
        self._add(handles)

    def learn(self, graph: Any) -> None:
        """Save the variables that a graph captures, before it runs."""
        self._add([outer for outer, _ in graph.captures if isinstance(outer, tf.Tensor)])

    def add_variables(self, variables: Iterable[Any]) -> None:
        """Save variables that are not known yet."""
        self._add([handle for variable in variables for handle in handles_of(variable)])

    def now(self) -> State:
        """The present values of the same variables."""
        return State([handle for handle, _ in self._values.values()])

    def put_back(self) -> None:
        """Give every variable its value again."""
        for handle, value in self._values.values():
            tf.raw_ops.AssignVariableOp(resource=handle, value=value)

    def _add(self, handles: list[Any]) -> None:
        for handle in handles:
            kind = variable_type(handle)
            if kind is None or id(handle) in self._values:
                continue
            if tf.raw_ops.VarIsInitializedOp(resource=handle):
                value = tf.raw_ops.ReadVariableOp(resource=handle, dtype=kind)
                self._values[id(handle)] = handle, value


def state_of(model: Any) -> State:
    """The variables that Keras tracks for the model, as they are now."""
    variables = model.variables if model.built else []
    return State([handle for variable in variables for handle in handles_of(variable)])


@contextmanager
def state_kept(*models: Any) -> Iterator[None]:
    """Put back what Keras tracks for the models, whatever passes the block runs."""
    states = [state_of(model) for model in models]

    def put_back() -> None:
        for state in states:
            state.put_back()

    with MEASURING.undone(put_back):
        yield


@contextmanager
def learning(model: Any, state: State) -> Iterator[None]:
    """Let ``state`` learn each trace of the model's predict function before it first runs."""
    model.make_predict_function()
    function = model.predict_function
    if not hasattr(function, "get_concrete_function"):
        yield
        return

    def predict_function(data: Any) -> Any:
        # The call below finds the trace that is made here.
        state.learn(function.get_concrete_function(data).graph)
        return function(data)

    with MEASURING.undone(lambda: setattr(model, "predict_function", function)):
        model.predict_function = predict_function
        yield


def keeps_chance(flow: Flow) -> bool:
    """Whether a kernel keeps a random state of its own, which nothing can put back."""
    # Such operations take seeds as attributes; those that are stateless take them as inputs.
    return any("seed2" in op.node.attrs for op in flow.ops.values())


@contextmanager
def chance_kept() -> Iterator[None]:
    """Put Python's and NumPy's global random state back after the block."""
    python, numpy = random.getstate(), np.random.get_state()

    def put_back() -> None:
        random.setstate(python)
        np.random.set_state(numpy)

    with MEASURING.undone(put_back):
        yield


def handles_of(variable: Any) -> list[Any]:
    """The resources of a variable of Keras or TensorFlow, one per replica."""
    # The value of a Keras 3 variable is TensorFlow's variable; that of TensorFlow's is a method.
    inner = variable if callable(variable.value) else variable.value
    if isinstance(inner, tf.distribute.DistributedValues):
        return [each.handle for each in inner.values]
    return [inner.handle]
