"""The registry of findings: one small function per rule, ranked by the time at stake."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing about a run.

    ``layer`` is a path of **layers** or None for the whole run, ``text`` one sentence with the
    evidence, ``cause`` why, ``remedy`` what to do. ``saving_ms`` is the time per pass that the
    remedy should save, None when nothing is promised; ``evidence`` are the figures in the text.
    """

    layer: str | None
    kind: str
    text: str
    cause: str
    remedy: str
    saving_ms: float | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


Rule = Callable[[Any], Iterable[Finding]]

_RULES: list[Rule] = []


def finding(rule: Rule) -> Rule:
    """Register ``rule``: it gets a Profile and yields Findings."""
    _RULES.append(rule)
    return rule


def find(profile: Any) -> list[dict[str, Any]]:
    """All findings of ``profile`` as plain dicts, the largest saving first."""
    found = [f for rule in _RULES for f in rule(profile)]
    found.sort(key=lambda f: -(f.saving_ms or 0.0))
    return [asdict(f) for f in found]
