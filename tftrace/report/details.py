"""What stands behind a report's figures: model, machine, versions, latency, coverage, rule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tftrace.report.facts import what_is_counted, what_ran
from tftrace.report.sheet import FAINT, WARN, Column, Line, Part, Row, Sheet
from tftrace.runs.names import NAME_SCOPE
from tftrace.tables.frame import total
from tftrace.text import ms_text, share_text

if TYPE_CHECKING:
    from tftrace.api.profile import Profile


def details(profile: Profile) -> Iterator[Part]:
    """The parts, which the short report leaves out; of a trace from elsewhere there are few."""
    if profile.foreign:
        if len(profile.layers):
            yield Line("layers are matched by name: see their notes")
        yield Line(f"no findings: {profile.no_findings}", FAINT)
        return
    yield from _settings(profile)
    yield from _latency(profile)
    yield wall_sheet(profile)
    yield from _coverage(profile)


def _settings(profile: Profile) -> Iterator[Line]:
    run, model, machine, versions = profile.run, profile.model, profile.machine, profile.versions
    params = "" if model["params"] is None else f", {model['params']:,} parameters"
    yield Line(f"model: {model['name']} ({model['class'] or 'a model'}{params})")
    yield Line(
        f"{run['samples']:,} samples, batch size {run['batch_size']}, {run['steps']} steps; "
        f"XLA {'on' if run['jit'] else 'off'}"
    )
    devices = ", ".join(d.rpartition("device:")[2] for d in machine["devices"])
    yield Line(
        f"{devices} ({machine['cpu']}, {machine['cores']} cores; threads: "
        f"{machine['intra_op_threads']} intra-op, {machine['inter_op_threads']} inter-op)"
    )
    yield Line("; ".join(what_ran(machine)))
    keras = versions.get("keras")
    own, tensorflow = versions.get("tftrace"), versions.get("tensorflow")
    yield Line(f"tftrace {own}, TensorFlow {tensorflow}, Keras {keras}")


def _latency(profile: Profile) -> Iterator[Line]:
    latency, run = profile.latency, profile.run
    median = latency["median_ms"]
    if median is None:
        yield Line("latency: not measured")
    else:
        yield Line(
            f"latency: median {ms_text(median)} ms, IQR {ms_text(latency['iqr_ms'])}, min "
            f"{ms_text(latency['min_ms'])} ({latency['n']} untraced passes); "
            f"{ms_text(median / run['samples'])} ms per sample"
        )
    steady = latency.get("without_autotuner")
    if steady:
        yield Line(
            f"without waiting for tf.data's autotuner at its end: median "
            f"{ms_text(steady['median_ms'])} ms, IQR {ms_text(steady['iqr_ms'])}, "
            f"min {ms_text(steady['min_ms'])}"
        )
        if steady["warning"]:
            yield Line(steady["warning"], WARN, 2)
    known = run["trace"]["whole"] and median and latency["traced_ms"] is not None
    cost = f"; what tracing costs: {tracing_cost(latency)}" if known else ""
    yield Line(f"traced pass: {ms_text(latency['traced_ms'])} ms{cost}")
    yield from doubts(profile)


def doubts(profile: Profile) -> Iterator[Line]:
    """That TensorFlow did not let every kernel be recorded."""
    note = None if profile.foreign else profile.run["trace"]["note"]
    if note:
        yield Line(f"not every kernel could be recorded: {note}", WARN, 2)


def tracing_cost(latency: dict[str, Any]) -> str:
    """Over the median of the untraced passes; within noise where that is less than they spread."""
    over = latency["traced_ms"] - latency["median_ms"]
    if over <= (latency["iqr_ms"] or 0.0):
        return "within noise"
    return f"{ms_text(over)} ms, {over / latency['median_ms']:.0%} of the median"


def wall_sheet(profile: Profile) -> Sheet:
    """Every component of the traced pass."""
    wall = profile.wall
    rows = []
    for _, row in wall.iterrows():
        late = row["component"] == "compilation" and row["wall_ms"] > 0
        cells = (row["component"], ms_text(row["wall_ms"]), share_text(row["wall_share"]))
        rows.append(Row(cells, WARN if late else ""))
    columns = (Column("component", right=False), Column("ms"), Column(f"of {profile.way}"))
    return Sheet(f"wall: {ms_text(wall['wall_ms'].sum())} ms traced", columns, tuple(rows))


def _recorded(profile: Profile) -> Iterator[Line]:
    recording = profile.recording
    recorded, expected = recording["recorded"], recording["expected"]
    about = "" if recording["expected_exact"] else "about "
    if expected is None:
        line = (
            f"recorded: {recorded:,} executions of the model's kernels; how many to expect is not "
            f"known for {recording['unknown_ops']:,} kernels (see their layers' notes)"
        )
    else:
        line = (
            f"recorded: {recorded:,} of {about}{expected:,} expected executions of the model's "
            "kernels"
        )
    yield Line(line)


def gaps(profile: Profile) -> Iterator[Line]:
    """What is not known of the executions and the counts; nothing where all is."""
    coverage = profile.counting["coverage"]
    if profile.foreign:
        return
    if profile.recording["expected"] is None:
        yield from _recorded(profile)
    yield from _scopes(profile)
    if coverage["counted"] < coverage["total"] or total(profile.layers["mults"]) is None:
        yield from map(Line, what_is_counted(profile.layers, coverage))


def _scopes(profile: Profile) -> Iterator[Line]:
    if profile.layers["type"].eq(NAME_SCOPE).any():
        yield Line(
            "a SavedModel has no Keras layers: the rows inside it are the name scopes of its "
            "operations"
        )


def _coverage(profile: Profile) -> Iterator[Line]:
    recording = profile.recording
    yield from _recorded(profile)
    yield from _scopes(profile)
    if recording["worker_ms_unresolved"] > 0:
        yield Line(
            f"worker threads: {ms_text(recording['worker_ms_unresolved'])} of "
            f"{ms_text(recording['worker_ms'])} ms could not be followed to an operation"
        )
    yield from map(Line, what_is_counted(profile.layers, profile.counting["coverage"]))
    # The rule's second line is that of multiplications; of a trace from elsewhere there is one.
    yield Line("rule: " + "".join(profile.counting["rule"].splitlines()[:2][-1:]), FAINT)
