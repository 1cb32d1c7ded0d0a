"""A model that a function of the user's own builds, with the weights of a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tftrace.errors import TftraceError
from tftrace.tracer.loading.functions import result_of

OPTION = "--model-module"


def with_weights(path: Path, function: str, keras: Any) -> Any:
    """The model that ``function`` returns, with the weights that the file holds.

    Args:
        path: ``.weights.h5``, ``.h5``, ``.hdf5`` or ``.keras``.
        keras: the Keras that it has to be of.

    Raises:
        TftraceError: no such file, no model, or weights of another model.
    """
    if not os.path.exists(path):
        raise TftraceError(f"no weights file {path}")
    model = result_of(OPTION, function)
    if not isinstance(model, keras.Model):
        kind = f"{type(model).__module__}.{type(model).__name__}"
        other = "; with --keras 2 it is one" if kind.startswith("tf_keras.") else ""
        raise TftraceError(
            f"{OPTION} {function} returned a {kind}, no model of {keras.__name__}{other}"
        )
    try:
        model.load_weights(path)
    except Exception as error:
        # Keras and h5py raise a dozen types here, all meaning: not the weights of this model.
        said = " ".join(str(error).split())
        raise TftraceError(
            f"{path} does not hold the weights of the model of {function}: {said[:300]}"
        ) from error
    return model
