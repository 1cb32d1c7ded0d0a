"""A trace from elsewhere as HTML: a bar per device, ops, replicas side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from tftrace.report.html.wall import wall_bar
from tftrace.text import ms_text

if TYPE_CHECKING:
    from tftrace.api.profile import Profile

_ROWS = 200


def foreign_sections(profile: Profile) -> Iterator[str]:
    """Devices and hosts, ops, and what several devices ran alike."""
    bars = (
        f"<h3>{escape(str(device))}</h3>\n{wall_bar(rows)}"
        for device, rows in profile.wall.groupby("device", sort=False)
    )
    yield "<h2>What each device and host did</h2>\n" + "\n".join(bars)
    if len(profile.ops):
        yield _table("Ops", profile.ops, ("op", "op_type", "device", "calls", "wall_ms"))
    if len(profile.replicas):
        columns = ("op", "devices", "min_ms", "median_ms", "max_ms", "slowest")
        yield _table("The same op on several devices", profile.replicas, columns)


def _table(title: str, rows: pd.DataFrame, columns: Sequence[str]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(row[name])}</td>" for name in columns) + "</tr>"
        for _, row in rows.head(_ROWS).iterrows()
    )
    more = len(rows) - _ROWS
    rest = f'<p class="dim">{more} more rows are in the CSV and JSON files.</p>' if more > 0 else ""
    return (
        f'<h2>{title}</h2>\n<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{rest}"
    )


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if pd.isna(value) else ms_text(value)
    return escape(str(value))
