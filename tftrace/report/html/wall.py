"""Components of a window as a bar; the legend carries the figures, so color is not needed."""

from __future__ import annotations

from html import escape

import pandas as pd

from tftrace.text import ms_text, share_text


def wall_bar(wall: pd.DataFrame) -> str:
    """Rows of **wall** that sum to one window."""
    pieces, legend = [], []
    for place, (_, row) in enumerate(wall.iterrows()):
        share = 0.0 if pd.isna(row["wall_share"]) else float(row["wall_share"])
        told = f"{row['component']}: {ms_text(row['wall_ms'])} ms, {share_text(share)}"
        color = f"background:var(--c{place})"
        if share > 0:
            pieces.append(
                f'<div style="width:{100 * share:.3f}%;{color}" title="{escape(told)}"></div>'
            )
        legend.append(f'<li><i style="{color}"></i>{escape(told)}</li>')
    return (
        f'<div class="bar" aria-hidden="true">{"".join(pieces)}</div>'
        f'<ul class="legend">{"".join(legend)}</ul>'
    )
