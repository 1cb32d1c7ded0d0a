"""``model.evaluate`` and ``model.fit`` as a run calls them, pass by pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from tftrace.errors import TftraceError
from tftrace.runs.epochs import OF_PASSES, Epochs
from tftrace.tracer.data.arrays import as_fed
from tftrace.tracer.data.inputs import fit_inputs, samples_of
from tftrace.tracer.data.own_batches import OwnBatches, has_own_batches, own_batches
from tftrace.tracer.epochs import fit_timed, hooks_replaced
from tftrace.tracer.fit_clock import joined
from tftrace.tracer.graphs.functions import batch_specs
from tftrace.tracer.graphs.watching import optimizers_of
from tftrace.tracer.keras_model import is_legacy, steps_per_execution
from tftrace.tracer.keras_private import function_of_iterator
from tftrace.tracer.state import State
from tftrace.undo import MEASURING

_FUNCTIONS = {"evaluate": "test_function", "fit": "train_function"}
_STEPS = {"evaluate": "test_step", "fit": "train_step"}
_NONE_TIMED = "no pass was timed without the profiler"
WAYS = ("predict", "evaluate", "fit")
"""What a run can go by."""


@dataclass
class Labeled:
    """``model.evaluate`` or one epoch of ``model.fit`` (``name``) on data that is ``(x, y)``, or
    `OwnBatches` of both.

    With ``keep`` the model ends trained for one epoch, from what it was.
    """

    model: Any
    name: str
    batch_size: int
    keep: bool = False
    of_caller: bool = False
    repeatable: bool = True
    left: State | None = None
    unsteady: str | None = "only predict is measured without it"
    jit: bool | None = field(default=None, init=False)
    lists_batches: bool = field(default=False, init=False)
    _timed: list[Epochs] = field(default_factory=list, init=False)

    @property
    def step_name(self) -> str:
        """The model's method that runs one batch."""
        return _STEPS[self.name]

    def inputs(self, data: Any) -> Any:
        """What the model is called with."""
        return data if isinstance(data, OwnBatches) else data[0]

    def fed(self, data: Any) -> Sequence[Any]:
        """Shapes of a full batch, as the iterator gives it."""
        return [spec.shape for spec in tf.nest.flatten(self._specs(data)) if spec is not None]

    def trace_step(self, data: Any) -> None:
        """Trace the step on one batch, without running it: a step of the model's own may call
        layers that the model's call does not, and in another way."""
        step = getattr(self.model, self.step_name)
        specs = self._specs(data)
        tf.function(lambda batch: step(batch), autograph=False).get_concrete_function(specs)

    def learning(self, state: State) -> AbstractContextManager[None]:
        """A context in which ``state`` learns what a pass moves before the first one runs."""
        return _learning(self.model, state, self.name)

    def traces(self) -> Any:
        """The function whose traces a pass runs."""
        return function_of_iterator(getattr(self.model, _FUNCTIONS[self.name]))

    def __call__(self, data: Any) -> None:
        """A pass for warming up or timing."""
        if self.name != "fit":
            self._run(data)
            return
        with hooks_replaced():
            with fit_timed() as clock:
                self._run(data)
            self._timed.append(clock.epochs(OF_PASSES))

    def epochs(self, passes: int) -> Epochs | None:
        """What the last so many passes of ``fit`` spent their time on; None for ``evaluate``."""
        if self.name != "fit":
            return None
        if not passes:
            return Epochs(OF_PASSES, reason=_NONE_TIMED)
        return joined(self._timed[-passes:])

    def steady(self, data: Any) -> None:
        """A pass like any other: there is no other way to feed it."""
        self._run(data)

    def traced(self, data: Any, marker: Any, state: State) -> None:
        """The traced pass."""
        self._run(data, callbacks=[marker])
        if self.keep:
            self.left = state.now()

    def finish(self, data: Any, state: State) -> None:
        """Where the model is to be kept and was traced for a part of the epoch: one whole, from
        ``state``."""
        if self.keep:
            state.put_back()
            self._run(data)
            self.left = state.now()

    def _specs(self, data: Any) -> Any:
        """Describes a full batch: inputs, labels, and weights if the data brings them."""
        return data.labeled if isinstance(data, OwnBatches) else batch_specs(data, self.batch_size)

    def _run(self, data: Any, **more: Any) -> None:
        run = getattr(self.model, self.name)
        if not isinstance(data, OwnBatches):
            x, y = data
            run(x=x, y=y, batch_size=self.batch_size, verbose=0, **more)
        elif self.name == "fit":
            # Shuffled batches of a PyDataset would come in another order than they were counted in.
            run(x=data.data, steps_per_epoch=len(data.sizes), shuffle=False, verbose=0, **more)
        else:
            run(x=data.data, steps=len(data.sizes), verbose=0, **more)


def labeled_data(model: Any, name: str, x: Any, y: Any, samples: int | None = None) -> Any:
    """Inputs in the structure that the model expects, and labels, checked.

    Args:
        samples: of data in batches of its own, the least that is wanted; None for all.

    Returns: both, or the `OwnBatches` that bring both.

    Raises:
        TftraceError: the model cannot run that way, the data does not fit, or the samples differ.
    """
    if name not in WAYS:
        raise TftraceError(f"a phase is one of {', '.join(WAYS)}, not {name!r}")
    _require_labeled(model, name)
    if has_own_batches(x):
        if y is not None:
            raise TftraceError("data in batches of its own brings its labels: give no others")
        return own_batches(model, x, samples, labels=True)
    if y is None:
        raise TftraceError(f"{name} needs labels: y in Python, --labels on the command line")
    fitted = fit_inputs(model, x)
    labels = tf.nest.map_structure(as_fed, y)
    counts = {samples_of(fitted), *(samples_of(each) for each in tf.nest.flatten(labels))}
    if len(counts) > 1:
        raise TftraceError(f"inputs and labels differ in their number of samples: {sorted(counts)}")
    return fitted, labels


def _require_labeled(model: Any, name: str) -> None:
    if is_legacy(model):
        raise TftraceError(f"{name} is traced in Keras 3 only; a model of Keras 2 can run predict")
    if not model.compiled or (name == "fit" and model.optimizer is None):
        raise TftraceError(f"{name} needs a compiled model: model.compile(optimizer, loss) first")
    if steps_per_execution(model) > 1:
        raise TftraceError(
            f"{name} is traced with steps_per_execution=1; of this model it is "
            f"{steps_per_execution(model)}, and which of the steps run depends on the data"
        )


@contextmanager
def _learning(model: Any, state: State, name: str) -> Iterator[None]:
    """Let ``state`` learn what a step moves: the optimizer's variables, what its graph captures."""
    if name == "fit":
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        for optimizer in optimizers_of(model):
            state.add_variables(optimizer.variables)
    attribute = _FUNCTIONS[name]
    getattr(model, f"make_{attribute}")()
    made = getattr(model, attribute)
    inner = function_of_iterator(made)
    if inner is None:
        yield
        return

    def function(iterator: Any) -> Any:
        # The call below finds the trace that is made here.
        state.learn(inner.get_concrete_function(iterator).graph)
        return made(iterator)

    with MEASURING.undone(lambda: setattr(model, attribute, made)):
        setattr(model, attribute, function)
        yield
