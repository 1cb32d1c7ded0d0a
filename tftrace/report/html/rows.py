"""The rows that the page's table and its charts share: layers, then what predict spent beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tftrace.attribution.rows import LAYERS
from tftrace.report.layer_rows import far_above, work_of
from tftrace.tables.frame import total
from tftrace.text import short_names

if TYPE_CHECKING:
    from tftrace.api.profile import Profile

WORK = ("mults", "macs", "flops")
BESIDE = "beside layers"
_FIGURES = {
    "ms": "wall_ms",
    "mults": "mults",
    "macs": "macs",
    "flops": "flops",
    "bytes": "bytes_executed",
    "gmacs": "gmacs_per_s",
    "gbs": "gb_per_s",
    "threads": "parallelism",
    "roof": "roof_share",
    "intensity": "intensity",
    "output": "output_bytes",
    "live": "peak_live_bytes",
}
_MOST_KERNELS = 100


@dataclass(frozen=True)
class Rows:
    """Columns of equal length, a row per call site and per component beside the layers.

    Attributes:
        columns: ``path, name, type, depth, parent`` (row of the container, -1 for none),
            ``part`` (component of **wall**), the figures of **layers** by short names, and
            ``all_ms, all_mults, all_macs, all_flops``: with everything below; null where a part
            is unknown.
        sites: how many rows are layers; they come first.
        base: ms that shares are of.
        way: what was run, in a word.
        totals: of all layers: ms, and each kind of work (None where a part is unknown).
    """

    columns: dict[str, list[Any]]
    sites: int
    base: float
    totals: dict[str, float | None]
    way: str = "predict"

    def __len__(self) -> int:
        return len(self.columns["path"])


def rows_of(profile: Profile) -> Rows:
    """The rows of a run, or of the layers that a trace from elsewhere is matched to."""
    layers = profile.layers
    paths = [str(path) for path in layers["path"]]
    base = profile.window_ms if profile.foreign else float(profile.wall["wall_ms"].sum())
    names = short_names(paths)
    parent = parents(paths)
    sites = len(paths)
    columns: dict[str, list[Any]] = {
        "path": paths,
        "name": [names[path] for path in paths],
        "type": [str(t) for t in layers["type"]],
        "depth": [_depth(n, parent) for n in range(len(paths))],
        "parent": parent,
        "parents": [n in set(parent) for n in range(len(paths))],
        "part": [LAYERS] * len(paths),
        "bound": [b if isinstance(b, str) else None for b in layers["bound"]],
        "shape": [None if s is None else str(s) for s in _column(layers, "output_shape")],
        "fused": [", ".join(f) if isinstance(f, list) else "" for f in layers["fused_with"]],
        "note": [note if isinstance(note, str) else None for note in layers["note"]],
    }
    for short, name in _FIGURES.items():
        columns[short] = _column(layers, name)
    work = _both_passes(layers) if profile.way == "fit" else layers
    for kind in WORK:
        columns[kind] = _column(work, kind)
    if profile.way == "fit":
        columns |= {p: _column(layers, f"{p}_ms") for p in ("forward", "backward", "optimizer")}
    for short in ("ms", *WORK):
        columns[f"all_{short}"] = inclusive(columns[short], parent)
    columns["idle"] = [
        columns["parents"][n] and not columns["ms"][n] and columns["mults"][n] == 0
        for n in range(len(paths))
    ]
    totals = {"ms": float(layers["wall_ms"].sum())} | {n: total(work[n]) for n in WORK}
    columns["far"] = [
        far_above(_share(ms, base), _share(mults, totals["mults"]))
        for ms, mults in zip(columns["ms"], columns["mults"], strict=True)
    ]
    if not profile.foreign:
        _add_components(columns, profile.wall)
    return Rows(columns, sites, base, totals, profile.way)


def _both_passes(layers: pd.DataFrame) -> pd.DataFrame:
    """The layers with the work of their gradients; of the gradients, FLOPs are not known."""
    unknown = layers["flops"].mask(layers["backward_ms"] > 0)
    macs = layers["macs"] + layers["macs_backward"]
    return layers.assign(mults=work_of(layers), macs=macs, flops=unknown)


def parents(paths: Sequence[str]) -> list[int]:
    """Per path the number of the longest other path that it lies in, -1 for none."""
    first: dict[str, int] = {}
    for number, path in enumerate(paths):
        first.setdefault(path, number)
    found = []
    for path in paths:
        head = path.rpartition("/")[0]
        while head and head not in first:
            head = head.rpartition("/")[0]
        found.append(first[head] if head else -1)
    return found


def inclusive(values: Sequence[float | None], parent: Sequence[int]) -> list[float | None]:
    """Each value with those of the rows below it; None where one of them is."""
    found = list(values)
    for number in sorted(range(len(values)), key=lambda n: -_depth(n, parent)):
        above = parent[number]
        if above >= 0:
            mine, so_far = found[number], found[above]
            found[above] = None if mine is None or so_far is None else so_far + mine
    return found


def kernels_of(profile: Profile, rows: Rows) -> dict[int, list[Any]]:
    """Per row its kernels: what their names begin with, then for each: name behind that, type,
    calls, ms, p50 and p99 in us, members, note."""
    row_of = row_numbers(rows)
    ops: dict[int, list[dict[Any, Any]]] = {}
    for op in profile.ops.to_dict(orient="records"):
        owner = op["layer"] if isinstance(op["layer"], str) else op["component"]
        row = row_of.get(owner)
        if row is not None and len(ops.setdefault(row, [])) < _MOST_KERNELS:
            ops[row].append(op)
    return {row: _kernels(found) for row, found in ops.items()}


def _kernels(ops: list[dict[Any, Any]]) -> list[Any]:
    head = _shared([str(op["op"]) for op in ops])
    found: list[Any] = [head]
    for op in ops:
        members = [m.removeprefix(head) for m in op["members"] if m != op["op"]]
        times = [_rounded(op[name], 4) for name in ("wall_ms", "p50_us", "p99_us")]
        note = op.get("note")
        told = [op["op"].removeprefix(head), op["op_type"], _plain(op["calls"]), *times]
        found.append([*told, ", ".join(members), note if isinstance(note, str) else ""])
    return found


def _shared(names: Sequence[str]) -> str:
    """The folders that all names begin with, with a slash behind; empty for none."""
    parts = zip(*(name.split("/")[:-1] for name in names), strict=False)
    return "".join(f"{each[0]}/" for each in takewhile(lambda each: len(set(each)) == 1, parts))


def row_numbers(rows: Rows) -> dict[str, int]:
    """Row by path; of what is beside the layers by component."""
    found: dict[str, int] = {}
    for number, path in enumerate(rows.columns["path"]):
        found.setdefault(path, number)
    return found


def _add_components(columns: dict[str, list[Any]], wall: pd.DataFrame) -> None:
    beside = wall[(wall["component"] != LAYERS) & (wall["wall_ms"] > 0)]
    for row in beside.to_dict(orient="records"):
        name, ms = str(row["component"]), float(row["wall_ms"])
        known = {"path": name, "name": name, "type": BESIDE, "depth": 0, "parent": -1}
        known |= {"parents": False, "part": name, "ms": ms, "all_ms": ms, "idle": False}
        for key, values in columns.items():
            values.append(known.get(key))


def _depth(number: int, parent: Sequence[int]) -> int:
    depth = 0
    while parent[number] >= 0:
        number, depth = parent[number], depth + 1
    return depth


def _column(layers: pd.DataFrame, name: str) -> list[Any]:
    return [_plain(value) for value in layers[name]]


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return list(value)
    if pd.isna(value):
        return None
    plain = value.item() if isinstance(value, np.generic) else value
    return _rounded(plain) if isinstance(plain, float) else plain


def _rounded(value: Any, digits: int = 6) -> float | None:
    """Six digits are more than any of these figures is known to."""
    return None if value is None or pd.isna(value) else float(f"{value:.{digits}g}")


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole
