"""TensorFlow's start without its messages about GPUs that nobody asked for."""

from __future__ import annotations

import os

from tftrace.stderr import held_stderr


def start_quietly() -> None:
    """Import TensorFlow and Keras and find the devices, with stderr held back.

    TensorFlow's native code writes to stderr before any log level applies. If the start
    fails, what was held back is shown; not if it is interrupted.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with held_stderr():
        import keras  # noqa: F401
        import tensorflow as tf

        tf.config.list_logical_devices()
