"""The report on a terminal: header, wall, layers, coverage, rule, findings."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tftrace.report.facts import noise_text, what_is_counted, what_ran
from tftrace.report.findings import grouped
from tftrace.report.terminal.foreign import foreign_parts
from tftrace.report.terminal.parts.primitives import primitives
from tftrace.report.terminal.parts.screen import screen
from tftrace.report.terminal.parts.tables import new_table
from tftrace.tables.frame import total
from tftrace.text import count_text, ms_text, share_text

if TYPE_CHECKING:
    from tftrace.api.profile import Profile

SORTS = ("time", "mults", "macs", "flops", "bytes", "params", "name")
_COLUMN = {"time": "wall_ms", "name": "path"}
_FINDINGS = 5


def render_text(profile: Profile, width: int = 80, **options: Any) -> str:
    """The report as plain text, ``width`` columns wide."""
    output = io.StringIO()
    print_report(profile, screen(output, width, color=False), **options)
    return output.getvalue()


def print_report(
    profile: Profile,
    console: Console,
    top: int | None = 20,
    depth: int | None = None,
    sort: str = "time",
    order: str = "sorted",
) -> None:
    """Print the whole report.

    Args:
        top: rows of the layer table, None for all.
        depth: roll deeper layers up into their containers.
        sort: one of SORTS; ``order`` = ``run`` keeps the order of execution instead.
    """
    # What cannot be read is an error before the first line, not behind half a report.
    for part in list(_parts(profile, top, depth, sort, order)):
        console.print(part)


def _parts(
    profile: Profile, top: int | None, depth: int | None, sort: str, order: str
) -> Iterator[RenderableType]:
    warnings = profile.warnings  # before anything is printed: an unreadable trace is an error
    yield from _header(profile)
    yield from (Text(f"  {warning}", style="yellow") for warning in warnings)
    yield ""
    if profile.foreign:
        yield from foreign_parts(profile, top)
    else:
        yield wall_table(profile)
        yield ""
    if len(profile.layers):
        yield layers_table(profile, top, depth, sort, order)
        yield ""
    yield from _coverage(profile)
    if profile.onednn is not None:
        yield ""
        yield from primitives(profile.onednn, profile.primitives)
    if profile.findings:
        yield ""
        yield from findings(profile)


def _header(profile: Profile) -> Iterator[RenderableType]:
    run, model, machine, versions = profile.run, profile.model, profile.machine, profile.versions
    source = model["source"] or model["name"]
    params = "" if model["params"] is None else f", {model['params']:,} parameters"
    if profile.foreign:
        yield Text(f"{source}: a trace taken elsewhere", style="bold")
        yield Text(f"{profile.folder}; samples, latency and graph are not known")
        yield Text(f"window: {profile.window}")
        return
    yield Text(f"{source} ({model['class'] or 'a model'}{params})", style="bold")
    yield (
        f"{run['samples']:,} samples, batch size {run['batch_size']}, {run['steps']} steps; "
        f"XLA {'on' if run['jit'] else 'off'}"
    )
    devices = ", ".join(d.rpartition("device:")[2] for d in machine["devices"])
    yield (
        f"{devices} ({machine['cpu']}, {machine['cores']} cores; threads: "
        f"{machine['intra_op_threads']} intra-op, {machine['inter_op_threads']} inter-op)"
    )
    yield "; ".join(what_ran(machine))
    keras = versions.get("keras")
    own, tensorflow = versions.get("tftrace"), versions.get("tensorflow")
    yield f"tftrace {own}, TensorFlow {tensorflow}, Keras {keras}"
    yield from _latency(profile)
    if noise := noise_text(run):
        yield Text(f"  {noise}", style="yellow")


def _latency(profile: Profile) -> Iterator[RenderableType]:
    latency, run = profile.latency, profile.run
    median = latency["median_ms"]
    if median is None:
        yield "latency: not measured"
    else:
        per_sample = median / run["samples"]
        yield Text.assemble(
            "latency: median ",
            (f"{ms_text(median)} ms", "bold"),
            f", IQR {ms_text(latency['iqr_ms'])}, min {ms_text(latency['min_ms'])} "
            f"({latency['n']} untraced passes); {ms_text(per_sample)} ms per sample",
        )
        if latency["warning"]:
            yield Text(f"  {latency['warning']}", style="yellow")
    steady = latency.get("without_autotuner")
    if steady:
        yield (
            f"without waiting for tf.data's autotuner at its end: median "
            f"{ms_text(steady['median_ms'])} ms, IQR {ms_text(steady['iqr_ms'])}, "
            f"min {ms_text(steady['min_ms'])}"
        )
        if steady["warning"]:
            yield Text(f"  {steady['warning']}", style="yellow")
    trace = run["trace"]
    line = f"traced pass: {ms_text(latency['traced_ms'])} ms"
    if trace["whole"] and median:
        line += f", {latency['traced_ms'] / median:.2f} x the median: what tracing costs"
    yield line
    if trace["note"]:
        yield Text(f"  not every kernel could be recorded: {trace['note']}", style="yellow")


def wall_table(profile: Profile) -> Table:
    """Where the wall time of the traced pass went."""
    wall = profile.wall
    table = new_table(f"wall: {ms_text(wall['wall_ms'].sum())} ms traced")
    table.add_column("component", no_wrap=True)
    table.add_column("ms", justify="right")
    table.add_column("share", justify="right")
    for _, row in wall.iterrows():
        late = row["component"] == "compilation" and row["wall_ms"] > 0
        style = "yellow" if late else None
        table.add_row(
            row["component"], ms_text(row["wall_ms"]), share_text(row["wall_share"]), style=style
        )
    return table


def layers_table(
    profile: Profile,
    top: int | None = 20,
    depth: int | None = None,
    sort: str = "time",
    order: str = "sorted",
) -> Table:
    """Layers by time beside their multiplications, with cumulative share."""
    layers = profile.tree(depth)
    if order != "run":
        layers = layers.sort_values(
            _COLUMN.get(sort, sort), ascending=sort == "name", kind="stable", na_position="last"
        )
    time, mults = layers["wall_ms"].sum(), total(layers["mults"])
    shown = layers if top is None else layers.head(top)
    table = new_table("layers: time of the traced pass, work per sample")
    table.add_column("layer", overflow="fold", ratio=1)
    table.add_column("type", no_wrap=True, max_width=18, overflow="ellipsis")
    for name in ("ms", "time", "cum", "mults", "mults"):
        table.add_column(name, justify="right", no_wrap=True)
    cumulative = 0.0
    root = profile.layers["path"].iloc[0]
    for _, row in shown.iterrows():
        share = row["wall_ms"] / time if time else 0.0
        cumulative += share
        table.add_row(
            _short(row["path"], root),
            row["type"],
            ms_text(row["wall_ms"]),
            share_text(share),
            f"{cumulative:.0%}",
            count_text(None if pd.isna(row["mults"]) else row["mults"]),
            share_text(None if pd.isna(row["mults"]) or not mults else row["mults"] / mults),
        )
    rest = layers.iloc[len(shown) :]
    if len(rest):
        share = rest["wall_ms"].sum() / time if time else 0.0
        more = total(rest["mults"])
        table.add_row(
            f"({len(rest)} more)",
            "",
            ms_text(rest["wall_ms"].sum()),
            share_text(share),
            "100%",
            count_text(more),
            share_text(more / mults if mults and more is not None else None),
            style="dim",
        )
    table.add_section()
    whole = "100%" if mults else "–"
    table.add_row("all layers", "", ms_text(time), "100%", "", count_text(mults), whole)
    return table


def _short(path: str, root: str) -> str:
    return path.removeprefix(root + "/") if path != root else path


def _coverage(profile: Profile) -> Iterator[RenderableType]:
    recording = profile.recording
    recorded, expected = recording["recorded"], recording["expected"]
    if profile.foreign:
        if len(profile.layers):
            yield "layers are matched by name: see their notes"
        yield Text(f"no findings: {profile.no_findings}", style="dim")
        return
    about = "" if recording["expected_exact"] else "about "
    if expected is None:
        line = (
            f"recorded: {recorded:,} executions of the model's kernels; how many to expect is not "
            f"known for {recording['unknown_ops']:,} kernels (see their layers' notes)"
        )
    else:
        line = f"recorded: {recorded:,} of {about}{expected:,} expected executions "
        line += "of the model's kernels"
    if expected is not None and recorded < expected:
        line += "; TensorFlow leaves out kernels it considers cheap (--all-ops records them)"
    yield line
    if recording["worker_ms_unresolved"] > 0:
        yield (
            f"worker threads: {ms_text(recording['worker_ms_unresolved'])} of "
            f"{ms_text(recording['worker_ms'])} ms could not be followed to an operation"
        )
    yield from what_is_counted(profile.layers, profile.counting["coverage"])
    # The rule's second line is that of multiplications.
    yield Text("rule: " + "".join(profile.counting["rule"].splitlines()[1:2]), style="dim")


def findings(profile: Profile, limit: int = _FINDINGS) -> Iterator[RenderableType]:
    """The findings in words, by kind, the largest first."""
    groups = grouped(profile.findings)
    yield Text("why time and multiplications disagree, and what would help", style="bold")
    for number, group in enumerate(groups[:limit], start=1):
        yield Text(f"{number}. {group.title}")
        told = [item["text"] for item in group.shown] + ([group.rest] if group.rest else [])
        told += ["because: " + c for c in dict.fromkeys(f["cause"] for f in group.members)]
        told += ["remedy: " + remedy for remedy in group.remedies]
        yield from (Padding(Text(line), (0, 0, 0, 3)) for line in told)
    if len(groups) > limit:
        kinds = ", ".join(group.kind for group in groups[limit:])
        yield Text(f"also: {kinds} (--json tells)", style="dim")
    if sum(group.saving_ms is not None for group in groups) > 1:
        yield Text("savings are per traced pass and may overlap", style="dim")
