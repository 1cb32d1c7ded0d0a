"""Cells of CSV files that a spreadsheet would not show but run."""

from __future__ import annotations

import re

import pandas as pd

# What makes a spreadsheet take a cell for a formula, unless a number follows.
_FORMULA = re.compile(r"[=@\t\r]|[+-](?!(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$)")


def harmless(table: pd.DataFrame) -> pd.DataFrame:
    """The table, with an apostrophe before each text that begins like a formula.

    Names of layers and ops come from files of strangers (OWASP, "CSV injection").
    """
    plain = table.copy()
    for name in plain.columns:
        column = plain[name]
        if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
            continue
        if column.map(_is_doubtful).any():
            plain[name] = column.map(lambda v: _shown(v) if _is_doubtful(v) else v)
    return plain


def _is_doubtful(value: object) -> bool:
    return isinstance(value, str) and ("\r" in value or _FORMULA.match(value) is not None)


def _shown(text: str) -> str:
    """A carriage return, which nothing puts into quotes, would begin a new row."""
    return ("'" if _FORMULA.match(text) else "") + text.replace("\r", "\n")
