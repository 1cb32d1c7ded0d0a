"""Lines and tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tftrace.report.sheet import Cell, Column, Line, Part, Sheet

_EIGHTHS = " ▏▎▍▌▋▊▉█"


def draw(parts: Iterable[Part], console: Console) -> None:
    """Print the parts of a report.

    All of them are made before the first is printed: what cannot be read is an error, and not
    behind half a report.
    """
    for part in list(parts):
        if isinstance(part, Line):
            _line(part, console)
        else:
            console.print(table_of(part, console))


def _line(line: Line, console: Console) -> None:
    margin, text = " " * line.indent, Text(line.text, style=line.style)
    if line.whole:
        console.print(Text(margin) + text, soft_wrap=True)
        return
    for folded in text.wrap(console, console.width - line.indent) if line.text else [text]:
        folded.rstrip()
        console.print(Text(margin) + folded)


def table_of(sheet: Sheet, console: Console) -> Table:
    """The columns that there is room for."""
    shown = list(sheet.shown(console.width))
    blocks = console.encoding.startswith("utf")
    table = Table(
        title=Text(sheet.title, style="bold") if sheet.title else None,
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 1),
    )
    for n in shown:
        _add_column(table, sheet.columns[n])
    for row in sheet.rows:
        cells = (_cell(row.cells[n], sheet.columns[n], blocks) for n in shown)
        table.add_row(*cells, style=row.style or None)
    return table


def _add_column(table: Table, column: Column) -> None:
    table.add_column(
        Text(column.name),
        justify="right" if column.right and not column.bar else "left",
        no_wrap=not column.folds,
        overflow="fold" if column.folds else "ellipsis",
        max_width=column.most,
    )


def _cell(cell: Cell, column: Column, blocks: bool) -> Text:
    if isinstance(cell, str):
        return Text(cell)
    if not cell.text:
        return Text("")
    return Text(f"{cell.text:>5} {bar(cell.part or 0.0, column.bar, blocks)}")


def bar(part: float, width: int, blocks: bool = True) -> str:
    """A bar of ``part`` (0 to 1) of ``width`` characters, to the eighth of one.

    What is not nothing shows at least an eighth. Without ``blocks``, whole characters of ASCII.
    """
    if not blocks:
        return "#" * round(part * width)
    eighths = max(round(part * width * 8), 1 if part > 0 else 0)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")
