"""How a model that a command loaded is compiled, so that it can be evaluated or trained.

Importing this imports no TensorFlow: options are checked before it starts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tftrace.errors import TftraceError
from tftrace.files import replacing


@dataclass(frozen=True)
class Phase:
    """What a command runs, as its options say: ``name`` is predict, evaluate or fit, ``keep`` the
    file for the model as an epoch of fit has trained it."""

    name: str = "predict"
    labels: Path | None = None
    loss: str | None = None
    optimizer: str | None = None
    metrics: tuple[str, ...] = field(default=())
    keep: Path | None = None

    def __post_init__(self) -> None:
        """Raises TftraceError on options that do not go together."""
        given = {
            "--labels": self.labels,
            "--loss": self.loss,
            "--optimizer": self.optimizer,
            "--metrics": self.metrics,
        }
        told = [name for name, value in given.items() if value]
        if self.name == "predict" and told:
            raise TftraceError(f"{told[0]} is for --phase evaluate and fit, not for predict")
        if self.metrics and self.loss is None:
            raise TftraceError("--metrics goes with --loss: both compile the model anew")
        if self.optimizer and self.name != "fit":
            raise TftraceError("--optimizer is for --phase fit")
        if self.optimizer and self.loss is None:
            raise TftraceError("--optimizer goes with --loss: both compile the model anew")
        if self.keep is not None and self.name != "fit":
            raise TftraceError("--keep is for --phase fit: nothing else trains the model")
        if self.keep is not None and self.keep.suffix != ".keras":
            raise TftraceError(f"{self.keep}: the trained model is saved as .keras")

    def load_labels(self) -> Any:
        """The labels; None for predict.

        Raises:
            TftraceError: the file does not load.
        """
        if self.labels is None:
            return None
        from tftrace.tracer.data.inputs import load_data

        return load_data(self.labels)

    def prepare(self, model: Any) -> None:
        """Compile the model where the options say how.

        Raises:
            TftraceError: it is not compiled and there is no loss, or Keras refuses a name.
        """
        if self.name == "predict":
            return
        if self.loss is None:
            if not model.compiled:
                raise TftraceError("the model is not compiled: say by which loss, --loss mse")
            return
        try:
            optimizer = self.optimizer or "rmsprop"  # Keras's own default
            model.compile(optimizer=optimizer, loss=self.loss, metrics=list(self.metrics))
        except Exception as error:
            # Keras raises what it likes for a name that it does not know.
            from tftrace.tracer.failures import cause_of

            raise TftraceError(f"the model cannot be compiled: {cause_of(error)}") from error

    def save(self, model: Any) -> None:
        """Write the trained model, where it is to be kept.

        Raises:
            TftraceError: the file cannot be written.
        """
        if self.keep is not None:
            with replacing(self.keep) as part:
                model.save(part)

    def words(self) -> list[str]:
        """The same options for another command line."""
        if self.name == "predict":
            return []
        words = ["--phase", self.name]
        words += [] if self.labels is None else ["--labels", str(self.labels)]
        words += [] if self.loss is None else ["--loss", self.loss]
        words += [] if self.optimizer is None else ["--optimizer", self.optimizer]
        return words + [word for name in self.metrics for word in ("--metrics", name)]
