"""The layers as rows: time as a share of predict beside the share of multiplications."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from tftrace.attribution.rows import LAYERS
from tftrace.report.sheet import FAINT, MARKED, Barred, Column, Row, Sheet
from tftrace.report.verdict import Verdict, short_component
from tftrace.tables.frame import total
from tftrace.text import bytes_text, count_text, ms_text, share_text, short_names

if TYPE_CHECKING:
    from tftrace.api.profile import Profile

_FAR_ABOVE = 2.0
_VISIBLE = 0.01  # of predict: what takes less is not marked
_WIDE, _WIDEST = 100, 120


@dataclass(frozen=True)
class _Sorted:
    """A column that orders the table: its heading, and its values in words."""

    column: str
    heading: str
    told: Callable[[Any], str]


def _number(value: Any) -> str:
    return f"{float(value):.3g}"


def _whole(value: Any) -> str:
    return f"{int(value):,}"


SORTS = {
    "time": _Sorted("wall_ms", "ms", ms_text),
    "name": _Sorted("path", "layer", str),
    "mults": _Sorted("mults", "mults", count_text),
    "macs": _Sorted("macs", "MACs", count_text),
    "flops": _Sorted("flops", "FLOPs", count_text),
    "bytes": _Sorted("bytes", "bytes", bytes_text),
    "params": _Sorted("params", "params", count_text),
    "bytes_executed": _Sorted("bytes_executed", "bytes run", bytes_text),
    "busy_ms": _Sorted("busy_ms", "busy ms", ms_text),
    "thread_ms": _Sorted("thread_ms", "thread ms", ms_text),
    "parallelism": _Sorted("parallelism", "threads", _number),
    "gmacs_per_s": _Sorted("gmacs_per_s", "GMAC/s", _number),
    "gb_per_s": _Sorted("gb_per_s", "GB/s", _number),
    "intensity": _Sorted("intensity", "FLOP/B", _number),
    "roof_share": _Sorted("roof_share", "of roof", share_text),
    "output_bytes": _Sorted("output_bytes", "output", bytes_text),
    "peak_live_bytes": _Sorted("peak_live_bytes", "most live", bytes_text),
    "calls": _Sorted("calls", "calls", _whole),
    "ops": _Sorted("ops", "kernels", _whole),
}
"""What ``--sort`` takes, each a column of **layers**."""

_ALWAYS = ("time", "name")
_PHASES = {
    f"{phase}_ms": _Sorted(f"{phase}_ms", phase, ms_text)
    for phase in ("forward", "backward", "optimizer")
}
"""The parts of a layer's time in ``fit``."""
_TOLD = SORTS | _PHASES
_WIDER = {
    **dict.fromkeys(_PHASES, 0),
    "mults": _WIDE,
    "gmacs_per_s": _WIDEST,
    "gb_per_s": _WIDEST,
    "parallelism": _WIDEST,
}


def layers_sheet(
    profile: Profile,
    verdict: Verdict,
    top: int | None = 20,
    depth: int | None = None,
    sort: str = "time",
    order: str = "sorted",
    everything: bool = False,
) -> Sheet:
    """Layers beside their multiplications; below them the rest of predict, to 100 %.

    Args:
        top: rows of layers, None for all.
        depth: roll deeper layers up into their containers.
        sort: one of `SORTS`, whose column is shown; ``order`` = ``run`` keeps that of execution.
        everything: containers that do nothing of their own, too.
    """
    layers = profile.tree(depth)
    layers = layers.assign(work=work_of(layers))
    if not everything:
        layers = layers[~_idle_containers(layers)]
    if order != "run":
        by = SORTS[sort].column
        layers = layers.sort_values(by, ascending=sort == "name", kind="stable", na_position="last")
    extra = _extra(sort, profile.way)
    scale = _scale(layers, profile)
    shown = layers if top is None else layers.head(top)
    names = short_names(list(profile.layers["path"]))
    rows = [_row(row, names, scale, extra) for row in shown.to_dict(orient="records")]
    rest = layers.iloc[len(shown) :]
    if len(rest):
        rows.append(_sum(f"({len(rest)} more)", rest, scale, extra, FAINT))
    percent = verdict.percent_of(LAYERS)
    rows.append(_sum("all layers", layers, scale, extra, "bold", percent))
    if not profile.foreign:
        rows.extend(_beside(profile, verdict, scale, extra))
    heading = f"layers: time in ms and as a share {verdict.base}; work per sample"
    return Sheet(heading, tuple(_columns(extra, sort, profile.way)), tuple(rows))


def _idle_containers(layers: pd.DataFrame) -> pd.Series:
    """Rows of containers that ran nothing and compute nothing of their own."""
    paths = set(layers["path"])
    parents = {path.rpartition("/")[0] for path in paths}
    nothing = (layers["wall_ms"].fillna(0) == 0) & (layers["mults"] == 0).fillna(False)
    return layers["path"].isin(parents) & nothing.astype(bool)


