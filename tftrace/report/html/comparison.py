"""The pages of a comparison and of a fold."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tftrace.report.comparison import comparison_parts
from tftrace.report.exports.tables import write_text
from tftrace.report.fold import outline
from tftrace.report.html.page import document, plain_table
from tftrace.report.html.pairs import two_sides
from tftrace.report.html.parts import lines_of
from tftrace.text import short_names

if TYPE_CHECKING:
    from tftrace.comparison.compare import Comparison
    from tftrace.folding.check import FoldOutcome

_BARS = 15


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write the page of a comparison.

    Raises:
        TftraceError: ``path`` cannot be written.
    """
    first, second = comparison.names
    title = f"{first} and {second}"
    write_text(path, _page(title, comparison, [], [], []))


def write_fold(outcome: FoldOutcome, path: Path) -> None:
    """Write the page of a fold: what was folded, what stays and why, and the comparison.

    Raises:
        TftraceError: ``path`` cannot be written.
    """
    result = outcome.result
    texts, warnings, _ = lines_of(outline(outcome))
    folded = pd.DataFrame(
        [
            {"batch norm": f.path, "into": ", ".join(f.into), "direction": f.direction}
            for f in result.folded
        ],
        columns=["batch norm", "into", "direction"],
    )
    kept = pd.DataFrame(
        [{"batch norm": k.path, "why": k.reason} for k in result.kept],
        columns=["batch norm", "why"],
    )
    tables = [
        plain_table(title, rows, dict.fromkeys(rows.columns, str))
        for title, rows in (("Folded", folded), ("Kept", kept))
        if len(rows)
    ]
    write_text(path, _page(outcome.saved.name, outcome.comparison, texts, warnings, tables))


def _page(
    title: str,
    comparison: Comparison | None,
    texts: list[str],
    warnings: list[str],
    tables: list[dict[str, Any]],
) -> str:
    charts: dict[str, Any] = {}
    if comparison is not None:
        more, doubts, sheets = lines_of(comparison_parts(comparison, None))
        texts, warnings, tables = texts + more, warnings + doubts, tables + sheets
        charts = {"pairs": _bars(comparison)}
    return document(
        f"{title}: tftrace",
        {},
        charts,
        name=title,
        verdict=texts,
        warnings=warnings,
        pairs_title="Layer by layer",
        pairs_note="The layers whose times differ most; a layer that a side lacks has no bar.",
        pairs_label="Time of each layer in A and in B; the table has the same figures",
        tables=tables,
        facts=[] if comparison is None else _facts(comparison),
    )


def _bars(comparison: Comparison) -> Any:
    layers = comparison.layers
    largest = layers["difference_ms"].abs().sort_values(ascending=False).index[:_BARS]
    shown = layers.loc[sorted(largest)]
    shown = shown[(shown["a_ms"].fillna(0) > 0) | (shown["b_ms"].fillna(0) > 0)]
    if not len(shown):
        return None
    names = short_names([str(path) for path in layers["path"]])
    told = list(dict.fromkeys(names[str(path)] or "(the model)" for path in shown["path"]))
    if len(told) < len(shown):
        # A side's layers may have one name with other layers of the other.
        told = [f"{names[str(row.path)]} ({row.side})" for row in shown.itertuples()]
    return two_sides(told, _us(shown["a_ms"]), _us(shown["b_ms"]), "us per sample")


def _us(values: pd.Series) -> list[float]:
    return [math.nan if pd.isna(value) else float(value) * 1e3 for value in values]


def _facts(comparison: Comparison) -> list[str]:
    told = []
    for letter, profile in zip("AB", comparison.profiles, strict=True):
        versions = ", ".join(f"{name} {version}" for name, version in profile.versions.items())
        told.append(f"{letter}: {profile.machine['cpu']}; {versions}")
    return told
