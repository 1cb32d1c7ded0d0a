"""Where the data of a command comes from: a file, or a function of the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tftrace.errors import TftraceError
from tftrace.tracer.data.inputs import load_data, take
from tftrace.tracer.data.own_batches import has_own_batches, own_batches
from tftrace.tracer.loading.functions import result_of

OPTION = "--data-module"


def data_from(path: Path | None, function: str | None) -> Any:
    """The arrays of the file, or what the function returns; one of them is given.

    Raises:
        TftraceError: it does not load.
    """
    if function is not None:
        return result_of(OPTION, function)
    assert path is not None
    return load_data(path)


def alike(model: Any, data: Any, samples: int | None = None) -> Any:
    """Data that several models, or several passes, can be given alike.

    The batches of data that has its own are made once and kept in memory: nobody knows what a
    shuffle, say, makes of them next.

    Args:
        model: one of its Keras, if it is to keep batches.
        samples: the first so many; of data in batches of its own, whole batches.

    Raises:
        TftraceError: it has no batch, no end, or something else than arrays in it.
    """
    if has_own_batches(data):
        return own_batches(model, data, samples, keep=True).data
    return data if samples is None else take(data, samples)


@contextmanager
def about_data(path: Path | None, function: str | None) -> Iterator[None]:
    """Errors inside are about that data, and name it."""
    named = str(path) if path is not None else f"{OPTION} {function}"
    try:
        yield
    except TftraceError as error:
        if named in str(error):
            raise
        raise TftraceError(f"{named}: {error}") from error
