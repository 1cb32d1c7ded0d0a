"""Other ways to run a model than ``predict``, as a run repeats them pass by pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import tensorflow as tf

from tftrace.errors import TftraceError
from tftrace.runs.names import STEP
from tftrace.tracer.data.arrays import count_of
from tftrace.tracer.graphs.watching import OuterCall, outermost_calls
from tftrace.tracer.keras_model import is_legacy
from tftrace.tracer.keras_private import function_of_batch
from tftrace.tracer.state import State, chance_kept, learning
from tftrace.tracer.tf_private import autograph_of, jit_of

_STEPS = {
    "train_on_batch": ("train_function", "train_step"),
    "test_on_batch": ("test_function", "test_step"),
}
FUNCTION = type(tf.function(lambda: None))
"""The class of what ``tf.function`` makes."""


@dataclass
class Repeated:
    """A call that holds one batch, repeated under the profiler after the caller's own.

    Attributes:
        model: whose layers are looked for.
        call: makes one pass.
        function: the ``tf.function`` that the pass runs.
        learn: given a `State`, a context in which it learns what ``function`` moves.
        name: how the call is told of.
        jit: whether it is compiled with XLA; None leaves the model's own setting.
        lists_batches: whether the function takes a list of batches, as that of predict does.
    """

    model: Any
    call: Callable[[], Any]
    function: Callable[[], Any]
    learn: Callable[[State], AbstractContextManager[None]]
    name: str
    jit: bool | None = None
    batch_size: int = 1
    of_caller: bool = False
    repeatable: bool = True
    left: State | None = None
    unsteady: str | None = "it is no predict, and has no pipeline of Keras's that would wait"
    lists_batches: bool = False
    step_name: str = "predict_step"

    def inputs(self, data: Any) -> Any:
        """What the model is called with."""
        return data

    def fed(self, data: Any) -> Sequence[Any]:
        """Shapes of what an iterator in the function gives: there is none."""
        return ()

    def __call__(self, x: Any) -> None:
        """A pass for warming up or timing."""
        self.call()

    def steady(self, x: Any) -> None:
        """A pass without tf.data's autotuner: there is none."""
        self.call()

    def traced(self, x: Any, marker: Any, state: State) -> None:
        """The traced pass, which is one step."""
        with tf.profiler.experimental.Trace(STEP, step_num=0, _r=1):
            self.call()
        self.left = None

    def learning(self, state: State) -> AbstractContextManager[None]:
        """A context in which ``state`` learns what a pass moves before the first one runs."""
        return self.learn(state)

    def traces(self) -> Any:
        """The function whose traces a pass runs."""
        return self.function()


def on_batch(model: Any, original: Callable[..., Any], x: Any) -> Repeated:
    """``model.predict_on_batch(x)``."""
    return Repeated(
        model,
        call=partial(original, model, x),
        function=lambda: model.predict_function,
        learn=lambda state: learning(model, state),
        name="predict_on_batch",
        lists_batches=True,
    )


def labeled_on_batch(
    name: str, model: Any, original: Callable[..., Any], args: Any, keywords: Any
) -> Repeated:
    """``model.train_on_batch`` or ``test_on_batch`` (``name``) with such arguments.

    Raises:
        TftraceError: the model runs its step in a way that cannot be followed.
    """
    if is_legacy(model):
        raise TftraceError(f"{name} is traced in Keras 3 only")
    attribute, step_name = _STEPS[name]
    made: list[Any] = []

    @contextmanager
    def learn(state: State) -> Iterator[None]:
        getattr(model, f"make_{attribute}")()
        step = function_of_batch(getattr(model, attribute))
        if step is None:
            raise TftraceError(f"{name} runs no tf.function of a batch")
        # As in predict: a function around it shows what of the step is compiled.
        around = tf.function(lambda data: step(data), autograph=False) if jit_of(step) else step
        made.append(around)

        def function(batches: Any) -> Any:
            batch = next(iter(batches))
            state.learn(around.get_concrete_function(batch).graph)
            return around(batch)

        setattr(model, attribute, function)  # till the model's own is given back
        yield

    return Repeated(
        model,
        call=partial(original, model, *args, **keywords),
        function=lambda: made[-1],
        learn=learn,
        name=name,
        step_name=step_name,
    )


def in_function(
    function: Any, args: Sequence[Any], keywords: Mapping[str, Any]
) -> tuple[Repeated, Any] | None:
    """A call of a ``tf.function`` that runs one model, and an array with its samples.

    The function is traced anew, once to see whether it calls a model and once to see which layer
    makes what; its Python code runs that often.

    Returns: None when it calls no Keras layer.

    Raises:
        TftraceError: it calls layers of no model, or several models.
    """

    args = _as_signed(function, args)
    jit = jit_of(function)

    def made() -> Any:
        inner = tf.function(
            function.python_function, jit_compile=jit, autograph=autograph_of(function)
        )
        # As in predict: a function around it shows what of the call is compiled.
        return tf.function(lambda *a, **k: inner(*a, **k), autograph=False) if jit else inner

    with chance_kept(), outermost_calls() as called:
        made().get_concrete_function(*args, **keywords)
    if not called:
        return None
    name = getattr(function.python_function, "__name__", "a tf.function")
    call = _only_model(called, name)
    samples = _samples(arrays_of((args, keywords)), call.batch, name)
    again = made()

    @contextmanager
    def learn(state: State) -> Iterator[None]:
        state.learn(again.get_concrete_function(*args, **keywords).graph)
        yield

    run = Repeated(
        call.layer,
        call=partial(again, *args, **keywords),
        function=lambda: again,
        learn=learn,
        name=f"tf.function {name}",
        jit=bool(jit),
    )
    return run, samples


def _as_signed(function: Any, args: Sequence[Any]) -> Sequence[Any]:
    """The arguments in the element types that the function's signature, if it has one, asks for."""
    signature = function.input_signature
    if signature is None or len(signature) != len(args):
        return args
    pairs = zip(args, signature, strict=True)
    plain = (isinstance(spec, tf.TensorSpec) for spec in signature)
    return [tf.cast(a, s.dtype) if p else a for (a, s), p in zip(pairs, plain, strict=True)]


def _only_model(called: Sequence[OuterCall], name: str) -> OuterCall:
    models = [call for call in called if hasattr(call.layer, "predict")]
    if not models:
        raise TftraceError(f"{name} calls layers, and no model that they belong to")
    if len(models) > 1:
        names = ", ".join(call.layer.name for call in models)
        raise TftraceError(f"{name} calls several models ({names}); trace them one by one")
    return models[0]


def arrays_of(structure: Any) -> list[Any]:
    """The arrays with a first axis in the arguments of a call."""
    leaves = tf.nest.flatten(structure)
    return [leaf for leaf in leaves if len(getattr(leaf, "shape", ())) > 0]


def _samples(arrays: Sequence[Any], batch: int | None, name: str) -> Any:
    """The argument whose first axis is the samples: as long as the batch of the model, or, where
    the function cuts that from it (a loop over samples, say), the only length there is.

    Raises:
        TftraceError: it cannot be told.
    """
    by_length = {count_of(array): array for array in reversed(arrays)}
    if batch in by_length:
        return by_length[batch]
    if len(by_length) == 1:
        return arrays[0]
    if not arrays and batch is not None:  # what it is given is not an argument
        return tf.zeros((batch,))
    lengths = " and ".join(map(str, sorted(by_length))) or "no"
    raise TftraceError(
        f"which arguments of {name} hold its samples cannot be told: they have {lengths} rows, and "
        f"the model is given {'an unknown number' if batch is None else batch}"
    )
