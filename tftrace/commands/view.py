"""``tftrace view``."""

from __future__ import annotations

import os
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from tftrace.commands.options import RunFolder, Salvage


def view(
    run: RunFolder,
    browser: Annotated[
        bool, typer.Option(help="Open the page; --no-browser prints its path alone.")
    ] = True,
    salvage: Salvage = False,
) -> None:
    """Open the page of a run in a browser, and print its path; needs no TensorFlow."""
    from tftrace.api.load import open_any
    from tftrace.report.html.run import write_html

    page = Path(tempfile.mkdtemp(prefix="tftrace-view-")) / "report.html"
    write_html(open_any(run, None, salvage=salvage), page)
    print(page)
    if browser and _has_screen():
        webbrowser.open(page.as_uri())


def _has_screen() -> bool:
    """Whether a browser would be seen: without a screen Python would start one in the terminal."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
