"""TensorFlow's start without its messages about GPUs that nobody asked for."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


def start_quietly() -> None:
    """Import TensorFlow and Keras and find the devices, with stderr held back.

    TensorFlow's native code writes to stderr before any log level applies. If the start
    fails, what was held back is shown; not if it is interrupted.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _held_stderr():
        import keras  # noqa: F401
        import tensorflow as tf

        tf.config.list_logical_devices()


@contextmanager
def _held_stderr() -> Iterator[None]:
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
