"""The report of a run: the answer, the layers, what would help; the rest where it is asked for."""

from __future__ import annotations

import io
from collections.abc import Iterator
from math import floor
from typing import TYPE_CHECKING, Any

from rich.console import Console

from tftrace.report.details import details, doubts, gaps
from tftrace.report.epochs import epochs_parts
from tftrace.report.explained import disagreeing, explained, in_short, of_memory
from tftrace.report.facts import what_ran
from tftrace.report.foreign import foreign_parts
from tftrace.report.input import input_sheet
from tftrace.report.layer_rows import layers_sheet
from tftrace.report.memory import memory_parts
from tftrace.report.place import page_command
from tftrace.report.primitives import primitives
from tftrace.report.sheet import BLANK, EM, FAINT, WARN, Line, Part
from tftrace.report.terminal.parts.draw import draw
from tftrace.report.terminal.parts.screen import screen
from tftrace.report.verdict import Verdict, verdict

if TYPE_CHECKING:
    from tftrace.api.profile import Profile


def render_text(profile: Profile, width: int = 80, **options: Any) -> str:
    """The report as plain text, ``width`` columns wide."""
    output = io.StringIO()
    print_report(profile, screen(output, width, color=False), **options)
    return output.getvalue()


def print_report(profile: Profile, console: Console, **options: Any) -> None:
    """Print the report; options as in `report_parts`."""
    draw(report_parts(profile, page=True, **options), console)


def report_parts(
    profile: Profile,
    top: int | None = 20,
    depth: int | None = None,
    sort: str = "time",
    order: str = "sorted",
    verbose: bool = False,
    explain: bool = False,
    page: bool = False,
) -> Iterator[Part]:
    """The parts of the report, the answer first.

    Args:
        top: rows of the layer table, None for all.
        depth: roll deeper layers up into their containers.
        sort: one of `layer_rows.SORTS`; ``order`` = ``run`` keeps the order of execution instead.
        verbose: latency, machine, versions, coverage and the rule of counting, too.
        explain: of the findings also what was seen, and why.
        page: end with the command that opens the page of the run, where its folder lasts.
    """
    warnings = profile.warnings  # an unreadable trace is an error, not half a report
    found = verdict(profile)
    yield from _answer(found)
    yield from (Line(warning, WARN, 2) for warning in warnings)
    if not verbose:
        yield from doubts(profile)
    if profile.foreign:
        yield Line(f"{profile.folder}; window: {profile.window}")
    yield BLANK
    if profile.foreign:
        yield from foreign_parts(profile, top)
    if len(profile.layers):
        yield layers_sheet(profile, found, top, depth, sort, order, verbose)
        if not verbose:
            yield from gaps(profile)
        yield BLANK
    if profile.own_pipeline:
        yield input_sheet(profile.input)
        yield BLANK
    if profile.epochs_of is not None:
        yield from epochs_parts(profile.epochs, profile.epochs_of)
        yield BLANK
    if profile.run["memory"]:
        yield from memory_parts(profile.memory)
        yield from of_memory(profile, explain)
        yield BLANK
    if found.explanation is not None and found.do_first is not None:
        yield Line(found.explanation)
    if profile.onednn is not None:
        yield BLANK
        yield from primitives(profile.onednn, profile.primitives)
    if found.findings:
        yield BLANK
        yield from (explained if explain else in_short)(profile)
    if explain and len(profile.disagreements):
        yield BLANK
        yield from disagreeing(profile)
    if verbose or profile.foreign:
        yield BLANK
        yield from details(profile)
    else:
        yield BLANK
        yield Line("; ".join(what_ran(profile.machine, sets=False)), FAINT)
    command = page_command(profile) if page else None
    if command is not None:
        yield Line(f"page: {command}", whole=True)


def _answer(found: Verdict) -> Iterator[Line]:
    headline, shares, first = found.lines
    yield Line(headline, EM)
    yield Line(shares)
    pasted = found.do_first is not None and found.do_first.command is not None
    yield Line(first, EM if found.do_first else "", whole=pasted)
    if found.do_first and found.do_first.preparation:
        yield Line(f"before that: {found.do_first.preparation}", FAINT, 2)
    if found.noise is not None:
        yield Line(found.noise, WARN, 2)
    if found.recorded is not None and found.recorded < 1:
        yield Line(
            f"{floor(100 * found.recorded)}% of the expected executions are in the trace: "
            "TensorFlow leaves out kernels that it considers cheap (--all-ops records them)",
            FAINT,
            2,
        )
