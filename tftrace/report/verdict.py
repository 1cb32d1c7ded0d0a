"""The answer in three lines: how long, where it goes, what to do first. Every report begins so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tftrace.attribution.rows import LAYERS, OUTSIDE_LAYERS
from tftrace.findings.basis.commands import preparation
from tftrace.report.facts import noise_text
from tftrace.report.findings import Group, grouped
from tftrace.report.largest import largest_share
from tftrace.text import ms_text, percentages, time_text
from tftrace.timeline.share_out import DISPATCH, EXECUTOR, LOOP, PIPELINE

if TYPE_CHECKING:
    import pandas as pd

    from tftrace.api.profile import Profile

OTHER = "other"
_SHORT = {
    OUTSIDE_LAYERS: "ops outside layers",
    EXECUTOR: "executor",
    PIPELINE: "input pipeline",
    DISPATCH: "dispatch",
    LOOP: "Keras loop",
}
_NAMED = 3
_LEAST = 0.05
_IQR_FROM = 4
_HOST = "/host:"


def short_component(name: str) -> str:
    """What a row of **wall** is called where there is little room."""
    return _SHORT.get(name, name)


@dataclass(frozen=True)
class Share:
    """A part of the wall: ``components`` are its rows of **wall**; ``share`` is 0 to 1, and the
    ``percent`` of all parts sum to 100."""

    name: str
    components: tuple[str, ...]
    ms: float
    share: float
    percent: int


@dataclass(frozen=True)
class Advice:
    """What to do first.

    Attributes:
        kind: that of the findings it is from.
        layers: the paths it is about; empty for the whole run.
        remedy: in words.
        command: a command line that runs when it is pasted; None where none does it.
        preparation: Python that has to run before; None where nothing has.
        saving_ms: of the traced pass; ``saving_share`` is that of the same pass, 0 to 1. Both are
            None where nothing is promised.
        sure: as in `Finding`.
    """

    kind: str
    layers: tuple[str, ...]
    remedy: str
    command: str | None
    preparation: str | None
    saving_ms: float | None
    saving_share: float | None
    sure: str

    @property
    def saving(self) -> str:
        """``about -41 ms (-14%)``; empty where nothing is promised."""
        if self.saving_ms is None or self.saving_share is None:
            return ""
        return f"about -{time_text(self.saving_ms)} (-{_percent(self.saving_share)})"

    def __str__(self) -> str:
        if self.command is None:
            return f"{self.remedy}; {self.saving}" if self.saving else self.remedy
        return f"{self.command}   {self.saving}".rstrip()


@dataclass(frozen=True)
class Verdict:
    """The three-line answer and what qualifies it.

    Attributes:
        model: its display name: the file, else the model's name.
        headline: ``0.10 ms per sample, 293 ms for 3,000 (IQR 34)``, in words where latency is not
            known.
        per_sample_ms, latency_ms, samples: its figures; None where not known.
        base: what the shares are of, in words; base_ms: how long that is.
        shares: they sum to the base; largest first, ``other`` last.
        explanation: what the largest share is; None for a trace from elsewhere.
        do_first: None where no finding says anything; ``nothing`` is then the reason.
        findings: how many there are, one per kind; ``findings_in_all`` counts each layer's.
        partial: which part of the data was traced, None for all of it.
        noise: what else the machine did, or that the passes spread too much; None where quiet.
        recorded: kernel executions in the trace over those expected; None where not known.
    """

    model: str
    headline: str
    per_sample_ms: float | None
    latency_ms: float | None
    samples: int | None
    base: str
    base_ms: float
    shares: tuple[Share, ...]
    explanation: str | None
    do_first: Advice | None
    nothing: str | None
    findings: int
    findings_in_all: int
    partial: str | None
    noise: str | None
    recorded: float | None

    @property
    def shares_text(self) -> str:
        """``55% layers · 20% input pipeline · 25% other``."""
        return " · ".join(f"{_whole(part)} {part.name}" for part in self.shares)

    def percent_of(self, component: str) -> str | None:
        """As `shares_text` has it; None of what is told together with others."""
        told = (_whole(part) for part in self.shares if part.components == (component,))
        return next(told, None)

    @property
    def lines(self) -> tuple[str, str, str]:
        """The answer as text, in any width that it needs."""
        first = f"Do first: {self.do_first}" if self.do_first else f"Do first: {self.nothing}"
        return f"{self.model}: {self.headline}", self.shares_text, first

    def __str__(self) -> str:
        return "\n".join(self.lines)


def verdict(profile: Profile) -> Verdict:
    """The answer that a run, or a trace from elsewhere, gives."""
    groups = grouped(profile.findings)
    base_ms = _base_ms(profile)
    advice = _advice(groups[0], profile.run, base_ms) if groups else None
    shares = _shares(_parts(profile))
    explanation = largest_share(profile, {p.components[0]: _whole(p) for p in shares})
    latency = None if profile.foreign else profile.latency["median_ms"]
    samples = profile.run["samples"]
    return Verdict(
        model=profile.model["source"] or profile.model["name"],
        headline=_headline(profile),
        per_sample_ms=latency / samples if latency is not None and samples else None,
        latency_ms=latency,
        samples=samples,
        base=_base(profile, base_ms),
        base_ms=base_ms,
        shares=shares,
        explanation=explanation,
        do_first=advice,
        nothing=None if advice else _nothing(profile, explanation),
        findings=len(groups),
        findings_in_all=sum(len(group.members) for group in groups),
        partial=_partial(profile),
        noise=None if profile.foreign else _noise(profile),
        recorded=_recorded(profile),
    )


def _headline(profile: Profile) -> str:
    if profile.foreign:
        devices = len(profile.wall["device"].unique())
        return (
            f"a trace taken elsewhere, {time_text(profile.window_ms)} on "
            f"{devices} device{'' if devices == 1 else 's'}; samples and latency are not known"
        )
    latency, samples = profile.latency, profile.run["samples"]
    median = latency["median_ms"]
    if median is None:
        traced, of = latency["traced_ms"], profile.run["trace"]["samples"]
        told = f"traced pass {time_text(traced)} for {of:,} samples; " if traced and of else ""
        return f"{told}latency was not measured"
    return (
        f"{time_text(median / samples)} per sample, {time_text(median)} for {samples:,}"
        f"{_spread(latency)}"
    )


def _spread(latency: dict[str, Any]) -> str:
    if latency["n"] < 2:
        return " (1 pass)"
    if latency["n"] < _IQR_FROM:
        low, high = min(latency["all_ms"]), max(latency["all_ms"])
        return f" ({ms_text(low)} to {ms_text(high)} in {latency['n']} passes)"
    return f" (IQR {ms_text(latency['iqr_ms'])})"


def _base_ms(profile: Profile) -> float:
    return profile.window_ms if profile.foreign else float(profile.wall["wall_ms"].sum())


def _base(profile: Profile, ms: float) -> str:
    if profile.foreign:
        return f"of a window of {time_text(ms)}{_where(profile)}"
    trace = profile.run["trace"]
    way = profile.way
    which = f"traced {way}" if trace["whole"] is not False else f"the {way} that was traced"
    return f"of {which}, {time_text(ms)}"


def _where(profile: Profile) -> str:
    planes = _planes(profile.wall)
    if len(planes) == 1:
        return f" on {planes[0].rpartition('/')[2].removeprefix('device:')}"
    return f" on each of {len(planes)} devices"


def _planes(wall: pd.DataFrame) -> list[str]:
    """Accelerators; the hosts where there are none."""
    planes = list(dict.fromkeys(wall["device"]))
    return [p for p in planes if not p.startswith(_HOST)] or planes


def _parts(profile: Profile) -> dict[str, float]:
    """ms per component; of a trace from elsewhere over all devices that the base speaks of."""
    wall = profile.wall
    if profile.foreign:
        wall = wall[wall["device"].isin(_planes(wall))]
        wall = wall.assign(wall_ms=wall["wall_ms"] / max(1, wall["device"].nunique()))
    parts: dict[str, float] = {}
    for name, ms in zip(wall["component"], wall["wall_ms"], strict=True):
        parts[name] = parts.get(name, 0.0) + float(ms)
    return parts


def _shares(parts: dict[str, float]) -> tuple[Share, ...]:
    """Layers and the largest others by name, the rest together."""
    whole = sum(parts.values())
    if not whole:
        return ()
    there = sorted((name for name in parts if parts[name] > 0), key=lambda n: -parts[n])
    least = _LEAST * whole
    named = [n for n in there if parts[n] >= least and n != LAYERS][:_NAMED]
    named = [n for n in there if n in named or n == LAYERS]
    rest = [n for n in there if n not in named]
    groups: list[tuple[str, tuple[str, ...]]] = [(short_component(n), (n,)) for n in named]
    if rest:
        name = short_component(rest[0]) if len(rest) == 1 else OTHER
        groups.append((name, tuple(rest)))
    ms = [sum(parts[n] for n in members) for _, members in groups]
    shares = [value / whole for value in ms]
    return tuple(
        Share(name, members, value, share, percent)
        for (name, members), value, share, percent in zip(
            groups, ms, shares, percentages(shares), strict=True
        )
    )


def _advice(group: Group, run: dict[str, Any], base_ms: float) -> Advice:
    first = next((f for f in group.members if f["saving_ms"] is not None), group.members[0])
    saving, command = group.saving_ms, first["command"]
    return Advice(
        kind=group.kind,
        layers=tuple(f["layer"] for f in group.members if f["layer"] is not None),
        remedy=first["remedy"],
        command=command,
        preparation=None if command is None else preparation(command, run),
        saving_ms=saving,
        saving_share=saving / base_ms if saving is not None and base_ms else None,
        sure=first["sure"] if saving is None else group.sure,
    )


def _nothing(profile: Profile, explanation: str | None) -> str:
    if profile.foreign:
        return "nothing can be said: a trace alone has no counts to compare its times with"
    if profile.no_findings is not None and explanation is not None:
        return f"no findings: {profile.no_findings}. {explanation[0].upper()}{explanation[1:]}"
    if explanation is None:
        return "nothing: no kernel of the model was recorded"
    return f"nothing found that would help. {explanation[0].upper()}{explanation[1:]}"


def _partial(profile: Profile) -> str | None:
    run, trace = profile.run, profile.run["trace"]
    if profile.foreign or trace["whole"] is not False:
        return None
    return f"traced: the first {trace['samples']:,} of {run['samples']:,} samples"


def _noise(profile: Profile) -> str | None:
    told = [profile.latency["warning"], noise_text(profile.run)]
    return "; ".join(each for each in told if each) or None


def _recorded(profile: Profile) -> float | None:
    recording = profile.recording
    if not recording["expected"] or recording["recorded"] is None:
        return None
    return float(recording["recorded"]) / float(recording["expected"])


def _whole(part: Share) -> str:
    return "<1%" if part.percent == 0 else f"{part.percent}%"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else f"{share:.1%}"
