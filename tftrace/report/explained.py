"""Findings as parts of a report: a line each with its remedy, or all of what was seen and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tftrace.findings.basis.commands import preparation
from tftrace.report.findings import Group, grouped
from tftrace.report.sheet import EM, FAINT, Line
from tftrace.text import short_names

if TYPE_CHECKING:
    from tftrace.api.profile import Profile

_SHOWN = 5


def in_short(profile: Profile) -> Iterator[Line]:
    """One line per kind and its remedy; the costliest kinds of many."""
    groups = grouped(profile.findings)
    many = f"{len(groups)} finding{'' if len(groups) == 1 else 's'}"
    yield Line(f"{many} (--explain for causes)", EM)
    for number, group in enumerate(groups[:_SHOWN], start=1):
        yield Line(f"{number} {group.title}", indent=1)
        yield from (Line(remedy, indent=3) for remedy in group.remedies[:1])
        yield from (Line(command, indent=3, whole=True) for command in group.commands)
        yield from _before(group, profile.run)
    yield from _rest(groups)


def explained(profile: Profile) -> Iterator[Line]:
    """What was seen, why, and what to do, by kind, the largest first."""
    groups = grouped(profile.findings, short_names(list(profile.layers["path"])))
    yield Line("why time and multiplications disagree, and what would help", EM)
    yield from _in_full(groups, profile.run)
    if sum(group.saving_ms is not None for group in groups) > 1:
        yield Line("savings are per traced pass and may overlap", FAINT)


def of_memory(profile: Profile, explain: bool) -> Iterator[Line]:
    """What would lower the peak of the memory, the largest first; nothing where nothing would."""
    names = short_names(list(profile.layers["path"]))
    groups = grouped(profile.findings, names, memory=True)
    if not groups:
        return
    yield Line(f"what would lower the peak{'' if explain else ' (--explain for causes)'}", EM)
    if explain:
        yield from _in_full(groups, profile.run)
        return
    for number, group in enumerate(groups, start=1):
        yield Line(f"{number} {group.title}", indent=1)
        yield from (Line(item["text"], indent=3) for item in group.shown)


def _in_full(groups: list[Group], run: dict[str, Any]) -> Iterator[Line]:
    for number, group in enumerate(groups, start=1):
        yield Line(f"{number} {group.title}", indent=1)
        told = [item["text"] for item in group.shown] + ([group.rest] if group.rest else [])
        told += ["because: " + c for c in dict.fromkeys(f["cause"] for f in group.members)]
        told += ["remedy: " + remedy for remedy in group.remedies]
        yield from (Line(line, indent=3) for line in told)
        yield from (Line(command, indent=3, whole=True) for command in group.commands)
        yield from _before(group, run)


def disagreeing(profile: Profile) -> Iterator[Line]:
    """Why each layer takes far more of the time than of the multiplications."""
    names = short_names(list(profile.layers["path"]))
    yield Line("layers that take far more of the time than of the multiplications", EM)
    for row in profile.disagreements.to_dict(orient="records"):
        yield Line(f"{names[row['path']]}: {row['why']}", indent=1)


def _before(group: Group, run: dict[str, Any]) -> Iterator[Line]:
    steps = [preparation(command, run) for command in group.commands]
    yield from (Line(f"before that: {step}", FAINT, 3) for step in dict.fromkeys(steps) if step)


def _rest(groups: list[Group]) -> Iterator[Line]:
    if len(groups) > _SHOWN:
        kinds = ", ".join(group.kind for group in groups[_SHOWN:])
        yield Line(f"also: {kinds} (--explain tells)", FAINT, 1)
