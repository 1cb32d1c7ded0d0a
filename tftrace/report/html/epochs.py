"""The epochs of ``fit`` on the page: a table of their parts."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tftrace.report.html.page import plain_table
from tftrace.text import ms_text


def epochs_of_fit(epochs: pd.DataFrame, of: str) -> dict[str, Any]:
    """The table **epochs** for the template; ``of`` says whose, in words."""
    text = {"epoch": _whole, "part": str, "calls": _whole, "ms": ("wall_ms", ms_text)}
    text |= {"median ms of a step": ("median_ms", ms_text)}
    text |= {"ms of the first step": ("first_ms", ms_text), "note": str}
    return plain_table(f"Epochs: {of}", epochs, text, "Together the parts are the whole fit.")


def _whole(value: Any) -> str:
    return f"{int(value):,}"
