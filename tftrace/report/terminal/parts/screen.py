"""Where everything that is printed goes through: names are text, and safe to show."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import IO

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment

from tftrace.text import printable


def screen(file: IO[str] | None = None, width: int | None = None, color: bool = True) -> Console:
    """A console that takes no name for markup or an emoji, and shows no control character.

    Args:
        file: where it writes; None for standard output.
        color: where the terminal has them. ``NO_COLOR`` forbids them, ``CLICOLOR_FORCE`` (but for
            0) wants them in a pipe too.
        width: in columns; None for 80 where ``file`` is no terminal, as people paste it into
            issues.
    """
    if width is None and not (file or sys.stdout).isatty():
        width = 80
    forced = os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0")
    console = Console(
        file=file,
        width=width,
        color_system="auto" if color else None,
        force_terminal=True if forced and color and not os.environ.get("NO_COLOR") else None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.push_render_hook(_Safe())
    return console


class _Safe(RenderHook):
    """Stands between what is printed and the console, so that no call can forget it."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Printable(part) for part in renderables]


@dataclass(frozen=True)
class _Printable:
    """What it wraps, without characters that a terminal would act on."""

    inner: ConsoleRenderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.inner, options):
            text, style, control = segment
            yield segment if control else Segment(printable(text), style)
