"""A trace from elsewhere as parts of a report: devices, hosts, ops, replicas side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from tftrace.report.sheet import BLANK, FAINT, Column, Part, Row, Sheet
from tftrace.text import ms_text, share_text

if TYPE_CHECKING:
    from tftrace.api.profile import Profile

_HOST = "/host:"
_LINES = 8


def foreign_parts(profile: Profile, top: int | None) -> Iterator[Part]:
    """Tables of devices and hosts and, without layers, of ops; none where nothing was recorded."""
    wall = profile.wall
    on_host = wall["device"].str.startswith(_HOST).astype(bool)
    window = ms_text(profile.window_ms)
    for part, what in ((wall[~on_host], "devices"), (wall[on_host], "hosts")):
        if len(part):
            yield _side_by_side(part, f"{what}: ms of a window of {window} ms")
            yield BLANK
    if len(profile.lines):
        yield _lines(profile.lines)
        yield BLANK
    if not len(profile.ops):
        return
    if not len(profile.layers):
        yield ops_sheet(profile.ops, top)
        yield BLANK
    replicas = profile.replicas
    if len(replicas):
        yield _replicas(replicas, top)
        yield BLANK


def short_device(plane: str) -> str:
    """``GPU:0`` or ``CPU`` for a plane of that device or host."""
    return plane.removeprefix("/device:").removeprefix(_HOST)


def _lines(lines: pd.DataFrame) -> Sheet:
    """The busiest streams and threads."""
    shown = lines.sort_values("busy_ms", ascending=False, kind="stable").head(_LINES)
    rows = []
    for _, row in shown.iterrows():
        share = share_text(None if pd.isna(row["busy_share"]) else row["busy_share"])
        told = (f"{row['events']:,}", ms_text(row["busy_ms"]), share)
        rows.append(Row((short_device(row["device"]), row["line"], *told)))
    rest = lines.drop(shown.index)
    if len(rest):
        cells = ("", f"({len(rest)} more)", f"{rest['events'].sum():,}", "", "")
        rows.append(Row(cells, FAINT))
    columns = (
        Column("device", right=False),
        Column("stream or thread", right=False, folds=True),
        *map(Column, ("events", "ms", "share")),
    )
    return Sheet("streams and threads: ms in any event, waiting ones too", columns, tuple(rows))


def _side_by_side(wall: pd.DataFrame, title: str) -> Sheet:
    """A row per plane, a column per component; they sum to the window."""
    components = list(dict.fromkeys(wall["component"]))
    rows = []
    for plane, mine in wall.groupby("device", sort=False):
        ms = dict(zip(mine["component"], mine["wall_ms"], strict=True))
        told = (ms_text(ms[name]) if name in ms else "–" for name in components)
        rows.append(Row((short_device(str(plane)), *told)))
    columns = (Column("device", right=False), *(Column(name, folds=True) for name in components))
    return Sheet(title, columns, tuple(rows))


def ops_sheet(ops: pd.DataFrame, top: int | None) -> Sheet:
    """The longest ops; their device where there are several."""
    several = ops["device"].nunique() > 1
    shown = ops.head(top or len(ops))
    rows = [
        Row(
            (
                _op_text(row),
                row["op_type"],
                *([short_device(row["device"])] if several else []),
                f"{row['calls']:,}",
                ms_text(row["wall_ms"]),
            )
        )
        for _, row in shown.iterrows()
    ]
    rest = ops.iloc[len(shown) :]
    if len(rest):
        blank = [""] if several else []
        calls, ms = f"{rest['calls'].sum():,}", ms_text(rest["wall_ms"].sum())
        rows.append(Row((f"({len(rest)} more)", "", *blank, calls, ms), FAINT))
    columns = (
        Column("op", right=False, folds=True),
        Column("type", right=False, folds=True, most=24),
        *([Column("device", right=False)] if several else []),
        Column("calls"),
        Column("ms"),
    )
    return Sheet("ops: ms of the device's time, where concurrent ones share", columns, tuple(rows))


def _op_text(row: pd.Series) -> str:
    """The op; below it the program of XLA that has it, and what it was made for."""
    module = row.get("hlo_module")
    if not isinstance(module, str):
        return str(row["op"])
    made_for = f": {row['members'][0]}" if row["members"] else ""
    return f"{row['op']}\n  {module}{made_for}"


def _replicas(replicas: pd.DataFrame, top: int | None) -> Sheet:
    shown = replicas.head(top or len(replicas))
    rows = []
    for _, row in shown.iterrows():
        over = row["max_over_median"]
        times = (ms_text(row[name]) for name in ("min_ms", "median_ms", "max_ms"))
        ratio = "–" if pd.isna(over) else f"{over:.2f}"
        cells = (row["op"], str(row["devices"]), *times, ratio, short_device(row["slowest"]))
        rows.append(Row(cells))
    if len(replicas) > len(shown):
        more = f"({len(replicas) - len(shown)} more)"
        rows.append(Row((more, *[""] * 6), FAINT))
    columns = (
        Column("op", right=False, folds=True),
        *map(Column, ("n", "min", "median", "max", "max/med")),
        Column("slowest", right=False),
    )
    return Sheet("the same op on several devices: ms, and the slowest", columns, tuple(rows))
