"""A Keras callback that makes a run of the ``predict`` it is given to."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import GeneratorType
from typing import Any

import keras

from tftrace.api.profile import Profile
from tftrace.api.tracing import TRACED, Settings, Tracing, reason_of, run_traced
from tftrace.errors import TftraceError, TftraceWarning
from tftrace.tracer.data.inputs import fit_inputs
from tftrace.tracer.data.own_batches import has_own_batches, own_batches
from tftrace.tracer.keras_private import predict_arguments, without_batch_hooks
from tftrace.tracer.predict import Predict


@without_batch_hooks
class Callback(keras.callbacks.Callback):  # type: ignore[misc]
    """``model.predict(x, callbacks=[tftrace.Callback("runs")])``.

    When predict has done its work the same is run again, traced, before it returns: its result, and
    what it made of the model's variables, are those of the first pass. ``profile`` is then the run,
    which lies under ``logdir``; of several predicts, ``profiles`` has all.

    What keeps it from being traced takes nothing from the caller: a ``TftraceWarning`` says why,
    and ``untraced`` keeps it. Of ``fit`` and ``evaluate`` nothing is measured, which is said too.

    Args:
        logdir: folder of runs; ``tensorboard --logdir`` opens it.
        repeats: untraced passes that are timed before the traced one.
        all_ops: record the kernels too that TensorFlow considers cheap.
    """

    def __init__(self, logdir: str | Path, *, repeats: int = 0, all_ops: bool = False) -> None:
        super().__init__()
        self._settings = Settings(Path(logdir), all_ops, repeats)
        self._tracing = Tracing()

    @property
    def profiles(self) -> list[Profile]:
        """One for each predict that was traced, oldest first."""
        return self._tracing.profiles

    @property
    def untraced(self) -> list[str]:
        """Why the others, if any, were not."""
        return self._tracing.untraced

    @property
    def profile(self) -> Profile:
        """The latest.

        Raises:
            LookupError: nothing has been traced.
        """
        return self._tracing.profile

    def on_predict_end(self, logs: Any = None) -> None:
        """Run the predict that ends here again, traced."""
        try:
            with TRACED.taken():
                arguments = predict_arguments(self.model)
                if arguments is None:
                    raise TftraceError("its arguments are hidden; use tftrace.trace()")
                self._tracing.profiles.append(_again(self.model, arguments, self._settings))
        except Exception as error:
            self._not_traced("predict", reason_of(error))

    def on_train_begin(self, logs: Any = None) -> None:
        """Say that training is not measured."""
        self._not_traced("fit", "this callback measures predict only")

    def on_test_begin(self, logs: Any = None) -> None:
        """Say that evaluation is not measured."""
        self._not_traced("evaluate", "this callback measures predict only")

    def _not_traced(self, what: str, reason: str) -> None:
        self._tracing.untraced.append(reason)
        warnings.warn(f"this {what} is not traced: {reason}", TftraceWarning, stacklevel=2)


def _again(model: Any, arguments: dict[str, Any], settings: Settings) -> Profile:
    x, steps = arguments["x"], arguments.get("steps")
    if isinstance(x, GeneratorType):
        raise TftraceError("a generator's batches are gone; use tftrace.trace(), which keeps them")
    if has_own_batches(x):
        return run_traced(Predict(model, 32), own_batches(model, x, None, steps), settings)
    if steps is not None:
        raise TftraceError("predict(steps=...) on arrays is not followed; slice the data instead")
    batch_size = arguments.get("batch_size") or 32
    return run_traced(Predict(model, batch_size), fit_inputs(model, x), settings)
