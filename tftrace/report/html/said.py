"""What a page says of a run in words: the answer, its badges and figures, how it was measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tftrace.report.facts import what_is_counted, what_ran
from tftrace.report.verdict import Verdict
from tftrace.text import ms_text, time_text

if TYPE_CHECKING:
    from tftrace.api.profile import Profile


def answer(answer: Verdict) -> list[str]:
    """The verdict, line by line."""
    told = [answer.headline, f"{answer.shares_text} ({answer.base})"]
    told.append(f"Do first: {_first(answer)}")
    if answer.do_first and answer.explanation:
        told.append(answer.explanation[0].upper() + answer.explanation[1:] + ".")
    return told


def _first(answer: Verdict) -> str:
    """What a line of text parts by spaces from the command, a page has to part by a mark."""
    advice = answer.do_first
    if advice is None or advice.command is None or not advice.saving:
        return str(advice or answer.nothing)
    return f"{advice.command} · {advice.saving}"


def badges(answer: Verdict, profile: Profile) -> Iterator[dict[str, str]]:
    """What qualifies the answer."""
    if answer.partial:
        yield {"kind": "warn", "text": f"partial trace: {answer.partial}"}
    if answer.noise:
        # What stands in the warnings of latency, or what else the machine did.
        heard = answer.noise.removeprefix("noisy: ").removeprefix("noise while it was measured: ")
        yield {"kind": "warn", "text": f"noisy: {heard}"}
    if answer.recorded is not None:
        yield {"kind": "", "text": f"{answer.recorded:.0%} of the expected executions recorded"}
    elif not profile.foreign:
        yield {"kind": "warn", "text": "how complete the trace is, is not known"}
    if profile.foreign:
        yield {"kind": "warn", "text": "a trace taken elsewhere"}


def figures(profile: Profile) -> list[tuple[str, str]]:
    """Latency, or the window of a trace from elsewhere, by name."""
    latency, samples = profile.latency, profile.run["samples"]
    traced = "window of the trace" if profile.foreign else "traced pass"
    figures = [(traced, f"{ms_text(profile.window_ms)} ms")]
    median = latency["median_ms"]
    if median is not None:
        figures = [
            (f"median latency, {latency['n']} passes", f"{ms_text(median)} ms"),
            ("interquartile range", f"{ms_text(latency['iqr_ms'])} ms"),
            ("minimum", f"{ms_text(latency['min_ms'])} ms"),
            ("per sample", time_text(median / samples)),
            *_steady(latency.get("without_autotuner")),
            *figures,
        ]
    return figures


def _steady(found: dict[str, Any] | None) -> list[tuple[str, str]]:
    if found is None:
        return []
    return [("median without tf.data's autotuner", f"{ms_text(found['median_ms'])} ms")]


def facts(profile: Profile) -> Iterator[str]:
    """Machine, versions, the rule of counting, doubts of the calibration."""
    run, machine, model = profile.run, profile.machine, profile.model
    if profile.window is not None:
        yield "A trace taken elsewhere: samples, latency and graph are not known."
        yield f"window: {profile.window}"
    else:
        params = model["params"]
        yield (model["class"] or "a model") + ("" if params is None else f", {params:,} parameters")
        yield f"{run['samples']:,} samples, batch size {run['batch_size']}, {run['steps']} steps"
        yield (
            f"{machine['cpu']}, {machine['cores']} cores; threads: {machine['intra_op_threads']} "
            f"intra-op, {machine['inter_op_threads']} inter-op; XLA {'on' if run['jit'] else 'off'}"
        )
        yield "; ".join(what_ran(machine))
        yield ", ".join(f"{package} {version}" for package, version in profile.versions.items())
    yield from profile.counting["rule"].splitlines()
    if not profile.foreign:
        yield from what_is_counted(profile.layers, profile.counting["coverage"])
    if profile.roofs is not None:
        doubts = profile.roofs.warnings
        many = f"{len(doubts)} doubts, the first: " if len(doubts) > 1 else ""
        yield "calibration: " + (many + doubts[0] if doubts else "no doubts")
