"""What was tried on a model, on a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from tftrace.report.terminal.parts.tables import new_table
from tftrace.text import ms_text

if TYPE_CHECKING:
    from tftrace.advice.advise import Advice
    from tftrace.advice.trials import Trial


def print_advice(advice: Advice, console: Console, script: Path | None = None) -> None:
    """One row per way, fastest first, then what to do and what the outputs tell.

    Args:
        script: where the best was written as a program, if it was asked for.
    """
    console.print(Text(_verdict(advice), style="bold"))
    if script is not None and advice.best is not None:
        console.print(Text(f"as a program: {script}"))
    table = new_table(_title(advice))
    table.add_column("what", overflow="fold", ratio=1)
    for name in ("ms", "of as it is", "95 %", "promised ms", "outputs"):
        table.add_column(name, justify="right", no_wrap=True)
    ways = [advice.base, *sorted(advice.trials, key=lambda trial: trial.share)]
    for trial in ways if advice.together is None else [*ways, advice.together]:
        style = "green" if trial.wins else "dim" if trial.reason else None
        table.add_row(*_cells(trial), style=style)
    console.print(table)
    told = advice.trials if not advice.passes else [t for t in advice.trials if t.wins or t.reason]
    for trial in sorted(told, key=lambda trial: trial.share):
        console.print(Text(f"{trial.name}: {trial.reason or trial.how}"))
    if advice.outputs_vary is False:
        console.print(
            "the outputs do not vary between samples, as of an untrained network: they cannot tell "
            "whether two ways compute the same",
            style="yellow",
        )


def _verdict(advice: Advice) -> str:
    best = advice.best
    if not advice.passes:
        return "nothing was tried: what the findings of one traced pass promise"
    if best is None or best.ratio is None:
        return "nothing that was tried is faster beyond what chance explains"
    saved = 1 - best.ratio.ratio
    return (
        f"best: {_name(best)}: {ms_text(best.ms)} ms, {saved:.0%} less "
        f"({1 - best.ratio.high:.0%} to {1 - best.ratio.low:.0%})"
    )


def _title(advice: Advice) -> str:
    if not advice.passes:
        return "what would be tried"
    return f"{advice.passes} passes of each, in turn, without tf.data's autotuner"


def _cells(trial: Trial) -> tuple[str, ...]:
    ratio, apart = trial.ratio, trial.output_difference
    return (
        _name(trial),
        ms_text(trial.ms),
        "" if ratio is None else f"{ratio.ratio:.2f}",
        "" if ratio is None else f"{ratio.low:.2f} to {ratio.high:.2f}",
        "" if trial.promised_ms is None else f"-{ms_text(trial.promised_ms)}",
        "" if ratio is None or apart is None else f"{apart:.0e}",
    )


def _name(trial: Trial) -> str:
    """What it is called; of several at once, what they are."""
    return trial.how if trial.name == "together" else trial.name
