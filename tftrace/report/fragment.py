"""Lines and tables as a piece of HTML without scripts: what a notebook shows of an object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from markupsafe import Markup, escape

from tftrace.report.sheet import EM, FAINT, WARN, Barred, Cell, Column, Line, Part, Row, Sheet
from tftrace.text import printable

_WIDTH = 80
"""Columns that only wider terminals show are left out."""
_STYLES = {EM: "font-weight:bold", FAINT: "opacity:.7", WARN: "border-left:3px solid #d9822b"}
_BAR = "display:inline-block;height:.6em;background:#0b6bcb;margin-left:.4em"


def fragment(parts: Iterable[Part]) -> str:
    """The parts in one ``<div>``; names of layers are text, whatever characters they have."""
    inner = Markup("").join(Markup("").join(_part(part)) for part in parts)
    return str(Markup("<div>{}</div>").format(inner))


def _part(part: Part) -> Iterator[Markup]:
    if isinstance(part, Sheet):
        yield _table(part)
    elif part.text:
        yield _line(part)


def _line(line: Line) -> Markup:
    style = f"margin:.15em 0 .15em {line.indent}em;{_STYLES.get(line.style, '')}"
    text = printable(line.text)
    told = Markup("<code>{}</code>").format(text) if line.whole else escape(text)
    return Markup('<p style="{}">{}</p>').format(style, told)


def _table(sheet: Sheet) -> Markup:
    shown = list(sheet.shown(_WIDTH))
    columns = [sheet.columns[n] for n in shown]
    head = Markup("").join(
        Markup('<th style="text-align:{}">{}</th>').format(_side(c), c.name) for c in columns
    )
    body = Markup("").join(_row(row, shown, columns) for row in sheet.rows)
    title = Markup("<caption>{}</caption>").format(sheet.title) if sheet.title else ""
    return Markup("<table>{}<thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(
        title, head, body
    )


def _row(row: Row, shown: list[int], columns: list[Column]) -> Markup:
    cells = (
        Markup('<td style="text-align:{}">{}</td>').format(_side(column), _cell(row.cells[n]))
        for n, column in zip(shown, columns, strict=True)
    )
    return Markup("<tr>{}</tr>").format(Markup("").join(cells))


def _side(column: Column) -> str:
    return "right" if column.right and not column.bar else "left"


def _cell(cell: Cell) -> Markup:
    if isinstance(cell, Barred):
        bar = Markup('<span style="{};width:{:.2f}em"></span>').format(_BAR, 4 * (cell.part or 0))
        return escape(printable(cell.text)) + (bar if cell.part else "")
    return escape(printable(cell))
