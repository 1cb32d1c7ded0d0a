"""What a report is made of before it is drawn: lines and tables, on a terminal or in Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Line:
    """One line of text; a terminal folds it, ``indent`` columns in.

    ``whole`` keeps it in one, whatever the width: what is pasted must not have a line break.
    """

    text: str
    style: str = ""
    indent: int = 0
    whole: bool = False


@dataclass(frozen=True)
class Barred:
    """A share in words with a bar behind it; ``part`` is its length, 0 to 1 of the longest."""

    text: str
    part: float | None


Cell: TypeAlias = str | Barred


@dataclass(frozen=True)
class Column:
    """A heading.

    Attributes:
        right: numbers stand to the right.
        folds: folds what is longer than there is room for, which is cut otherwise.
        most: characters of the cells.
        bar: characters of the longest bar.
        least: columns that a terminal must have to show it.
    """

    name: str
    right: bool = True
    folds: bool = False
    most: int | None = None
    bar: int = 0
    least: int = 0


@dataclass(frozen=True)
class Row:
    """Cells, as many as there are columns."""

    cells: tuple[Cell, ...]
    style: str = ""


@dataclass(frozen=True)
class Sheet:
    """A table."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def shown(self, width: int) -> Iterator[int]:
        """The columns that a terminal of that width has room for, by their number."""
        return (n for n, column in enumerate(self.columns) if column.least <= width)


Part: TypeAlias = Line | Sheet

BLANK = Line("")
EM = "bold"
WARN = "yellow"
GOOD = "green"
FAINT = "dim"
MARKED = "red"


def text_of(cell: Cell) -> str:
    """The cell without its bar."""
    return cell if isinstance(cell, str) else cell.text
