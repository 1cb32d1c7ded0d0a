"""How tables look on a terminal."""

from __future__ import annotations

from rich.table import Table


def new_table(title: str) -> Table:
    """An empty table without lines, its title to the left."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 1),
    )
