"""Input batches for timing: what predict makes of arrays, without tf.data's autotuner."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def steady_batches(x: Any, batch_size: int) -> tf.data.Dataset:
    """The batches that ``model.predict(x, batch_size=batch_size)`` sees, for ``predict`` to take.

    Where predict on arrays ends it takes down its input pipeline, which waits, by chance, for
    tf.data's autotuner. That sleeps 10, 20, 40, … ms (kOptimizationPeriodMinMs, doubled each time
    in tensorflow/core/framework/model.cc), so that calls end at about 0.3, 0.65, 1.3, 2.6, … s
    whatever the network needs. This pipeline gathers batches as Keras's own does, of the same
    static shapes, and has no autotuner to wait for.

    Args:
        x: an array (dense or ragged), a structure of arrays of equal length, not empty, or None
            for some.
        batch_size: samples per batch; the last batch may have fewer.
    """
    arrays = _tuples(x)
    count = next(array.shape[0] for array in tf.nest.flatten(arrays) if array is not None)
    whole = count // batch_size * batch_size
    indices = tf.data.Dataset.from_tensor_slices(tf.reshape(tf.range(whole), (-1, batch_size)))
    if count > whole:
        indices = indices.concatenate(tf.data.Dataset.from_tensors(tf.range(whole, count)))

    def gather(at: Any, data: Any) -> Any:
        return (tf.nest.map_structure(lambda array: _gathered(array, at), data),)

    # As one element, not as constants of the function: a graph holds at most 2 GB.
    data = tf.data.Dataset.from_tensors(arrays).repeat()
    batches = tf.data.Dataset.zip((indices, data)).map(gather, num_parallel_calls=2).prefetch(2)
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def labeled_batches(x: Any, y: Any, batch_size: int) -> tf.data.Dataset:
    """The same with labels, for ``fit``."""
    return steady_batches((x, y), batch_size).map(lambda pair: pair)


def _tuples(x: Any) -> Any:
    """A list means a tensor to tf.data."""
    if isinstance(x, dict):
        return {name: _tuples(part) for name, part in x.items()}
    return tuple(_tuples(part) for part in x) if isinstance(x, list | tuple) else x


def _gathered(array: Any, at: Any) -> Any:
    return None if array is None else tf.gather(array, at)
