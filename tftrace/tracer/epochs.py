"""What a ``fit`` spends its wall time on, epoch by epoch: its steps, and what lies around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import keras

from tftrace.tracer.fit_clock import FitClock
from tftrace.undo import MEASURING, Turn

CALLBACK_LIST = keras.callbacks.CallbackList
HOOKS = tuple(
    name
    for name in vars(CALLBACK_LIST)
    if name.startswith("on_") or name in ("set_model", "set_params")
)
"""What Keras calls of a list of callbacks, which hands it on to each."""

_CLOCKS: dict[int, FitClock] = {}
"""By thread."""


@contextmanager
def fit_timed() -> Iterator[FitClock]:
    """Time the ``fit`` that the block calls on its thread, where `hooked` replaces the hooks."""
    here, clock = get_ident(), FitClock()
    outer = _CLOCKS.get(here)

    def put_back() -> None:
        clock.stop()
        if outer is None:
            _CLOCKS.pop(here, None)
        else:
            _CLOCKS[here] = outer

    # A turn of its own: the caller's fit must not keep other threads from measuring.
    with Turn().undone(put_back):
        _CLOCKS[here] = clock
        yield clock


@contextmanager
def in_validation() -> Iterator[None]:
    """The block is an evaluation, of the ``fit`` that the thread is in, if of any."""
    clock = _CLOCKS.get(get_ident())
    if clock is None:
        yield
        return
    with clock.validating():
        yield


def hooked(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What takes the place of the method ``name`` of a ``CallbackList``, given the original."""

    def replaced(original: Callable[..., Any]) -> Callable[..., Any]:
        def hook(callbacks: Any, *args: Any, **keywords: Any) -> Any:
            clock = _CLOCKS.get(get_ident())
            if clock is None:
                return original(callbacks, *args, **keywords)
            given = args or tuple(keywords.values())
            return clock.hook(
                callbacks, name, given, lambda: original(callbacks, *args, **keywords)
            )

        return hook

    return replaced


@contextmanager
def hooks_replaced() -> Iterator[None]:
    """Let `fit_timed` see the hooks that run in the block."""
    originals = {name: vars(CALLBACK_LIST)[name] for name in HOOKS}

    def put_back() -> None:
        for name, original in reversed(originals.items()):
            setattr(CALLBACK_LIST, name, original)

    with MEASURING.undone(put_back):
        for name, original in originals.items():
            setattr(CALLBACK_LIST, name, hooked(name)(original))
        yield
