"""Lines and tables in Markdown, for an issue or a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tftrace.report.sheet import EM, Line, Part, Sheet, text_of
from tftrace.text import printable

_WIDTH = 100
"""Columns that only wider terminals show are left out."""

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


def markdown(parts: Iterable[Part]) -> str:
    """The report; names of layers are text, whatever characters they have."""
    lines = [line for part in parts for line in _lines(part)]
    kept = [line for n, line in enumerate(lines) if line or (n and lines[n - 1])]
    return "\n".join(kept) + "\n"


def _lines(part: Part) -> Iterator[str]:
    if isinstance(part, Line):
        yield from _line(part)
        return
    yield from _table(part)


def _line(line: Line) -> Iterator[str]:
    """A paragraph; what is indented is a list."""
    text = escaped(line.text)
    if line.indent:
        yield f"{' ' * (line.indent - 1)}- {text}"
        return
    yield ""
    yield f"**{text}**" if line.style == EM and text else text
    yield ""


def _table(sheet: Sheet) -> Iterator[str]:
    shown = list(sheet.shown(_WIDTH))
    columns = [sheet.columns[n] for n in shown]
    yield ""
    yield from (f"**{escaped(sheet.title)}**", "") if sheet.title else ()
    yield _row([escaped(column.name) for column in columns])
    yield _row(["--:" if column.right else ":--" for column in columns])
    for row in sheet.rows:
        yield _row([escaped(text_of(row.cells[n])) for n in shown])
    yield ""


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", printable(" ".join(text.split())))
