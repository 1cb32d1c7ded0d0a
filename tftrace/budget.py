"""Limits on a run, read from TOML, and the rows that break them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tftrace.errors import TftraceError
from tftrace.tables.frame import total

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from tftrace.api.profile import Profile

LATENCY = ("median_ms", "min_ms", "traced_ms")
COUNTS = ("mults", "macs", "flops", "params", "mults_backward", "macs_backward")
MEMORY = ("peak_bytes",)
RELATIVE = "relative"
_OF_MEMORY = "held_at_peak_bytes"
_LAYER_MAX = {
    "max_ms": "wall_ms",
    "max_forward_ms": "forward_ms",
    "max_backward_ms": "backward_ms",
    "max_optimizer_ms": "optimizer_ms",
    "max_share": "share",
    "max_mults": "mults",
    "max_macs": "macs",
    "max_macs_backward": "macs_backward",
    "max_held_at_peak_bytes": _OF_MEMORY,
}
_LAYER_MIN = {"min_roof_share": "roof_share"}
_SELECT = ("path", "type")
KEYS: dict[str, tuple[str, ...]] = {
    "latency": (*LATENCY, RELATIVE),
    "counts": COUNTS,
    "memory": MEMORY,
    "layer": (*_SELECT, *_LAYER_MAX, *_LAYER_MIN, RELATIVE),
}
"""What each table may have; ``[wall]`` has components as keys."""
_TABLES = ("[latency]", "[counts]", "[memory]", "[wall]", "[[layer]]")
_LARGEST = 1e300


@dataclass(frozen=True)
class Breach:
    """One broken limit: what it is on, the rule, the limit, and what was found instead.

    ``actual`` is None when the run does not know the figure: an unknown is no pass.
    """

    subject: str
    rule: str
    limit: float
    actual: float | None


def read_budget(path: Path) -> dict[str, Any]:
    """The budget in the TOML file at ``path``.

    Raises:
        TftraceError: missing, not TOML, without a limit, or as `check_budget` says.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TftraceError(f"no budget file {path}") from None
    except OSError as error:
        raise TftraceError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise TftraceError(f"{path} is not TOML: {error}") from error
    try:
        check_budget(data)
    except TftraceError as error:
        raise TftraceError(f"{path}: {error}") from error
    if not data:
        raise TftraceError(f"{path} sets no limit; it may have {', '.join(_TABLES)}")
    return data


def check_budget(data: dict[str, Any]) -> None:
    """Refuse what no rule reads: a mistyped limit would pass for ever.

    Raises:
        TftraceError: an unknown table or key, a table in the wrong form, one without a limit, or a
            limit that is no finite number; what is allowed is named.
    """
    for table, content in data.items():
        name = next((shown for shown in _TABLES if shown.strip("[]") == table), None)
        if name is None:
            raise TftraceError(f"[{table}] is no part of a budget; known: {', '.join(_TABLES)}")
        rules = content if name.startswith("[[") and isinstance(content, list) else [content]
        if not rules or (name.startswith("[[") and not isinstance(content, list)):
            raise TftraceError(f"{table} must be written as {name}, with {_allowed(table)}")
        for rule in rules:
            if not isinstance(rule, dict):
                raise TftraceError(f"{table} must be written as {name}, with {_allowed(table)}")
            _check_rule(name, table, rule)


def _check_rule(name: str, table: str, rule: dict[str, Any]) -> None:
    for key, value in rule.items():
        if table != "wall" and key not in KEYS[table]:
            raise TftraceError(f"{name} has an unknown key {key!r}; known: {_allowed(table)}")
        if table == "layer" and key in _SELECT:
            if not isinstance(value, str) or not value:
                raise TftraceError(f"{name} {key} must be a text, not {value!r}")
        elif not _is_limit(value):
            raise TftraceError(f"{name} {key} must be a number, not {value!r}")
    if not set(rule) - set(_SELECT):
        raise TftraceError(f"{name} sets no limit; it may have {_allowed(table)}")


def _allowed(table: str) -> str:
    return ", ".join(KEYS[table]) if table in KEYS else "components of wall as keys"


