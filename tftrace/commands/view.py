"""``tftrace view``."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import webbrowser
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated

import typer

from tftrace.commands.options import RunFolder, Salvage
from tftrace.errors import TftraceError


def view(
    run: RunFolder,
    browser: Annotated[
        bool, typer.Option(help="Open the page; --no-browser prints its path alone.")
    ] = True,
    salvage: Salvage = False,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard", help="Start TensorBoard on it, on 127.0.0.1; Ctrl-C ends it."
        ),
    ] = False,
) -> None:
    """Open the page of a run in a browser, and print its path; needs no TensorFlow."""
    if tensorboard:
        if salvage:
            raise TftraceError("--salvage is about the page; TensorBoard reads the trace itself")
        _tensorboard(run, browser)
        return
    from tftrace.api.load import open_any
    from tftrace.report.html.run import write_html

    folder = tempfile.mkdtemp(prefix="tftrace-view-")
    page = Path(folder) / "report.html"
    with ExitStack() as unfinished:
        unfinished.callback(shutil.rmtree, folder)
        write_html(open_any(run, None, salvage=salvage), page)
        unfinished.pop_all()
    print(page)
    if browser and _has_screen():
        webbrowser.open(page.as_uri())


def _tensorboard(path: Path, browser: bool) -> None:
    """Until somebody presses Ctrl-C, or it ends by itself."""
    from tftrace.report.tensorboard import OFFLINE, tensorboard
    from tftrace.report.terminal.parts.progress import note
    from tftrace.runs.find import find_trace

    trace = find_trace(path)
    # Here it is how one leaves, and not an interruption.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    note("starting TensorBoard, which takes some seconds; Ctrl-C ends it")
    with suppress(KeyboardInterrupt), tensorboard(trace) as (url, child):
        note(OFFLINE)
        print(url, flush=True)
        if browser and _has_screen():
            webbrowser.open(url)
        child.wait()


def _has_screen() -> bool:
    """Whether a browser would be seen: without a screen Python would start one in the terminal."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
