"""The registry of findings: one small function per rule, ranked by the time at stake."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from tftrace.findings.basis.commands import complete
from tftrace.findings.basis.evidence import Evidence
from tftrace.findings.basis.figures import kernels, settled_ms
from tftrace.runs.names import way_of

Sure: TypeAlias = Literal["measured", "modelled", "heuristic"]


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing about a run.

    Attributes:
        layer: a path of **layers**, or None for the whole run.
        kind: the rule's subject; findings of one kind have one cause.
        text: what was seen, with the figures.
        cause: why.
        remedy: what to do.
        evidence: the figures; with ``ms``, the time at stake per traced pass.
        saving_ms: time per traced pass that the remedy should save; None: nothing is promised.
        sure: how the saving (without one, the finding) is known: ``measured`` is time of this
            run that the remedy removes, ``modelled`` is computed from such times, ``heuristic``
            holds as a rule and has to be tried.
        saving_bytes: by how much the peak of the memory would be lower, of a finding about memory,
            whose evidence has ``bytes`` at stake in place of ``ms``; None of one about time.
        command: the remedy, or the try of it, as a command line for `basis.commands.complete`;
            None where no command of tftrace does it.
    """

    layer: str | None
    kind: str
    text: str
    cause: str
    remedy: str
    evidence: dict[str, Any]
    saving_ms: float | None = None
    sure: Sure = "heuristic"
    command: str | None = None
    saving_bytes: int | None = None


Rule = Callable[[Evidence], Iterable[Finding]]

_RULES: list[Rule] = []
_OF_FIT: list[Rule] = []
_OF_MEMORY: list[Rule] = []

_MIN_OF_WALL = 1e-3
_MIN_OF_LAYERS = 1e-2


def finding(rule: Rule) -> Rule:
    """Register ``rule``: it gets a Profile and yields Findings."""
    _RULES.append(rule)
    return rule


def finding_of_fit(rule: Rule) -> Rule:
    """Register ``rule``, which is about ``fit``; the others are about ``predict``."""
    _OF_FIT.append(rule)
    return rule


def finding_of_memory(rule: Rule) -> Rule:
    """Register ``rule``, which is about the memory of a step, of ``predict`` and of ``fit``; it
    finds nothing where that was not noted, and leaves out what is too small to tell."""
    _OF_MEMORY.append(rule)
    return rule


def candidates(profile: Evidence) -> list[Finding]:
    """What every rule has to say about ``profile``, however small."""
    rules = _OF_FIT if way_of(str(profile.run.get("call"))) == "fit" else _RULES
    return [f for rule in rules for f in rule(profile)] if len(profile.layers) else []


def find(profile: Evidence) -> list[dict[str, Any]]:
    """All findings of ``profile`` as plain dicts: the largest saving first, then the most time;
    those about memory behind those about time.

    A kind about less than a thousandth of the wall time, or a hundredth of the layers' time if it
    is about layers, is left out: over all its findings, for a model may have a hundred small ones.
    """
    found = candidates(profile)
    at_stake: dict[str, float] = {}
    for f in found:
        at_stake[f.kind] = at_stake.get(f.kind, 0.0) + f.evidence["ms"]
    wall, layers = float(profile.wall["wall_ms"].sum()), settled_ms(kernels(profile))
    kept = [
        f
        for f in found
        if at_stake[f.kind] >= _MIN_OF_WALL * wall
        and (f.layer is None or at_stake[f.kind] >= _MIN_OF_LAYERS * layers)
    ]
    kept.sort(key=lambda f: (-(f.saving_ms or 0.0), -f.evidence["ms"]))
    kept += of_memory(profile)
    return [asdict(f) | {"command": complete(f.command, profile.run)} for f in kept]


def of_memory(profile: Evidence) -> list[Finding]:
    """The findings about the peak of the memory, the largest saving first."""
    found = [f for rule in _OF_MEMORY for f in rule(profile)] if len(profile.buffers) else []
    return sorted(found, key=lambda f: -(f.saving_bytes or 0))
