"""The demo's answer in words and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from tftrace.report.terminal.compare import print_comparison
from tftrace.report.terminal.run import print_report
from tftrace.text import count_text, ms_text, share_text

if TYPE_CHECKING:
    from tftrace.demo import Demo


def print_demo(demo: Demo, console: Console) -> None:
    """Both reports, the experiment that started it all, and what folding does about it."""
    for name, found in zip(demo.question.names, demo.question.profiles, strict=True):
        console.rule(name, align="left", characters="=")
        print_report(found, console)
        console.print(f"run folder: {found.folder}", soft_wrap=True)
        console.print()
    console.rule("the question: what does batch norm cost?", align="left", characters="=")
    print_comparison(demo.question, console)
    console.print()
    for line in _answer(demo):
        console.print(Text(line))
    console.print()
    console.rule("the remedy: fold it away", align="left", characters="=")
    for line in _fold(demo):
        console.print(Text(line))
    print_comparison(demo.answer, console)


def _answer(demo: Demo) -> list[str]:
    plain, normalised = demo.question.profiles
    before, after = plain.layers["mults"].sum(), normalised.layers["mults"].sum()
    bn = normalised.layers.set_index("name").loc["batch_normalization"]
    layer_time = normalised.layers["wall_ms"].sum()
    return [
        "Batch norm hardly multiplies, so why does it take time?",
        f"Multiplications per sample: {before:,} without, {after:,} with "
        f"(+{count_text(after - before)}, {share_text((after - before) / before)}).",
        f"The batch norm layer takes {ms_text(bn['wall_ms'])} ms of the layers' "
        f"{ms_text(layer_time)} ms ({share_text(bn['wall_ms'] / layer_time)}): it reads and "
        "writes the whole activation twice, and memory traffic is what that costs.",
    ]


def _fold(demo: Demo) -> list[str]:
    lines = [f"{f.layer} -> {', '.join(f.into)} ({f.direction})" for f in demo.fold.folded]
    lines += [f"{k.layer} stays: {k.reason}" for k in demo.fold.kept]
    error = demo.fold.max_rel_error
    return lines if error is None else [*lines, f"largest relative error: {error:.1e}"]
