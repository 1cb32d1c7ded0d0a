"""Formats that are one file for another tool: a registry, one small function each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tftrace.files import replacing

if TYPE_CHECKING:
    from tftrace.api.profile import Profile

FileWriter = Callable[["Profile"], Iterator[str]]

FILES: dict[str, FileWriter] = {}
"""Writers by the format's name: each yields the file's text in parts."""


def file_format(name: str) -> Callable[[FileWriter], FileWriter]:
    """Register a writer of the format ``name``."""

    def register(writer: FileWriter) -> FileWriter:
        FILES[name] = writer
        return writer

    return register


def export_file(profile: Profile, format: str, output: Path) -> None:
    """Write a run in one of the formats of ``FILES``.

    Raises:
        TftraceError: ``output`` cannot be written, or the trace not read.
    """
    parts = list(FILES[format](profile))
    with replacing(output) as path, path.open("w", encoding="utf-8") as file:
        file.writelines(parts)


@file_format("markdown")
def _markdown(profile: Profile) -> Iterator[str]:
    """The report, for a pull request."""
    from tftrace.report.markdown import markdown
    from tftrace.report.terminal.run import report_parts

    yield markdown(report_parts(profile))
