"""What the findings promised of a remedy, beside what it saved, and why the two differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tftrace.advice.attempts import Attempt
from tftrace.advice.trials import Trial
from tftrace.api.profile import Profile
from tftrace.graph.kernel_types import plain_type
from tftrace.text import ms_text

_NEAR = 0.3
"""Of what was saved: a promise that is no further from it was kept."""
_TELLS = 0.1
"""Of the difference: the least change of kernels of a type that is named."""
_MOST = 3
_CHANCE = "no more than chance explains"


@dataclass(frozen=True)
class Promise:
    """A remedy's, in ms of a pass over the data.

    Attributes:
        name: of the remedy.
        promised_ms: by the findings of the model as it is.
        saved_ms: measured; between ``low_ms`` and ``high_ms`` with 95 %.
        why: it differs from what was saved by more than 30 % of that; None where it does not.
    """

    name: str
    promised_ms: float
    saved_ms: float
    low_ms: float
    high_ms: float
    why: str | None


def promised(way: Attempt, findings: Sequence[Mapping[str, Any]], passes: float) -> float | None:
    """What the findings promise that the way keeps, ms of a pass over the data; None: nothing.

    Args:
        findings: of a traced pass.
        passes: such passes in one over the data, which may have more batches than were traced.
    """
    savings = [
        finding["saving_ms"]
        for finding in findings
        if finding["kind"] in way.promised_by and finding["saving_ms"] is not None
    ]
    return passes * sum(savings) if savings else None


def kept(
    base: Trial,
    trial: Trial,
    now: Mapping[str, float],
    then: Callable[[], Mapping[str, float] | None],
) -> Promise | None:
    """What became of the promise; None where there is none, or nothing to hold it against.

    Args:
        now, then: ms of a pass by type of kernel, of the model as it is and with the remedy; the
            second is asked for only where it explains something, and None where it cannot be
            traced.
    """
    if trial.promised_ms is None or trial.ratio is None or base.ms is None or trial.ms is None:
        return None
    saved = base.ms * (1 - trial.ratio.ratio)
    low, high = base.ms * (1 - trial.ratio.high), base.ms * (1 - trial.ratio.low)
    why = None
    if abs(trial.promised_ms - saved) > _NEAR * abs(saved):
        within = low <= trial.promised_ms <= high
        why = _CHANCE if within else _changes(trial.promised_ms - saved, now, then())
    return Promise(trial.name, trial.promised_ms, saved, low, high, why)


def kernels_by_type(profile: Profile, passes: float) -> dict[str, float]:
    """Wall time of the kernels of a pass over the data, ms, by type.

    Args:
        passes: traced ones in a pass over the data.
    """
    types = profile.ops["op_type"].map(plain_type)
    return dict(passes * profile.ops["wall_ms"].groupby(types).sum())


def _changes(apart: float, now: Mapping[str, float], then: Mapping[str, float] | None) -> str:
    """Which kernels take another time, those that change most first; and the rest."""
    if then is None:
        return "not known: this way cannot be traced"
    change = {kind: then.get(kind, 0.0) - now.get(kind, 0.0) for kind in {*now, *then}}
    most = sorted(change, key=lambda kind: -abs(change[kind]))[:_MOST]
    named = [kind for kind in most if abs(change[kind]) > _TELLS * abs(apart)]
    told = ", ".join(f"{kind} {_signed(change[kind])}" for kind in named)
    whole = f"kernels {_signed(sum(change.values()))} ms in all"
    return f"{whole}: {told}" if told else whole


def _signed(ms: float) -> str:
    return f"{'-' if ms < 0 else '+'}{ms_text(abs(ms))}"
