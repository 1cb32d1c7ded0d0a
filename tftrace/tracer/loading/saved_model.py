"""A SavedModel as a Keras model: one of its signatures, called through a TFSMLayer.

``model.export()`` and ``tf.saved_model.save`` write graphs without Keras layers. What is inside is
told by the name scopes of its operations (see `tftrace.tracer.graphs.scopes`). A TFSMLayer in a
model of the user's own stays one layer.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tftrace.errors import TftraceError

_PREFERRED = ("serving_default", "serve")


def is_saved_model(path: Path) -> bool:
    """Whether the folder is a SavedModel."""
    return os.path.isfile(path / "saved_model.pb")


def load_saved_model(path: Path) -> Any:
    """A Keras 3 model that calls a signature: ``serving_default``, or else the first by name.

    Raises:
        TftraceError: it does not load, has no signature, or one that no batch fits.
    """
    import keras
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:
        # TensorFlow raises a dozen types here, all meaning: this folder does not load.
        raise TftraceError(f"{path} does not load: {' '.join(str(error).split())[:300]}") from error
    known = sorted(loaded.signatures)
    if not known:
        raise TftraceError(f"{path} is a SavedModel without a signature; nothing in it can be run")
    chosen = next((name for name in _PREFERRED if name in known), known[0])
    _, specs = loaded.signatures[chosen].structured_input_signature
    if not specs:
        raise TftraceError(f"{path}: its signature {chosen} takes no input")
    inputs = {name: _input(path, name, spec) for name, spec in specs.items()}
    try:
        layer = _signature_layer()(str(path), call_endpoint=chosen, name=chosen)
        outputs = layer(inputs)
    except Exception as error:
        said = " ".join(str(error).split())
        raise TftraceError(
            f"{path}: its signature {chosen} cannot be called: {said[:300]}"
        ) from error
    given = next(iter(inputs.values())) if len(inputs) == 1 else inputs
    return keras.Model(given, outputs, name=path.resolve().name or "saved_model")


def _input(path: Path, name: str, spec: Any) -> Any:
    import keras

    if spec.shape.rank is None or spec.shape.rank == 0:
        shape = "of unknown rank" if spec.shape.rank is None else "a single value"
        raise TftraceError(f"{path}: its input {name} is {shape}; predict needs a batch of samples")
    size, *rest = spec.shape.as_list()
    return keras.Input(batch_shape=(size, *rest), dtype=spec.dtype.name, name=name)


def _signature_layer() -> Any:
    import keras

    class SavedModel(keras.layers.TFSMLayer):  # type: ignore[misc]
        """Gives a signature its inputs by name, as signatures take them."""

        def call(self, inputs: Any, training: bool = False) -> Any:
            """The signature's outputs by name."""
            return self.call_endpoint_fn(**inputs)

    return SavedModel
