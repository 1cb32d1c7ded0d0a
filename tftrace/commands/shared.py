"""What several commands need."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tftrace.commands.options import MOST, Layout, Order, Sort
from tftrace.errors import TftraceError
from tftrace.files import STANDARD_OUTPUT, require_folder, require_writable
from tftrace.report.sheet import Line, Part

if TYPE_CHECKING:
    from rich.console import Console

    from tftrace.api.profile import Profile
    from tftrace.comparison.compare import Comparison

DEBUG_VARIABLE = "TFTRACE_DEBUG"


def debugging() -> bool:
    """Whether tracebacks and TensorFlow's own messages are wanted."""
    return bool(os.environ.get(DEBUG_VARIABLE))


def show(
    found: Profile,
    top: int,
    depth: int | None,
    sort: Sort,
    order: Order,
    json: Path | None,
    csv: Path | None,
    html: Path | None,
    quiet: bool,
    layout: Layout = Layout.text,
    verbose: bool = False,
    explain: bool = False,
    comparison: Comparison | None = None,
) -> None:
    """Write the files that were asked for, then print the report.

    Args:
        comparison: what to print behind it.
    """
    from tftrace.report.exports.tables import export_tables, write_json
    from tftrace.report.terminal.run import report_parts

    if json is not None:
        write_json(found, json)
    if csv is not None:
        export_tables(found, "csv", csv)
    if html is not None:
        from tftrace.report.html.run import write_html

        write_html(found, html)

    def parts() -> Iterator[Part]:
        yield from report_parts(
            found,
            top or None,
            depth,
            sort.value,
            order.value,
            verbose,
            explain,
            page=layout is Layout.text,
        )
        if comparison is not None:
            from tftrace.report.comparison import comparison_parts

            yield Line("")
            yield from comparison_parts(comparison)

    print_parts(parts, found.to_dict, layout, quiet or printing(json, csv, html))


def print_parts(
    parts: Callable[[], Iterable[Part]],
    data: Callable[[], dict[str, Any]],
    layout: Layout,
    quiet: bool,
) -> None:
    """Print a report in the layout that was asked for; ``data`` is what JSON has of it."""
    if quiet:
        return
    if layout is Layout.json:
        from tftrace.report.exports.tables import write_plain_json

        write_plain_json(data(), STANDARD_OUTPUT)
    elif layout is Layout.markdown:
        from tftrace.report.markdown import markdown

        sys.stdout.write(markdown(parts()))
    else:
        from tftrace.report.terminal.parts.draw import draw

        draw(parts(), console())


def printing(*files: Path | None) -> bool:
    """Whether one of the files is standard output, which has no room for a report then."""
    return STANDARD_OUTPUT in files


def check_targets(
    *files: Path | None, csv: Path | None = None, reads: Iterable[Path | None] = ()
) -> None:
    """Fail before anything is measured if what was asked for cannot be written.

    Args:
        files: each a file to write.
        csv: a folder to write into.
        reads: what the command reads, which would be lost if it were one of the files.

    Raises:
        TftraceError: a file cannot be written, or is named twice.
    """
    if (*files, csv).count(STANDARD_OUTPUT) > 1:
        raise TftraceError("standard output (-) takes one of the files only")
    targets = [file for file in files if file is not None and file != STANDARD_OUTPUT]
    for file in targets:
        require_writable(file)
    places = [file.resolve() for file in targets if file.is_file() or not file.exists()]
    read = {file.resolve() for file in reads if file is not None}
    for place in places:
        if place in read:
            raise TftraceError(f"{place} is read, and cannot be written over")
        if places.count(place) > 1:
            raise TftraceError(f"{place} cannot be two of the files that are written")
    if csv is not None and csv != STANDARD_OUTPUT:
        require_folder(csv)


def console() -> Console:
    """Standard output."""
    from tftrace.report.terminal.parts.screen import screen

    return screen()


def start_tensorflow() -> None:
    """Its start-up messages are about this machine's missing GPU, not about the user's model."""
    if not debugging():
        from tftrace.tracer.quiet import start_quietly

        start_quietly()


def check_data(data: Path | None, data_module: str | None) -> None:
    """Fail before TensorFlow starts if there is no data, or twice.

    Raises:
        TftraceError: neither or both are given.
    """
    if data is None and data_module is None:
        raise TftraceError(
            "no data: give a .npy or .npz file, or --data-module module:function (see --help)"
        )
    if data is not None and data_module is not None:
        raise TftraceError(f"give the data {data} or --data-module {data_module}, not both")


def batch_sizes(text: str, least: int = 1) -> list[int]:
    """Sizes from a text like ``1,8,32``, ascending, at least so many.

    Raises:
        TftraceError: the text is something else.
    """
    sizes = [int(part) if part.strip().isdecimal() else 0 for part in text.split(",")]
    if len(set(sizes)) < least or not all(0 < size <= MOST for size in sizes):
        wanted = "two sizes or more" if least > 1 else "a size, or several"
        raise TftraceError(f"--batch {text}: give {wanted}, as 1,8,32")
    return sorted(set(sizes))


def bytes_of(text: str) -> int:
    """Bytes from a text like ``8GiB`` or ``500 MB``; plain numbers are bytes.

    Raises:
        TftraceError: the text is something else.
    """
    found = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,15})?)\s*([kmgt]?)(i?)b?\s*", text.lower())
    size = 0
    if found is not None and (found[2] or not found[3]):
        base = 1024 if found[3] else 1000
        size = int(float(found[1]) * base ** " kmgt".index(found[2] or " "))
    if size == 0:
        raise TftraceError(f"{text!r} is no size; write it as 8GiB or 500MB")
    return size


def check_model_path(path: Path) -> None:
    """Fail on a mistyped path before TensorFlow takes its seconds to start."""
    if not os.path.exists(path):
        raise TftraceError(f"no model file {path}")
