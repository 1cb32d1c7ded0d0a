"""A trace from elsewhere on a terminal: devices, hosts, ops, replicas side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tftrace.report.terminal.parts.tables import new_table
from tftrace.text import ms_text, share_text

if TYPE_CHECKING:
    from tftrace.api.profile import Profile

_HOST = "/host:"
_LINES = 8


def foreign_parts(profile: Profile, top: int | None) -> Iterator[RenderableType]:
    """Tables of devices and hosts and, without layers, of ops; none where nothing was recorded."""
    wall = profile.wall
    on_host = wall["device"].str.startswith(_HOST).astype(bool)
    window = ms_text(profile.window_ms)
    for part, what in ((wall[~on_host], "devices"), (wall[on_host], "hosts")):
        if len(part):
            yield _side_by_side(part, f"{what}: ms of a window of {window} ms")
            yield ""
    yield from _lines(profile.lines)
    if not len(profile.ops):
        return
    if not len(profile.layers):
        yield _ops(profile.ops, top)
        yield ""
    replicas = profile.replicas
    if len(replicas):
        yield _replicas(replicas, top)
        yield ""


def _lines(lines: pd.DataFrame) -> Iterator[RenderableType]:
    """The busiest streams and threads."""
    if not len(lines):
        return
    shown = lines.sort_values("busy_ms", ascending=False, kind="stable").head(_LINES)
    table = new_table("streams and threads: ms in any event, waiting ones too")
    table.add_column("device", no_wrap=True)
    table.add_column("stream or thread", overflow="fold", ratio=1)
    for name in ("events", "ms", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    for _, row in shown.iterrows():
        table.add_row(
            short_device(row["device"]),
            row["line"],
            f"{row['events']:,}",
            ms_text(row["busy_ms"]),
            share_text(None if pd.isna(row["busy_share"]) else row["busy_share"]),
        )
    rest = lines.drop(shown.index)
    if len(rest):
        table.add_row("", f"({len(rest)} more)", f"{rest['events'].sum():,}", "", "", style="dim")
    yield table
    yield ""


def short_device(plane: str) -> str:
    """``GPU:0`` or ``CPU`` for a plane of that device or host."""
    return plane.removeprefix("/device:").removeprefix(_HOST)


def _side_by_side(wall: pd.DataFrame, title: str) -> Table:
    """A row per plane, a column per component; they sum to the window."""
    table = new_table(title)
    table.add_column("device", no_wrap=True)
    components = list(dict.fromkeys(wall["component"]))
    for name in components:
        table.add_column(name, justify="right")
    for plane, rows in wall.groupby("device", sort=False):
        ms = dict(zip(rows["component"], rows["wall_ms"], strict=True))
        table.add_row(
            short_device(str(plane)),
            *(ms_text(ms[name]) if name in ms else "–" for name in components),
        )
    return table


def _ops(ops: pd.DataFrame, top: int | None) -> Table:
    several = ops["device"].nunique() > 1
    table = new_table("ops: ms of the device's time, where concurrent ones share")
    table.add_column("op", overflow="fold", ratio=1)
    table.add_column("type", overflow="fold", max_width=24)
    if several:
        table.add_column("device", no_wrap=True)
    table.add_column("calls", justify="right")
    table.add_column("ms", justify="right")
    shown = ops.head(top or len(ops))
    for _, row in shown.iterrows():
        table.add_row(
            _op_text(row),
            row["op_type"],
            *([short_device(row["device"])] if several else []),
            f"{row['calls']:,}",
            ms_text(row["wall_ms"]),
        )
    rest = ops.iloc[len(shown) :]
    if len(rest):
        blank = [""] if several else []
        calls, ms = f"{rest['calls'].sum():,}", ms_text(rest["wall_ms"].sum())
        table.add_row(f"({len(rest)} more)", "", *blank, calls, ms, style="dim")
    return table


def _op_text(row: pd.Series) -> str | Text:
    """The op; below it the program of XLA that has it, and what it was made for."""
    module = row.get("hlo_module")
    if not isinstance(module, str):
        return row["op"]
    made_for = f": {row['members'][0]}" if row["members"] else ""
    return Text.assemble(row["op"], "\n", (f"  {module}{made_for}", "dim"))


def _replicas(replicas: pd.DataFrame, top: int | None) -> Table:
    table = new_table("the same op on several devices: ms, and the slowest")
    table.add_column("op", overflow="fold", ratio=1)
    for name in ("n", "min", "median", "max", "max/med"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("slowest", no_wrap=True)
    shown = replicas.head(top or len(replicas))
    for _, row in shown.iterrows():
        over = row["max_over_median"]
        table.add_row(
            row["op"],
            str(row["devices"]),
            *(ms_text(row[name]) for name in ("min_ms", "median_ms", "max_ms")),
            "–" if pd.isna(over) else f"{over:.2f}",
            short_device(row["slowest"]),
        )
    if len(replicas) > len(shown):
        table.add_row(f"({len(replicas) - len(shown)} more)", style="dim")
    return table
