"""The report as one HTML file that needs nothing else: no network, no other files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tftrace.report.exports.tables import write_text
from tftrace.report.facts import noise_text, what_is_counted, what_ran
from tftrace.report.findings import Group, grouped
from tftrace.report.html.foreign import foreign_sections
from tftrace.report.html.page import page
from tftrace.report.html.roofline import roofline_svg
from tftrace.report.html.wall import wall_bar
from tftrace.tables.frame import total
from tftrace.text import bytes_text, count_text, ms_text, share_text

if TYPE_CHECKING:
    from tftrace.api.profile import Profile


def write_html(profile: Profile, path: Path) -> None:
    """Write the whole report to ``path``.

    Raises:
        TftraceError: ``path`` cannot be written.
    """
    write_text(path, render_page(profile))


def render_page(profile: Profile) -> str:
    """The whole report as an HTML document."""
    name = str(profile.model["source"] or profile.model["name"])
    return page(f"{name}: where predict's time goes", "\n".join(_sections(profile, name)))


def _sections(profile: Profile, name: str) -> Iterator[str]:
    yield _header(profile, name)
    if profile.foreign:
        yield from foreign_sections(profile)
    else:
        yield f"<h2>Where the wall time went</h2>\n{wall_bar(profile.wall)}"
    if profile.findings:
        yield _findings(grouped(profile.findings))
    if len(profile.layers):
        yield _roofline(profile)
        yield _layers(profile)
    if profile.no_findings is not None:
        yield f'<h2>Findings</h2>\n<p class="dim">None: {escape(profile.no_findings)}.</p>'
    told = [" ".join(profile.counting["rule"].split())]
    if not profile.foreign:
        told += what_is_counted(profile.layers, profile.counting["coverage"])
    lines = "".join(f'<p class="dim">{escape(line)}</p>' for line in told)
    yield f"<h2>How it is counted</h2>\n{lines}"


def _header(profile: Profile, name: str) -> str:
    lines = "".join(f'<p class="warn">{escape(warning)}</p>' for warning in profile.warnings)
    lines += "".join(f'<p class="dim">{escape(fact)}</p>' for fact in _facts(profile))
    return f"<header><h1>{escape(name)}</h1>{lines}{_latency(profile)}</header>"


def _facts(profile: Profile) -> Iterator[str]:
    run, machine, model = profile.run, profile.machine, profile.model
    if profile.window is not None:
        yield "a trace taken elsewhere: samples, latency and graph are not known"
        yield f"window: {profile.window}"
        return
    if noise := noise_text(run):
        yield noise
    params = model["params"]
    yield (model["class"] or "a model") + ("" if params is None else f", {params:,} parameters")
    yield f"{run['samples']:,} samples, batch size {run['batch_size']}, {run['steps']} steps"
    yield (
        f"{machine['cpu']}, {machine['cores']} cores; threads: {machine['intra_op_threads']} "
        f"intra-op, {machine['inter_op_threads']} inter-op; XLA {'on' if run['jit'] else 'off'}"
    )
    yield "; ".join(what_ran(machine))
    yield ", ".join(f"{package} {version}" for package, version in profile.versions.items())


def _latency(profile: Profile) -> str:
    latency, samples = profile.latency, profile.run["samples"]
    traced = "window of the trace" if profile.foreign else "traced pass"
    figures = [(traced, f"{ms_text(profile.window_ms)} ms")]
    median = latency["median_ms"]
    if median is not None:
        figures = [
            (f"median latency, {latency['n']} passes", f"{ms_text(median)} ms"),
            ("interquartile range", f"{ms_text(latency['iqr_ms'])} ms"),
            ("minimum", f"{ms_text(latency['min_ms'])} ms"),
            ("per sample", f"{ms_text(median / samples)} ms"),
            *_steady(latency.get("without_autotuner")),
            *figures,
        ]
    items = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in figures)
    warning = latency.get("warning")
    note = f'<p class="warn">{escape(warning)}</p>' if warning else ""
    return f'<dl class="figures">{items}</dl>{note}'


def _steady(found: dict[str, Any] | None) -> list[tuple[str, str]]:
    if found is None:
        return []
    return [("median without tf.data's autotuner", f"{ms_text(found['median_ms'])} ms")]


@dataclass(frozen=True)
class _Column:
    title: str
    value: str
    text: Callable[[Any], str]


_COLUMNS = (
    _Column("ms", "wall_ms", ms_text),
    _Column("time", "time_share", share_text),
    _Column("mults", "mults", count_text),
    _Column("mults share", "mults_share", share_text),
    _Column("bytes moved", "bytes_executed", bytes_text),
    _Column("GMAC/s", "gmacs_per_s", lambda v: "–" if v is None else f"{v:.2f}"),
    _Column("GB/s", "gb_per_s", lambda v: "–" if v is None else f"{v:.2f}"),
    _Column("threads", "parallelism", lambda v: "–" if v is None else f"{v:.2f}"),
    _Column("bound", "bound", lambda v: v or "–"),
    _Column("of roof", "roof_share", share_text),
)


def _layers(profile: Profile) -> str:
    layers = profile.layers.copy()
    time, mults = float(layers["wall_ms"].sum()), total(layers["mults"])
    layers["time_share"] = layers["wall_ms"] / time if time else 0.0
    layers["mults_share"] = layers["mults"] / mults if mults else pd.NA
    rows = layers.sort_values("wall_ms", ascending=False, kind="stable")
    head = "".join(
        f'<th scope="col"{" aria-sort=descending" if c == "ms" else ""}>'
        f'<button type="button">{c}</button></th>'
        for c in ("layer", "type", *(c.title for c in _COLUMNS))
    )
    root = str(layers["path"].iloc[0]) + "/"
    body = "".join(_row(row, root) for _, row in rows.iterrows())
    foot = f"<td>all layers</td><td></td><td>{ms_text(time)}</td><td>100.0%</td>"
    foot += f"<td>{count_text(mults)}</td>" + "<td></td>" * (len(_COLUMNS) - 3)
    return (
        "<h2>Layers</h2>\n"
        '<p class="dim">Time of the traced pass, work per sample. '
        "Choose a column's name to sort by it.</p>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody><tfoot><tr>{foot}</tr></tfoot></table></div>"
    )


def _row(row: pd.Series, root: str) -> str:
    note = f' title="{escape(row["note"])}"' if isinstance(row["note"], str) else ""
    name = escape(row["path"].removeprefix(root))
    cells = [f"<td{note}>{name}</td>", f"<td>{escape(row['type'])}</td>"]
    for column in _COLUMNS:
        value = None if pd.isna(row[column.value]) else row[column.value]
        plain = "" if value is None else escape(str(value))
        cells.append(f'<td data-value="{plain}">{escape(column.text(value))}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _roofline(profile: Profile) -> str:
    samples = profile.run["trace"]["samples"]
    plot = None if samples is None else roofline_svg(profile.layers, samples, profile.roofs)
    if plot is None:
        return ""
    text = (
        "One dot per layer, its area the time. Above the slanted lines memory traffic would have "
        "to be faster, above the flat one arithmetic."
        if profile.roofs is not None
        else "One dot per layer, its area the time. This machine was not calibrated "
        "(tftrace calibrate), so its roofs are not known."
    )
    warnings = () if profile.roofs is None else profile.roofs.warnings
    doubts = "".join(f'<p class="warn">{escape(warning)}</p>' for warning in warnings)
    return f'<h2>Roofline</h2>\n<p class="dim">{text}</p>{doubts}{plot}'


def _findings(groups: list[Group]) -> str:
    cards = "".join(_card(group) for group in groups)
    return (
        "<h2>Why time and multiplications disagree, and what would help</h2>\n"
        f'{cards}<p class="dim">Savings are per traced pass and may overlap.</p>'
    )


def _card(group: Group) -> str:
    texts = [escape(f["text"]) for f in group.members]
    shown, rest = texts[: len(group.shown)], texts[len(group.shown) :]
    told = "".join(f"<p>{text}</p>" for text in shown)
    if rest:
        items = "".join(f"<li>{text}</li>" for text in rest)
        told += f"<details><summary>{escape(group.rest)}</summary><ul>{items}</ul></details>"
    causes = dict.fromkeys(f["cause"] for f in group.members)
    told += "".join(f'<p class="dim">Because: {escape(cause)}</p>' for cause in causes)
    told += "".join(f"<p><strong>Remedy:</strong> {escape(r)}</p>" for r in group.remedies)
    return f'<section class="finding"><h3>{escape(group.title)}</h3>{told}</section>'
