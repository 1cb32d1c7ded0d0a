"""Stages while something is measured: drawn on a terminal, a plain line each in a pipe."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from tftrace.text import Stage, printable

Say = Callable[[str], None]

_PER_SECOND = 8


@dataclass
class _State:
    """Where the command is.

    ``left`` are the seconds that were left when the stage ``words`` began, at ``since``.
    """

    count: int | None
    begun: float = field(default_factory=time.monotonic)
    number: int = 0
    words: str = ""
    since: float = 0.0
    left: float | None = None

    def enter(self, stage: str) -> bool:
        """Note what is told; whether it is a stage of its own."""
        known = stage if isinstance(stage, Stage) else Stage(stage)
        self.words, self.left, self.since = printable(stage), known.left, time.monotonic()
        if known.within:
            return False
        self.number += 1
        if self.count is not None:
            self.count = max(self.count + known.unplanned, self.number)
        return True

    def line(self) -> str:
        """``[3/9] 12 s: measuring latency, 5 passes, about 8 s left``."""
        of = "" if self.count is None else f"/{self.count}"
        now = time.monotonic()
        left = 0.0 if self.left is None else self.left - (now - self.since)
        told = f", about {_seconds(left)} left" if left >= 1 else ""
        return f"[{self.number}{of}] {_seconds(now - self.begun)}: {self.words}{told}"


def _seconds(value: float) -> str:
    minutes, seconds = divmod(round(value), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


@contextmanager
def stages(quiet: bool, count: int | None = None) -> Iterator[Say]:
    """Yields a function to call at each stage; it tells standard error.

    Args:
        quiet: tell nothing.
        count: of the stages to come; those that are ``unplanned`` come on top.
    """
    if quiet:
        yield lambda _: None
        return
    state = _State(count)
    with ExitStack() as opened:
        console = Console(file=opened.enter_context(_own_stderr()))
        if console.is_terminal:
            yield _drawn(console, state, opened)
            return

        def say(stage: str) -> None:
            if state.enter(stage):
                print(state.line(), file=sys.stderr, flush=True)

        yield say


def _drawn(console: Console, state: _State, opened: ExitStack) -> Say:
    spinner = Spinner("dots")

    def picture() -> Spinner:
        spinner.update(text=Text(state.line(), overflow="ellipsis", no_wrap=True))
        return spinner

    live = Live(
        get_renderable=picture, console=console, transient=True, refresh_per_second=_PER_SECOND
    )
    opened.enter_context(live)
    opened.callback(_lines_above.pop)
    _lines_above.append(lambda text: console.print(Text(text)))

    def say(stage: str) -> None:
        state.enter(stage)
        live.refresh()

    return say


_lines_above: list[Say] = []
"""What prints above the picture that is being drawn, if there is one."""


def note(line: str) -> None:
    """A line on standard error; above what is drawn there."""
    if _lines_above:
        _lines_above[-1](line)
    else:
        print(line, file=sys.stderr)


@contextmanager
def _own_stderr() -> Iterator[TextIO]:
    """Standard error by a descriptor of its own: that of the process points elsewhere while
    TensorFlow starts."""
    try:
        descriptor = os.dup(sys.stderr.fileno())
    except (OSError, AttributeError, ValueError):  # somebody's own stream, or closed
        yield sys.stderr
        return
    with open(descriptor, "w", encoding=sys.stderr.encoding, errors="replace") as own:
        yield own