@dataclass(frozen=True)
class _Scale:
    """What shares are of, and the longest bar: one for time and multiplications, so that they can
    be compared by eye."""

    mults: float | None
    longest: float

    def bar(self, share: float | None) -> Barred:
        part = share / self.longest if share is not None and self.longest else None
        return Barred(_percent(share), part)

    def of_mults(self, mults: Any) -> float | None:
        return None if self.mults is None or pd.isna(mults) else float(mults) / self.mults


def _scale(layers: pd.DataFrame, profile: Profile) -> _Scale:
    mults = total(layers["work"])
    most = [0.0, *layers["wall_share"].dropna()]
    if not profile.foreign:
        beside = profile.wall[profile.wall["component"] != LAYERS]
        most += [float(share) for share in beside["wall_share"].dropna()]
    if mults:
        most.append(float(layers["work"].max()) / mults)
    return _Scale(mults or None, max(map(float, most)))


def work_of(layers: pd.DataFrame) -> pd.Series:
    """Multiplications by row, of the gradients too where there are any."""
    if "mults_backward" not in layers:
        return layers["mults"]
    return layers["mults"] + layers["mults_backward"]


def _percent(share: float | None) -> str:
    if share is None:
        return "–"
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def far_above(time_share: float | None, mults_share: float | None) -> bool:
    """Whether a layer's share of predict is visible and at least twice its share of
    multiplications."""
    if time_share is None or mults_share is None:
        return False
    return time_share >= _VISIBLE and time_share >= _FAR_ABOVE * mults_share


def _extra(sort: str, way: str) -> list[str]:
    """Columns beside those that are always there: the one that orders the table comes first."""
    wanted = [name for name in _WIDER if way == "fit" or name not in _PHASES]
    return [sort, *(n for n in wanted if n != sort)] if sort not in _ALWAYS else list(wanted)


def _columns(extra: list[str], sort: str, way: str) -> Iterator[Column]:
    yield Column("layer", right=False, folds=True)
    # The phases take the place of what says least about a layer whose name is there.
    yield Column("type", right=False, most=18, least=_WIDE if way == "fit" else 0)
    yield Column("ms")
    yield Column(f"of {way}", bar=8)
    yield Column("of mults", bar=7, least=_WIDE if way == "fit" else 0)
    yield Column("")
    for name in extra:
        yield Column(_TOLD[name].heading, least=0 if name == sort else _WIDER[name])
    yield Column("bound", right=False, least=_WIDEST)


def _row(row: dict[Any, Any], names: dict[str, str], scale: _Scale, extra: list[str]) -> Row:
    time = _known(row["wall_share"])
    mults = scale.of_mults(row["work"])
    marked = far_above(time, mults)
    return Row(
        (
            names.get(row["path"], row["path"]),
            row["type"],
            ms_text(_known(row["wall_ms"])),
            scale.bar(time),
            scale.bar(mults),
            "!" if marked else "",
            *(_told(name, row[_TOLD[name].column]) for name in extra),
            row["bound"] if isinstance(row["bound"], str) else "",
        ),
        MARKED if marked else "",
    )


def _sum(
    name: str,
    rows: pd.DataFrame,
    scale: _Scale,
    extra: list[str],
    style: str,
    percent: str | None = None,
) -> Row:
    mults = total(rows["work"])
    sums = {"mults": _told("mults", total(rows["mults"]))}
    sums |= {each: _told(each, total(rows[each])) for each in extra if each in _PHASES}
    return Row(
        (
            name,
            "",
            ms_text(_known(rows["wall_ms"].sum())),
            Barred(percent or _percent(_known(rows["wall_share"].sum())), None),
            Barred(_percent(None if mults is None else scale.of_mults(mults)), None),
            "",
            *(sums.get(each, "") for each in extra),
            "",
        ),
        style,
    )


def _beside(profile: Profile, verdict: Verdict, scale: _Scale, extra: list[str]) -> Iterator[Row]:
    """The components of **wall** beside the layers that took any time, then the whole."""
    wall = profile.wall.sort_values("wall_ms", ascending=False, kind="stable")
    empty = ("", *("" for _ in extra), "")
    for row in wall.to_dict(orient="records"):
        if row["component"] == LAYERS or not row["wall_ms"]:
            continue
        share = scale.bar(_known(row["wall_share"]))
        percent = verdict.percent_of(row["component"])
        share = share if percent is None else replace(share, text=percent)
        name = short_component(row["component"])
        yield Row((name, "", ms_text(row["wall_ms"]), share, "", *empty))
    whole = ms_text(float(wall["wall_ms"].sum()))
    yield Row((f"{profile.way}, traced", "", whole, Barred("100%", None), "", *empty), "bold")


def _told(name: str, value: Any) -> str:
    return "–" if value is None or pd.isna(value) else _TOLD[name].told(value)


def _known(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
