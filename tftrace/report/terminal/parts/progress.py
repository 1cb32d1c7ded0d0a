"""One line per stage while measuring; silent when nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from tftrace.text import printable


@contextmanager
def stages(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Yields a function to call at each stage; it draws on stderr, and only on a terminal."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _: None
        return
    with console.status("") as status:

        def say(stage: str) -> None:
            status.update(Text(printable(stage) + " …"))

        yield say
