"""Findings grouped for the eye: one entry per kind, however many layers it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tftrace.text import bytes_text, ms_text

_ALONE = 3


@dataclass(frozen=True)
class Group:
    """Findings of one kind, the largest first.

    ``names`` are the short ones of layers, by path. ``saving_ms`` is the sum of what they
    promise, None when none promises anything.
    """

    kind: str
    members: list[dict[str, Any]]
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def saving_ms(self) -> float | None:
        """Sum over the members, per traced pass."""
        known = [f["saving_ms"] for f in self.members if f["saving_ms"] is not None]
        return sum(known) if known else None

    @property
    def saving_bytes(self) -> int | None:
        """The largest of the members': each says what the peak would be lower by without the
        others. None of what is about time."""
        known = [f["saving_bytes"] for f in self.members if f["saving_bytes"] is not None]
        return max(known, default=None)

    @property
    def name(self) -> str:
        """Kind, and number where there are several."""
        return f"{self.kind} ({len(self.members)} layers)" if len(self.members) > 1 else self.kind

    @property
    def title(self) -> str:
        """The name and what the remedy should save, with how that is known."""
        return f"{self.name}: {self._promise}"

    @property
    def commands(self) -> list[str]:
        """The command lines that do it or try it, each once."""
        return list(dict.fromkeys(f["command"] for f in self.members if f["command"]))

    @property
    def _promise(self) -> str:
        saving, lower = self.saving_ms, self.saving_bytes
        if lower is not None:
            return f"would lower the peak by about {bytes_text(lower)} ({self.sure})"
        if saving is None:
            return "no saving promised"
        return f"would save about {ms_text(saving)} ms ({self.sure})"

    @property
    def sure(self) -> str:
        """How the saving is known: the weakest of those that promise one, else of all."""
        savings = ("saving_ms", "saving_bytes")
        promising = [f for f in self.members if any(f[s] is not None for s in savings)]
        promising = promising or self.members
        known = {f["sure"] for f in promising}
        return next(s for s in ("heuristic", "modelled", "measured") if s in known)

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The members that are told in words: all of a few, the largest of many."""
        return self.members if len(self.members) <= _ALONE else self.members[:1]

    @property
    def rest(self) -> str:
        """The others in one sentence; empty when there are none."""
        others = self.members[len(self.shown) :]
        if not others:
            return ""
        spent = ms_text(sum(f["evidence"].get("ms", 0.0) for f in others)) + " ms"
        if self.saving_bytes is not None:
            spent = bytes_text(sum(f["evidence"]["bytes"] for f in others))
        paths = [str(f["layer"]) for f in others[:_ALONE]]
        names = [self.names.get(path, path.rpartition("/")[2]) for path in paths]
        more = " …" if len(others) > _ALONE else ""
        return f"Likewise {len(others)} more, {spent}: {', '.join(names)}{more}"

    @property
    def remedies(self) -> list[str]:
        """What to do, each once; of many layers the two most frequent."""
        each = [f["remedy"] for f in self.members]
        found = sorted(dict.fromkeys(each), key=lambda r: -each.count(r))
        return found if len(self.members) <= _ALONE else found[:2]


def grouped(
    findings: list[dict[str, Any]], names: Mapping[str, str] | None = None, memory: bool = False
) -> list[Group]:
    """One group per kind; the groups that promise most come first, then those about most time.

    Args:
        names: short ones of layers, by path; without them the last part of a path is taken.
        memory: those about memory, in place of those about time.
    """
    kinds: dict[str, list[dict[str, Any]]] = {}
    for item in findings:
        if (item["saving_bytes"] is not None) != memory:
            continue
        kinds.setdefault(item["kind"], []).append(item)
    groups = [Group(kind, members, names or {}) for kind, members in kinds.items()]
    return sorted(
        groups,
        key=lambda g: (
            -(g.saving_bytes or g.saving_ms or 0.0),
            -sum(f["evidence"].get("ms", 0.0) for f in g.members),
        ),
    )
