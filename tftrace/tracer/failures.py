"""What a model's own failure on the data is told as: one line, with its cause."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from tftrace.errors import TftraceError

_FAILS = "fails on this data: "
_LONGEST = 300
_OWN = str(Path(__file__).parents[1])
# They stand around what Keras calls, and so at the end of the way, of which Keras hides its own.
_AROUND = {
    str(Path(__file__).parent / name)
    for name in ("graphs/recorder.py", "graphs/watching.py", "labeled.py", "state.py")
}
# Keras puts what was raised between its own words, in bold.
_BOLD = re.compile(r"\x1b\[1m(.*?)\x1b\[0m", re.DOTALL)
_NODE = re.compile(r"^(\{\{[^}]*\}\}\s*)+|\s*\[Op:\w+\].*$")
# A line of Python's or TensorFlow's way to the failure, and the code that follows it.
_WAY = re.compile(r'^[ \t]*File "[^"]*", line \d+.*\n(?:[ \t]+\S.*\n)?', re.MULTILINE)
_NOISE = (
    "Graph execution error",
    "Detected at node",
    "Traceback",
    "[[{{",
    "Stack trace",
    "<stack trace",
)


@contextmanager
def failures_explained(way: str = "predict") -> Iterator[None]:
    """Say in one line what TensorFlow says in many when a model that runs fails on the data.

    What the Python code of the model and its layers raises passes as it is.

    Raises:
        TftraceError: with the cause.
    """
    try:
        yield
    except tf.errors.OpError as error:
        raise TftraceError(f"model.{way} {_FAILS}{cause_of(error)}") from error


def explained(error: Exception) -> str | None:
    """In one line what the model's own code, Keras or TensorFlow raised while the model was called;
    None for what is no failure of theirs."""
    return f"the model {_FAILS}{cause_of(error)}" if _of_the_model(error) else None


def cause_of(error: Exception) -> str:
    """The part of a message of Keras or TensorFlow that names the cause, in one line."""
    text = str((isinstance(error, tf.errors.OpError) and error.message) or error)
    if isinstance(error, KeyError) and error.args:  # whose text is a representation
        text = str(error.args[0])
    bold = _BOLD.search(text)
    if bold:
        text = bold.group(1)
    lines = [line.strip() for line in _WAY.sub("", text + "\n").splitlines()]
    said = [line for line in lines if line and not line.startswith(_NOISE)]
    telling = [line for line in said if " = " in line or " must " in line] or said
    cause = _NODE.sub("", telling[0])[:_LONGEST] if telling else ""
    return cause or type(error).__name__


def _of_the_model(error: Exception) -> bool:
    """Whether it came through Keras and was raised by something else than tftrace."""
    files = []
    trace = error.__traceback__
    while trace is not None:
        files.append(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    files = [file for file in files if file not in _AROUND]
    return any(file.startswith(_keras()) for file in files) and not files[-1].startswith(_OWN)


def _keras() -> tuple[str, ...]:
    """The folders of Keras 3 and 2, as far as they are imported."""
    found = (sys.modules.get(name) for name in ("keras", "tf_keras"))
    return tuple(str(Path(m.__file__).parent) for m in found if m is not None and m.__file__)
