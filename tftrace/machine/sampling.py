"""Time what a graph needs, piece by piece, once for each setting; keep it on disk."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple

import msgspec

from tftrace import cache
from tftrace.machine.bench.alone import NotTimedError, Unit, seconds_alone
from tftrace.machine.bench.timing import Measured, pooled
from tftrace.machine.setting import Setting
from tftrace.text import Stage

VERSION = 2
"""Counts up when pieces are timed another way: what was kept is then measured anew."""
_SECONDS_EACH = 0.25
_MOST_KEPT = 20_000
_CHECKED = 8
"""Kernels that a check of kept times runs: some 1 s."""
_HOLDS = 1.2
"""What kept and new may differ by: this much a shared machine drifts from minute to minute."""
_SLIGHT_SECONDS = 1e-4
"""In all, for which nothing is timed anew: a call of predict costs hundreds of times as much."""


def time_units(
    units: Iterable[Unit],
    setting: Setting,
    progress: Callable[[str], None] = lambda _: None,
    lanes: int = 1,
) -> dict[str, Measured]:
    """Seconds of one run of each unit, by its digest; without those that cannot be timed.

    Each is timed again when all others were, so that what disturbs the machine for a while does not
    hit it twice; what the two disagree by counts as its spread.

    Args:
        setting: of this process, which times are kept for.
        progress: called with a word where anything is to be measured.
        lanes: runs beside one another, which all end in those seconds.
    """
    wanted = {unit.digest: unit for unit in units}
    kept = _kept(setting)
    new = {digest: unit for digest, unit in wanted.items() if _key(digest, lanes) not in kept}
    if new:
        seconds = _SECONDS_EACH * len(new)
        how = "each alone" if lanes == 1 else f"{lanes} runs of each side by side"
        words = f"timing {len(new)} kernels of this model, {how}, some {seconds:.0f} s"
        progress(Stage(words, seconds, unplanned=True))
        first = {key: at for key, unit in new.items() if (at := _timed(unit, lanes)) is not None}
        for digest, once in first.items():
            kept[_key(digest, lanes)] = pooled([once, _timed(new[digest], lanes) or once])
        _keep(kept, setting)
    return {digest: kept[key] for digest in wanted if (key := _key(digest, lanes)) in kept}


def still_hold(units: Sequence[Unit], setting: Setting) -> bool:
    """Whether what is kept of ``units`` is what they take now; True where nothing is kept.

    Those that take most of their time together are timed once more. What was timed while the
    machine was busy, throttled, or shared would be wrong for good: both of its rounds agreed.

    Args:
        units: of a graph, each as often as it runs.
        setting: of this process.
    """
    kept = _kept(setting)
    wanted = {unit.digest: unit for unit in units}
    runs = Counter(unit.digest for unit in units if unit.digest in kept)
    costliest = sorted(runs, key=lambda digest: -runs[digest] * kept[digest].median)[:_CHECKED]
    before = after = 0.0
    for digest in costliest:
        now = _timed(wanted[digest], 1)
        if now is not None:
            before += runs[digest] * kept[digest].median
            after += runs[digest] * now.median
    if max(before, after) < _SLIGHT_SECONDS:
        return True
    return before <= _HOLDS * after and after <= _HOLDS * before


def forget_units(setting: Setting, units: Iterable[Unit] | None = None) -> None:
    """Time ``units``, or all there are, anew when they are asked for."""
    left: dict[str, Measured] = {}
    if units is not None:
        gone = {unit.digest for unit in units}
        left = {key: at for key, at in _kept(setting).items() if key.split()[0] not in gone}
    _keep(left, setting)


def _key(digest: str, lanes: int) -> str:
    return digest if lanes == 1 else f"{digest} x {lanes}"


def _timed(unit: Unit, lanes: int) -> Measured | None:
    import tensorflow as tf

    try:
        return seconds_alone(unit, lanes)
    except (NotTimedError, tf.errors.OpError):
        # What runs only on real data, a look-up in a table, say.
        return None


def _kept(setting: Setting) -> dict[str, Measured]:
    try:
        read = msgspec.json.decode(cache.read_kept(_name(setting)), type=dict[str, Measured])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        cache.warn_once(f"the kept times of single kernels are not used: {error}")
        return {}
    return read


def _keep(times: Mapping[str, Measured], setting: Setting) -> None:
    last = dict(list(times.items())[-_MOST_KEPT:])
    try:
        cache.keep(_name(setting), msgspec.json.encode(last))
    except OSError as error:
        cache.warn_once(f"the times of single kernels are not kept: {error}")


def _name(setting: Setting) -> str:
    key = json.dumps([VERSION, *astuple(setting)])
    return f"kernels-{hashlib.sha256(key.encode()).hexdigest()[:12]}.json"
