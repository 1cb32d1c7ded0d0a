"""Ways in a process of their own: TensorFlow takes its numbers of threads once in each.

The child is sent pickles: the recipe, what loads the model, and the data; then one request after
another, each of which it answers. It ends when nobody can ask any more, so with whoever started it.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import IO, Any

import tensorflow as tf

from tftrace.advice.recipe import Recipe
from tftrace.advice.variant import Variant, variant
from tftrace.errors import TftraceError

_NOT_PICKLED = (pickle.PicklingError, AttributeError, TypeError)
_ENDS_IN = 3.0
"""Seconds that the child has for what it is at when it is to end."""


def variant_in_a_process(
    recipe: Recipe, load: Callable[[], Any], data: Any, stack: ExitStack
) -> Variant:
    """`variant` in a process that has as many threads as ``recipe`` says.

    Args:
        load: makes the model; it can be pickled, so a function of a module, or a `partial` of one.
        stack: the process ends when it is closed.

    Raises:
        TftraceError: the model does not load there, or the recipe does not fit it, with the reason;
            from what is returned, what went wrong there.
    """
    try:
        loader = pickle.dumps(load)
    except _NOT_PICKLED as error:
        raise TftraceError(_does_not_load(error)) from error
    places = os.pathsep.join(path for path in sys.path if path)
    child = subprocess.Popen(
        [sys.executable, "-m", __name__],
        env=os.environ | {"PYTHONPATH": places},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    stack.callback(_end, child)
    ask = partial(_answer, child)
    ask(recipe, loader, data)
    return Variant(partial(ask, None), ask)


def _answer(child: subprocess.Popen[bytes], *asked: Any) -> Any:
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        for each in asked:
            pickle.dump(each, child.stdin, pickle.HIGHEST_PROTOCOL)
        child.stdin.flush()
        found, failed = pickle.load(child.stdout)
    except _NOT_PICKLED as error:
        raise TftraceError(f"its data cannot be sent to a process of its own: {error}") from error
    except (BrokenPipeError, EOFError) as error:
        raise TftraceError(f"its process ended with {child.wait()}") from error
    if failed is not None:
        raise TftraceError(failed)
    return found


def _end(child: subprocess.Popen[bytes]) -> None:
    for pipe in (child.stdin, child.stdout):
        assert pipe is not None
        with suppress(BrokenPipeError):  # of what it was still to be told
            pipe.close()
    try:
        child.wait(_ENDS_IN)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _does_not_load(error: Exception) -> str:
    return f"its numbers of threads need a process of their own, where it does not load: {error}"


def _serve(asked: IO[bytes], answers: IO[bytes]) -> None:
    """Answer what is asked until nobody asks."""
    with ExitStack() as stack:
        made, failed = _tried(partial(_prepared, asked, stack))
        _send((None, failed), answers)
        while made is not None:
            samples = pickle.load(asked)
            found = _tried(made.run if samples is None else partial(made.outputs, samples))
            _send(found if samples is not None else (None, found[1]), answers)


def _tried(make: Callable[[], Any]) -> tuple[Any, str | None]:
    """What it makes, and what went wrong, which whoever asked is told."""
    try:
        return make(), None
    except Exception as error:
        return None, str(error) or type(error).__name__


def _prepared(asked: IO[bytes], stack: ExitStack) -> Variant:
    recipe: Recipe = pickle.load(asked)
    loader, data = pickle.load(asked), pickle.load(asked)
    if recipe.intra_op_threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(recipe.intra_op_threads)
    if recipe.inter_op_threads is not None:
        tf.config.threading.set_inter_op_parallelism_threads(recipe.inter_op_threads)
    try:
        load = pickle.loads(loader)
    except (ImportError, AttributeError) as error:
        raise TftraceError(_does_not_load(error)) from error
    here = replace(recipe, intra_op_threads=None, inter_op_threads=None)
    return variant(here, load, data, stack)


def _send(answer: tuple[Any, str | None], answers: IO[bytes]) -> None:
    pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
    answers.flush()


def main() -> None:
    """The child: answers leave by what was standard output, and what else is printed does not."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asks is interrupted, too, and ends it
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with suppress(EOFError, BrokenPipeError):
        _serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
