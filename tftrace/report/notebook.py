"""What a notebook shows of each result: about ten lines, whatever the size of the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from tftrace.report.comparison import comparison_parts
from tftrace.report.counts import counts_parts
from tftrace.report.estimate import estimate_parts
from tftrace.report.findings import Group, grouped
from tftrace.report.foreign import ops_sheet
from tftrace.report.fragment import fragment
from tftrace.report.layer_rows import layers_sheet
from tftrace.report.sheet import EM, FAINT, WARN, Line, Part
from tftrace.report.verdict import verdict

if TYPE_CHECKING:
    from tftrace.api.profile import Profile
    from tftrace.comparison.compare import Comparison
    from tftrace.counts import Counts
    from tftrace.estimation.network import NetworkEstimate

_ROWS = 5
_KINDS = 3


def profile_html(profile: Profile) -> str:
    """The answer, what qualifies it, the longest layers, and the findings by kind."""
    return fragment(_profile(profile))


def counts_html(counts: Counts) -> str:
    """The layers with most multiplications, the totals, coverage and rule."""
    title = f"{counts.layers['path'].iloc[0]}, batch {counts.batch}" if len(counts.layers) else ""
    return fragment(counts_parts(counts, title, top=_ROWS, by_size=True))


def estimate_html(estimate: NetworkEstimate) -> str:
    """The total with its interval, and the longest layers."""
    layers = estimate.layers
    title = str(layers["path"].iloc[0]) if len(layers) else ""
    return fragment(estimate_parts(estimate, title, top=_ROWS))


def comparison_html(comparison: Comparison) -> str:
    """The verdict, what differs beside the models, and the layers that differ most."""
    return fragment(comparison_parts(comparison, _ROWS))


def _profile(profile: Profile) -> Iterator[Part]:
    found = verdict(profile)
    headline, shares, first = found.lines
    yield Line(headline, EM)
    yield Line(f"{shares} ({found.base})")
    yield Line(first)
    yield from (Line(note, WARN, 1) for note in (*profile.warnings, found.noise) if note)
    if len(profile.layers):
        sheet = layers_sheet(profile, found, top=_ROWS)
        yield replace(sheet, rows=sheet.rows[: min(_ROWS, len(profile.layers))])
    elif len(profile.ops):
        yield ops_sheet(profile.ops, _ROWS)
    groups = grouped(profile.findings)
    yield from (Line(_told(group)) for group in groups[:_KINDS])
    yield Line(_more(profile, groups), FAINT)


def _told(group: Group) -> str:
    """One kind of finding, with what would help the first of it."""
    return f"{group.title}: {(group.commands or group.remedies)[0]}"


def _more(profile: Profile, groups: list[Group]) -> str:
    rest = [group.kind for group in groups[_KINDS:]]
    also = f"Also: {', '.join(rest)}. " if rest else ""
    tables = ", ".join(f"profile.{name}" for name in profile.table_names[:2])
    return f"{also}More: print(profile), profile.findings, {tables}"
