"""What was tried on a model, as parts of a report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tftrace.report.sheet import EM, FAINT, GOOD, WARN, Column, Line, Part, Row, Sheet
from tftrace.text import ms_text

if TYPE_CHECKING:
    from tftrace.advice.advise import Advice
    from tftrace.advice.promises import Promise
    from tftrace.advice.trials import Trial


def advice_parts(advice: Advice, script: Path | None = None) -> Iterator[Part]:
    """What to do, one row per way, fastest first, and what the outputs tell.

    Args:
        script: where the best was written as a program, if it was asked for.
    """
    yield Line(_verdict(advice), EM)
    if script is not None and advice.best is not None:
        yield Line(f"as a program: {script}", whole=True)
    yield _ways(advice) if advice.passes else _guesses(advice)
    told = advice.trials if not advice.passes else [t for t in advice.trials if t.wins or t.reason]
    for trial in sorted(told, key=lambda trial: trial.share):
        yield Line(f"{trial.name}: {trial.reason or trial.how}", indent=1)
    for promise in advice.promises:
        if promise.why is not None:
            yield Line(_apart(promise), indent=1)
    if advice.outputs_vary is False:
        yield Line(
            "the outputs do not vary between samples, as of an untrained network: they cannot tell "
            "whether two ways compute the same",
            WARN,
        )


def _apart(promise: Promise) -> str:
    return (
        f"{promise.name} saved {ms_text(promise.saved_ms)} ms ({ms_text(promise.low_ms)} to "
        f"{ms_text(promise.high_ms)}) where {ms_text(promise.promised_ms)} were promised: "
        f"{promise.why}"
    )


def _ways(advice: Advice) -> Sheet:
    ways = [advice.base, *sorted(advice.trials, key=lambda trial: trial.share)]
    ways += [] if advice.together is None else [advice.together]
    columns = (
        Column("what", right=False, folds=True),
        *map(Column, ("ms", "of as it is", "95 %", "promised ms", "outputs")),
    )
    return Sheet(_title(advice), columns, tuple(Row(_cells(t), _style(t)) for t in ways))


def _guesses(advice: Advice) -> Sheet:
    """The same of a dry run."""
    columns = (
        Column("what", right=False, folds=True),
        *map(Column, ("ms, estimated", "90 %", "of as it is", "promised ms")),
    )
    base = advice.base.estimate
    rows = []
    for trial in (advice.base, *sorted(advice.trials, key=_estimated_ms)):
        told = trial.estimate
        cells = (
            trial.name,
            "" if told is None else ms_text(told.ms),
            "" if told is None else f"{ms_text(told.low_ms)} to {ms_text(told.high_ms)}",
            "" if told is None or base in (None, told) else f"{told.ms / base.ms:.2f}",
            _promised(trial),
        )
        rows.append(Row(cells, FAINT if told is None else ""))
    return Sheet("what would be tried", columns, tuple(rows))


def _estimated_ms(trial: Trial) -> float:
    return float("inf") if trial.estimate is None else trial.estimate.ms


def _style(trial: Trial) -> str:
    return GOOD if trial.wins else FAINT if trial.reason else ""


def _verdict(advice: Advice) -> str:
    best = advice.best
    if not advice.passes:
        return "nothing was tried: estimates, and what the findings of one traced pass promise"
    if best is None or best.ratio is None:
        return "nothing that was tried is faster beyond what chance explains"
    saved = 1 - best.ratio.ratio
    return (
        f"best: {_name(best)}: {ms_text(best.ms)} ms, {saved:.0%} less "
        f"({1 - best.ratio.high:.0%} to {1 - best.ratio.low:.0%})"
    )


def _title(advice: Advice) -> str:
    return f"{advice.passes} passes of each, in turn, without tf.data's autotuner"


def _cells(trial: Trial) -> tuple[str, ...]:
    ratio, apart = trial.ratio, trial.output_difference
    return (
        _name(trial),
        ms_text(trial.ms),
        "" if ratio is None else f"{ratio.ratio:.2f}",
        "" if ratio is None else f"{ratio.low:.2f} to {ratio.high:.2f}",
        _promised(trial),
        "" if ratio is None or apart is None else f"{apart:.0e}",
    )


def _promised(trial: Trial) -> str:
    return "" if trial.promised_ms is None else f"-{ms_text(trial.promised_ms)}"


def _name(trial: Trial) -> str:
    """What it is called; of several at once, what they are."""
    return trial.how if trial.name == "together" else trial.name
