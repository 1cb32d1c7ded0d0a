"""``model.predict`` as a run calls it, pass by pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from tftrace.machine.bench.batches import steady_batches
from tftrace.tracer.data.inputs import given
from tftrace.tracer.keras_model import overrides_predict
from tftrace.tracer.state import State, learning

_OWN_PREDICT = "the model has a predict of its own, which may not take a tf.data.Dataset"


@dataclass
class Predict:
    """``model.predict`` with the run's settings.

    ``of_caller`` says that the traced pass is one that the caller asked for: ``function`` is the
    unbound predict to call, ``keywords`` and ``callbacks`` are the caller's own and only used in
    that pass. ``repeatable`` is False where another pass has other results whatever is put back;
    then no pass can be the caller's. ``done`` says that the caller's pass has run: ``outputs``
    are what it returned, ``left`` what it made of the model's variables. ``raised`` is what it
    raised instead.
    """

    model: Any
    batch_size: int
    function: Callable[..., Any] = field(default=lambda model, *a, **k: model.predict(*a, **k))
    keywords: dict[str, Any] = field(default_factory=dict)
    callbacks: Sequence[Any] = ()
    of_caller: bool = False
    repeatable: bool = True
    done: bool = False
    outputs: Any = None
    left: State | None = None
    raised: Exception | None = None
    name: str = field(default="predict", init=False)
    step_name: str = field(default="predict_step", init=False)
    lists_batches: bool = field(default=True, init=False)
    jit: bool | None = field(default=None, init=False)

    @property
    def unsteady(self) -> str | None:
        """Why a pass cannot do without tf.data's autotuner; None where it can."""
        own = overrides_predict(self.model)
        return _OWN_PREDICT if own else None

    def learning(self, state: State) -> AbstractContextManager[None]:
        """A context in which ``state`` learns what a pass moves before the first one runs."""
        return learning(self.model, state)

    def inputs(self, data: Any) -> Any:
        """What the model is called with."""
        return data

    def fed(self, data: Any) -> Sequence[Any]:
        """Shapes of what an iterator in the function gives: they are not needed."""
        return ()

    def traces(self) -> Any:
        """The function whose traces a pass runs."""
        return self.model.predict_function

    def __call__(self, x: Any) -> None:
        """A pass for warming up or timing."""
        self.function(self.model, **given(x, self.batch_size), verbose=0)

    def steady(self, x: Any) -> None:
        """A pass that does not wait for tf.data's autotuner where it ends."""
        self.function(self.model, steady_batches(x, self.batch_size), verbose=0)

    def traced(self, x: Any, marker: Any, state: State) -> None:
        """The traced pass; that of the caller, if there is one, keeps what comes of it."""
        keywords: dict[str, Any] = {**given(x, self.batch_size), "verbose": 0}
        if not (self.of_caller and self.repeatable):
            self.function(self.model, callbacks=[marker], **keywords)
            return
        keywords |= {**self.keywords, "callbacks": [marker, *self.callbacks]}
        try:
            self.outputs = self.function(self.model, **keywords)
            self.done = True
        except Exception as error:
            self.raised = error
            raise
        finally:
            self.left = state.now()
