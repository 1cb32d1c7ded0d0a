"""The page of a run, or of a trace from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tftrace.attribution.rows import LOSS_AND_METRICS, OPTIMIZER_ITSELF
from tftrace.report.exports.tables import write_text
from tftrace.report.findings import Group, grouped
from tftrace.report.foreign import short_device
from tftrace.report.html.drawing import type_colors
from tftrace.report.html.epochs import epochs_of_fit
from tftrace.report.html.icicle import icicle
from tftrace.report.html.memory import memory_chart, memory_note, memory_table
from tftrace.report.html.page import document, plain_table
from tftrace.report.html.pairs import layer_pairs, type_pairs
from tftrace.report.html.roofline import roofline
from tftrace.report.html.rows import Rows, kernels_of, row_numbers, rows_of
from tftrace.report.html.said import answer as answer_lines
from tftrace.report.html.said import badges, facts, figures
from tftrace.report.html.source import source_of
from tftrace.report.html.timeline import timeline_chart, timeline_of
from tftrace.report.verdict import Verdict, verdict
from tftrace.tables.wall import COMPONENTS
from tftrace.text import bytes_text, count_text, ms_text, share_text, time_text
from tftrace.timeline.share_out import COMPILATION, UNKNOWN

if TYPE_CHECKING:
    from tftrace.api.profile import Profile

_COLUMNS = {
    "name": ("layer", "The layer's shortest name. Choose it to see its kernels."),
    "type": ("type", "The layer's class."),
    "ms": (
        "ms",
        "The layer's share of the traced pass: where several kernels run at once, each gets an "
        "equal share of the instant. In the tree, with everything below it.",
    ),
    "self": ("self", "Time of the layer itself, without those below it."),
    "forward": ("forward", "Time of the layer itself in the forward pass."),
    "backward": ("backward", "Time of its gradients."),
    "optimizer": ("optimizer", "Time in which the optimizer updated its weights."),
    "work": (
        "mults",
        "Per sample. mults: multiply-accumulates and the element-wise multiplications; MACs: "
        "multiply-accumulates alone; FLOPs: two per MAC and one per element-wise operation.",
    ),
    "bytes": ("bytes moved", "Inputs, outputs and weights of the kernels that ran, per sample."),
    "gmacs": ("GMAC/s", "Multiply-accumulates per second, in 1e9."),
    "gbs": ("GB/s", "Bytes moved per second, in 1e9."),
    "threads": ("threads", "How many threads worked for it on average while it ran."),
    "bound": (
        "bound",
        "What limits it against this machine's measured roofs: compute, memory or overhead.",
    ),
    "roof": ("of roof", "Time the roofline allows over the time it took: 100% is the best."),
    "output": ("output", "Bytes of its output for one full batch."),
    "live": ("most live", "The most bytes held, by whomever, while one of its kernels ran."),
}

_OF_FIT = ("forward", "backward", "optimizer")
_OF_MEMORY = ("output", "live")

_NOTHING = ("idle", "nothing recorded")
_QUIET = 6
"""Of the eight classes of colors in the style sheet, that for what is nothing."""
_COLORS = {name: number for number, name in enumerate(COMPONENTS[:_QUIET])} | {
    **dict.fromkeys((COMPILATION, LOSS_AND_METRICS), 7),
    **dict.fromkeys((OPTIMIZER_ITSELF, UNKNOWN), _QUIET),
}
"""Of a run of tftrace: the same in predict, evaluate and fit. What shares one is seldom there."""


def write_html(profile: Profile, path: Path) -> None:
    """Write the whole report to ``path``.

    Raises:
        TftraceError: ``path`` cannot be written.
    """
    write_text(path, render_page(profile))


def render_page(profile: Profile) -> str:
    """The whole report as an HTML document."""
    answer, rows = verdict(profile), rows_of(profile)
    colors = type_colors(rows)
    samples = profile.run["trace"]["samples"]
    charts = _charts(profile, rows, colors, samples)
    return document(
        f"{answer.model}: where {profile.way}'s time goes",
        _data(profile, rows, colors, samples),
        charts,
        name=answer.model,
        verdict=answer_lines(answer),
        badges=list(badges(answer, profile)),
        warnings=profile.warnings,
        figures=figures(profile),
        bars=_bars(profile, answer),
        cards=[
            _card(g, rows, answer.base_ms)
            for memory in (False, True)
            for g in grouped(profile.findings, memory=memory)
        ],
        nothing=_nothing(profile),
        pairs_note=_pairs_note(rows),
        layers_note=f"Times are {answer.base}; work is per sample. Red: at least twice the share "
        "of time that the share of multiplications explains.",
        units=(
            ("ms", "ms", True),
            (
                "%",
                _share_of(profile),
                bool(rows.base),
            ),
            ("sample", "per sample", bool(samples)),
        ),
        columns=[{"key": k, "title": t, "help": h} for k, (t, h) in _columns(rows)]
        if rows.sites
        else [],
        foot=_foot(rows),
        timeline_note=_timeline_note(profile),
        roofline_note=_roofline_note(profile, charts["roofline"] is not None)
        if rows.sites
        else None,
        memory_note=memory_note(profile),
        memory_table=memory_table(profile),
        icicle_note=_icicle_note(rows) if rows.sites else None,
        tables=list(_tables(profile)),
        tables_title="Steps" if not profile.foreign else "Ops and devices",
        facts=list(facts(profile)),
    )


def _share_of(profile: Profile) -> str:
    return "% of the window" if profile.foreign else f"% of {profile.way}"


def _columns(rows: Rows) -> list[tuple[str, tuple[str, str]]]:
    absent = set(_OF_FIT if rows.way != "fit" else ())
    if all(live is None for live in rows.columns["live"]):
        absent |= set(_OF_MEMORY)
    return [(key, told) for key, told in _COLUMNS.items() if key not in absent]


def _charts(
    profile: Profile, rows: Rows, colors: dict[str, str], samples: int | None
) -> dict[str, Any]:
    found = timeline_of(profile)
    lanes = None if found is None else timeline_chart(profile, found, rows, colors)
    charts: dict[str, Any] = {"roofline": None}
    if rows.sites:
        source = source_of(rows, samples, colors)
        charts = {
            "types": type_pairs(rows, colors),
            "pairs": layer_pairs(source, rows),
            "roofline": roofline(source, profile.roofs),
            "icicle_time": icicle(source, "ms"),
            "icicle_work": icicle(source, "mults"),
        }
    return charts | {"timeline": lanes, "memory": memory_chart(profile)}


def _data(
    profile: Profile, rows: Rows, colors: dict[str, str], samples: int | None
) -> dict[str, Any]:
    """What the script reads."""
    kinds = rows.columns["type"]
    return {
        "layers": rows.columns if rows.sites else None,
        "kernels": kernels_of(profile, rows) if rows.sites else {},
        "base": rows.base or None,
        "share": _share_of(profile),
        "samples": samples,
        "total": rows.totals,
        "types": [[kind, color, kinds.count(kind)] for kind, color in colors.items()],
    }


def _bars(profile: Profile, answer: Verdict) -> list[dict[str, Any]]:
    """One bar; of a trace from elsewhere one per device and host."""
    if not profile.foreign:
        note = f"Shares {answer.base}. Choose a part to see only what is in it."
        parts = _parts(profile.wall, filters=bool(len(profile.layers)))
        return [{"title": "Where the time went", "note": note, "parts": parts}]
    alike: dict[tuple[str, ...], tuple[list[str], list[dict[str, Any]]]] = {}
    for device, wall in profile.wall.groupby("device", sort=False):
        parts = _parts(wall)
        key = tuple(part["text"] for part in parts)
        alike.setdefault(key, ([], parts))[0].append(short_device(str(device)))
    return [
        {"title": f"What {_listed(devices)} did", "note": "", "parts": parts}
        for devices, parts in alike.values()
    ]


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _parts(wall: pd.DataFrame, filters: bool = False) -> list[dict[str, Any]]:
    """What took any time; a component has the same color wherever it stands."""
    parts = []
    # Of a window in which nothing happened at all, every part is told.
    all_idle = not wall["wall_ms"].sum()
    for number, row in enumerate(wall.to_dict(orient="records")):
        there = row["wall_ms"] > 0
        if not there and not all_idle:
            continue
        share = None if pd.isna(row["wall_share"]) else float(row["wall_share"])
        by_place = _QUIET if row["component"] in _NOTHING else (number + (number >= _QUIET)) % 8
        color = _COLORS.get(row["component"], by_place)
        parts.append(
            {
                "text": f"{row['component']}: {ms_text(row['wall_ms'])} ms, {share_text(share)}",
                "width": f"{100 * share:.3f}" if share else None,
                "filter": row["component"] if filters and there else None,
                "color": color,
            }
        )
    return parts


def _card(group: Group, rows: Rows, base: float) -> dict[str, Any]:
    texts = [str(f["text"]) for f in group.members]
    shown = len(group.shown)
    saving = group.saving_ms
    told = "no saving promised"
    if group.saving_bytes is not None:
        told = f"about -{bytes_text(group.saving_bytes)} at the peak, {group.sure}"
    if saving is not None:
        share = f" (-{share_text(saving / base)})" if base else ""
        told = f"about -{time_text(saving)}{share}, {group.sure}"
    number = row_numbers(rows)
    named = {f["layer"] for f in group.members if f["layer"] is not None}
    return {
        "title": group.name,
        "saving": told,
        "shown": texts[:shown],
        "rest_title": group.rest,
        "rest": texts[shown:],
        "causes": list(dict.fromkeys(f["cause"] for f in group.members)),
        "remedies": list(dict.fromkeys(f["remedy"] for f in group.members)),
        "commands": group.commands,
        "layers": json.dumps(sorted(number[n] for n in named if n in number)) if named else "",
    }


def _nothing(profile: Profile) -> str | None:
    if profile.no_findings is not None:
        return f"None: {profile.no_findings}."
    return None if profile.findings else "Nothing was found that would help."


def _pairs_note(rows: Rows) -> str:
    told = (
        f"Each pair: the share of {rows.way}, and the share of all multiplications. Where the "
        "first is much longer, something other than multiplying takes the time."
    )
    if rows.totals["mults"] is None and rows.sites:
        told += " The multiplications of a layer are not known, so no shares of them are drawn."
    return told


def _foot(rows: Rows) -> list[dict[str, str]]:
    told = {
        "name": ("all layers", ""),
        "ms": (ms_text(rows.totals["ms"]), "total-ms ms"),
        "self": ("", "self"),
        "work": (count_text(rows.totals["mults"]), "total-work work"),
    }
    cells = [told.get(key, ("", "")) for key, _ in _columns(rows)]
    return [{"text": text, "kind": kind} for text, kind in cells]


def _timeline_note(profile: Profile) -> str:
    found = timeline_of(profile)
    if found is None:
        return "Nothing was recorded that could be drawn."
    return (
        f"{found.told} Above, when the kernels of each layer ran, inside its "
        "containers; below, kernels by thread and device. Drag to zoom."
        if len(profile.layers)
        else f"{found.told} Kernels by thread and device. Drag to zoom."
    )


def _roofline_note(profile: Profile, drawn: bool) -> str:
    if not drawn:
        return "Not drawn: no layer has a time and arithmetic that are both known."
    told = (
        "One dot per layer, its area the time, its color the type. Above the slanted lines memory "
        "traffic would have to be faster, above the flat one arithmetic."
        if profile.roofs is not None
        else "One dot per layer, its area the time, its color the type. This machine was not "
        "calibrated (tftrace calibrate), so its roofs are not known."
    )
    doubts = 0 if profile.roofs is None else len(profile.roofs.warnings)
    return f"{told} Of the calibration there are doubts ({doubts}), told below." if doubts else told


def _icicle_note(rows: Rows) -> str:
    told = "A box is as wide as the layer and all below it: time first, multiplications second."
    unknown = [n for n in range(rows.sites) if rows.columns["mults"][n] is None]
    if unknown:
        told += (
            f" The multiplications of {len(unknown):,} layers are not known: they have no width "
            "in the second."
        )
    return told


def _tables(profile: Profile) -> Iterator[dict[str, Any]]:
    if profile.foreign:
        yield from _foreign_tables(profile)
    elif len(profile.steps):
        text = {"step": str, "samples": _whole, "start": ("start_ms", ms_text)}
        text |= {"ms": ("wall_ms", ms_text), "ms in ops": ("ops_ms", ms_text)}
        text |= {"executions": ("calls", _whole)}
        yield plain_table("Batches of the traced pass", profile.steps, text)
    if profile.epochs_of is not None:
        yield epochs_of_fit(profile.epochs, profile.epochs_of)


def _foreign_tables(profile: Profile) -> Iterator[dict[str, Any]]:
    if len(profile.ops):
        columns = {
            "op": str,
            "type": ("op_type", str),
            "device": short_device,
            "calls": _whole,
            "ms": ("wall_ms", ms_text),
        }
        yield plain_table("Ops", profile.ops, columns)
    if len(profile.replicas):
        columns = {
            "op": str,
            "devices": str,
            "min ms": ("min_ms", ms_text),
            "median ms": ("median_ms", ms_text),
            "max ms": ("max_ms", ms_text),
            "slowest": short_device,
        }
        yield plain_table("The same op on several devices", profile.replicas, columns)


def _whole(value: Any) -> str:
    return f"{int(value):,}"
