"""Parts of a report that a terminal would draw, as they stand on a page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tftrace.report.sheet import WARN, Line, Part, Sheet, text_of

_TO = "\N{NO-BREAK SPACE}→\N{NO-BREAK SPACE}"


def lines_of(parts: Iterable[Part]) -> tuple[list[str], list[str], list[dict[str, Any]]]:
    """Texts, warnings and tables for the template."""
    texts: list[str] = []
    warnings: list[str] = []
    tables: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, Sheet):
            tables.append(_table(part))
        elif isinstance(part, Line) and part.text:
            text = part.text.replace(" -> ", _TO)
            (warnings if part.style == WARN else texts).append(text)
    return texts, warnings, tables


def _table(sheet: Sheet) -> dict[str, Any]:
    rows = [
        [
            {
                "value": _value(text_of(cell)),
                "text": text_of(cell),
                "kind": "" if c.right else "text",
            }
            for cell, c in zip(row.cells, sheet.columns, strict=True)
        ]
        for row in sheet.rows
    ]
    names = [column.name for column in sheet.columns]
    return {"title": sheet.title, "note": "", "columns": names, "rows": rows, "more": ""}


def _value(text: str) -> str:
    """What the cell sorts by."""
    number = text.replace(",", "")
    for unit, factor in (("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)):
        if number.endswith(unit) and _is_number(number[:-1]):
            return str(float(number[:-1]) * factor)
    return "" if text == "–" else number


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace("-", "", 1).isdigit()
