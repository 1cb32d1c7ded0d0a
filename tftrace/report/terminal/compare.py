"""A comparison on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from tftrace.report.comparison import comparison_parts
from tftrace.report.terminal.parts.draw import draw

if TYPE_CHECKING:
    from tftrace.comparison.compare import Comparison


def print_comparison(comparison: Comparison, console: Console, top: int | None = 15) -> None:
    """Verdict, medians, the layers that differ most, and kernels added or removed."""
    draw(comparison_parts(comparison, top), console)
