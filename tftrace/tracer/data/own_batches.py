"""Data that comes in batches of its own: tf.data pipelines, PyDatasets (Sequences), generators.

Each pass is a fresh iteration of it. How many samples it holds nobody knows before, so it is gone
through once, without the model. A generator can be consumed only once: its batches are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from types import GeneratorType
from typing import Any

import keras
import tensorflow as tf

from tftrace.errors import TftraceError
from tftrace.tracer.data.arrays import as_fed, count_of, spec_of
from tftrace.tracer.failures import cause_of
from tftrace.tracer.keras_model import keras_of
from tftrace.tracer.state import chance_kept


@dataclass(frozen=True)
class OwnBatches:
    """The first batches of ``data``, which every pass takes again.

    ``sizes`` are the samples of each batch, ``spec`` describes the inputs in the first; ``labeled``
    inputs, labels and weights, if any, where labels were asked for.
    """

    data: Any
    sizes: tuple[int, ...]
    spec: Any
    labeled: Any = None

    @property
    def samples(self) -> int:
        """Number of samples."""
        return sum(self.sizes)

    def first(self, samples: int) -> OwnBatches:
        """The fewest batches that hold so many samples."""
        before = (0, *accumulate(self.sizes))
        enough = sum(start < samples for start in before[:-1])
        return replace(self, sizes=self.sizes[:enough])


def has_own_batches(x: Any) -> bool:
    """Whether the data comes in batches instead of as arrays that Keras cuts."""
    return isinstance(x, tf.data.Dataset | GeneratorType | OwnBatches) or _is_sequence(x)


@chance_kept()
def own_batches(
    model: Any,
    x: Any,
    samples: int | None,
    steps: int | None = None,
    *,
    keep: bool = False,
    labels: bool = False,
) -> OwnBatches:
    """Go through the data once.

    Args:
        samples: the least that is wanted, in whole batches; None for all.
        steps: the most batches.
        keep: have the batches that were made now in every pass, instead of fresh ones.
        labels: they are to have labels, too.

    Raises:
        TftraceError: it has no batch, no end, no labels where they are asked for, or something else
            than arrays in it, or its own code raises.
    """
    if isinstance(x, OwnBatches):
        return x
    if samples is None and steps is None and _is_endless(x):
        raise TftraceError("the data never ends; say how much of it with samples")
    kept: list[Any] | None = [] if keep or isinstance(x, GeneratorType) else None
    sizes: list[int] = []
    spec = labeled = None
    for batch in islice(_given(_batches(x)), steps):
        # Inputs, labels and weights come in a tuple.
        arrays = tf.nest.map_structure(as_fed, batch[0] if isinstance(batch, tuple) else batch)
        if not sizes:
            _check_batch(model, arrays)
            spec = tf.nest.map_structure(spec_of, arrays)
            labeled = _labeled_spec(batch) if labels else None
        there = [array for array in tf.nest.flatten(arrays) if array is not None]
        if not there:
            raise TftraceError(f"batch {len(sizes)} of the data has no array in it")
        sizes.append(count_of(there[0]))
        if kept is not None:
            kept.append(_as_tuple(batch))
        if samples is not None and sum(sizes) >= samples:
            break
    if not sum(sizes):
        raise TftraceError("the data has zero samples")
    return OwnBatches(x if kept is None else _sequence(model, kept), tuple(sizes), spec, labeled)


def _given(batches: Iterable[Any]) -> Iterator[Any]:
    """The batches; what the code that makes them raises is told as the data's."""
    try:
        yield from batches
    except Exception as error:
        raise TftraceError(f"the data raises {type(error).__name__}: {cause_of(error)}") from error


def _check_batch(model: Any, arrays: Any) -> None:
    """Whether a batch of the only input has samples first: a pipeline may give them one by one."""
    declared = list(getattr(model, "inputs", None) or [])
    if len(declared) != 1 or tf.nest.is_nested(arrays) or arrays is None:
        return
    wanted, got = len(declared[0].shape), len(arrays.shape)
    # Keras adds a last dimension of 1 where it is wanted.
    if got == wanted - 1 and declared[0].shape[-1] != 1:
        raise TftraceError(
            f"the data gives arrays of rank {got} and the model wants rank {wanted}: "
            "samples one by one, it seems; make batches of them (.batch(32) in tf.data)"
        )


def _labeled_spec(batch: Any) -> Any:
    """Describes inputs, labels and weights."""
    parts = _as_tuple(batch)
    if len(parts) < 2:
        raise TftraceError("the data's batches have no labels: give them as (inputs, labels)")
    return tf.nest.map_structure(lambda array: spec_of(as_fed(array)), parts)


def _as_tuple(batch: Any) -> tuple[Any, ...]:
    """Inputs, labels and weights as a PyDataset has to give them; of a generator a list will do,
    of a pipeline bare inputs."""
    return tuple(batch) if isinstance(batch, list | tuple) else (batch,)


def _batches(x: Any) -> Iterable[Any]:
    return (x[i] for i in _indices(x)) if _is_sequence(x) else x


def _indices(x: Any) -> Iterator[int]:
    count = _length(x)
    index = 0
    while count is None or index < count:
        yield index
        index += 1


def _length(x: Any) -> int | None:
    return x.num_batches if isinstance(x, keras.utils.PyDataset) else len(x)


def _is_endless(x: Any) -> bool:
    if isinstance(x, tf.data.Dataset):
        return bool(x.cardinality() == tf.data.INFINITE_CARDINALITY)
    return _is_sequence(x) and _length(x) is None


def _is_sequence(x: Any) -> bool:
    """Of Keras 3, or of Keras 2, which may not be there to ask."""
    names = {(c.__module__.partition(".")[0], c.__name__) for c in type(x).__mro__}
    return isinstance(x, keras.utils.PyDataset) or ("tf_keras", "Sequence") in names


def _sequence(model: Any, batches: list[Any]) -> Any:
    class Kept(keras_of(model).utils.Sequence):  # type: ignore[misc]
        """The batches of a generator, as often as wanted."""

        def __len__(self) -> int:
            return len(batches)

        def __getitem__(self, index: int) -> Any:
            return batches[index]

    return Kept()