def _is_limit(value: Any) -> bool:
    """A finite number: whatever is compared with NaN or infinity passes."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) < _LARGEST


def check(
    profile: Profile, budget: dict[str, Any], baseline: Profile | None = None
) -> list[Breach]:
    """Every limit of ``budget`` that ``profile`` breaks.

    Args:
        budget: as :func:`read_budget` gives.
        baseline: the run that ``relative`` limits refer to.

    Raises:
        TftraceError: a relative limit without a baseline, a rule that matches no layer, or an
            unknown component of wall.
    """
    rules: tuple[Callable[..., Iterator[Breach]], ...] = (
        _latency,
        _counts,
        _memory,
        _wall,
        _layers,
    )
    return [breach for rule in rules for breach in rule(profile, budget, baseline)]


def _latency(
    profile: Profile, budget: dict[str, Any], baseline: Profile | None
) -> Iterator[Breach]:
    limits = budget.get("latency", {})
    for key in LATENCY:
        if key in limits:
            yield from _at_most("latency", key, limits[key], profile.latency[key])
    if RELATIVE in limits:
        before = _need(baseline).latency["median_ms"]
        now = profile.latency["median_ms"]
        ratio = None if now is None or not before else now / before
        yield from _at_most(
            "latency", "median_ms relative to the baseline", limits[RELATIVE], ratio
        )


def _counts(profile: Profile, budget: dict[str, Any], _: Profile | None) -> Iterator[Breach]:
    for key, limit in budget.get("counts", {}).items():
        actual = total(profile.layers[key]) if key in profile.layers else None
        yield from _at_most("the model", f"{key} per sample", limit, actual)


def _memory(profile: Profile, budget: dict[str, Any], _: Profile | None) -> Iterator[Breach]:
    for key, limit in budget.get("memory", {}).items():
        yield from _at_most("the model", key, limit, total(profile.memory[_OF_MEMORY]))


def _wall(profile: Profile, budget: dict[str, Any], _: Profile | None) -> Iterator[Breach]:
    shares = dict(zip(profile.wall["component"], profile.wall["wall_share"], strict=True))
    for component, limit in budget.get("wall", {}).items():
        if component not in shares:
            raise TftraceError(f"[wall] {component!r} is none of {', '.join(shares)}")
        yield from _at_most(component, "share of the wall", limit, float(shares[component]))


def _layers(profile: Profile, budget: dict[str, Any], baseline: Profile | None) -> Iterator[Breach]:
    rules = budget.get("layer", [])
    layers = _with_share(profile)
    if any(_LAYER_MAX.get(key) == _OF_MEMORY for rule in rules for key in rule):
        layers = layers.merge(profile.memory[["path", _OF_MEMORY]], how="left", on="path")
    for rule in rules:
        mine = _select(layers, rule)
        if mine.empty:
            wanted = ", ".join(f"{k}={rule[k]}" for k in _SELECT if k in rule)
            raise TftraceError(f"a [[layer]] rule matches no layer: {wanted or rule}")
        # A rule with a path speaks of each layer, one with a type alone of all of them together.
        groups = [(path, mine[mine["path"] == path]) for path in mine["path"]]
        if "path" not in rule:
            groups = [(f"all {rule.get('type', 'layers')}", mine)]
        for subject, group in groups:
            yield from _layer(subject, group, rule, baseline)


def _layer(
    subject: str, group: pd.DataFrame, rule: dict[str, Any], baseline: Profile | None
) -> Iterator[Breach]:
    for key, column in _LAYER_MAX.items():
        if key in rule:
            actual = total(group[column]) if column in group else None
            yield from _at_most(subject, key, rule[key], actual)
    for key, column in _LAYER_MIN.items():
        if key in rule:
            actual = _lowest(group, column)
            if actual is None or actual < rule[key]:
                yield Breach(subject, key, rule[key], actual)
    if RELATIVE in rule:
        before = _with_share(_need(baseline))
        same = before[before["path"].isin(group["path"])]
        now, then = group["sample_ms"].sum(), same["sample_ms"].sum()
        ratio = float(now / then) if then else None
        yield from _at_most(subject, "time relative to the baseline", rule[RELATIVE], ratio)


def _lowest(group: pd.DataFrame, column: str) -> float | None:
    """Least of the layers that do any work; None when one of them is unknown, or none works."""
    idle = (group["macs"] == 0) & (group["bytes"] == 0)
    values = group.loc[~idle.fillna(False), column]
    return None if not len(values) or values.isna().any() else float(values.min())


def _with_share(profile: Profile) -> pd.DataFrame:
    layers = profile.layers
    return layers.assign(
        share=layers["wall_ms"] / layers["wall_ms"].sum(),
        sample_ms=layers["wall_ms"] / profile.run["trace"]["samples"],
    )


def _select(layers: pd.DataFrame, rule: dict[str, Any]) -> pd.DataFrame:
    keep = pd.Series(True, index=layers.index)
    if "path" in rule:
        keep &= layers["path"].map(lambda path: fnmatchcase(path, rule["path"]))
    if "type" in rule:
        keep &= layers["type"] == rule["type"]
    return layers[keep]


def _at_most(subject: str, rule: str, limit: float, actual: float | None) -> Iterator[Breach]:
    if actual is None or actual > limit:
        yield Breach(subject, rule, float(limit), actual)


def _need(baseline: Profile | None) -> Profile:
    if baseline is None:
        raise TftraceError("the budget has relative limits; give --baseline RUN")
    return baseline
