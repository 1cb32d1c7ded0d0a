"""The demo's answer in words and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from tftrace.report.terminal import print_report
from tftrace.text import count_text, ms_text, share_text

if TYPE_CHECKING:
    from tftrace.demo import Demo


def print_demo(demo: Demo, console: Console) -> None:
    """Both reports, then the comparison that started it all."""
    for title, found in (("without", demo.plain), ("with", demo.normalised)):
        console.rule(f"{title} batch normalisation", align="left", characters="=")
        print_report(found, console)
        console.print(f"run folder: {found.folder}", soft_wrap=True)
        console.print()
    console.rule("the question", align="left", characters="=")
    for line in _answer(demo):
        console.print(Text(line))


def _answer(demo: Demo) -> list[str]:
    plain, normalised = demo.plain, demo.normalised
    before, after = plain.layers["mults"].sum(), normalised.layers["mults"].sum()
    times = plain.latency["median_ms"], normalised.latency["median_ms"]
    bn = normalised.layers.set_index("name").loc["batch_normalization"]
    layer_time = normalised.layers["wall_ms"].sum()
    return [
        "Batch norm hardly multiplies, so why does it cost so much?",
        f"Multiplications per sample: {before:,} without, {after:,} with "
        f"(+{count_text(after - before)}, {share_text((after - before) / before)}).",
        f"Median latency: {ms_text(times[0])} ms without, {ms_text(times[1])} ms with "
        f"({times[1] / times[0]:.2f} x).",
        f"The batch norm layer takes {ms_text(bn['wall_ms'])} ms of the layers' "
        f"{ms_text(layer_time)} ms ({share_text(bn['wall_ms'] / layer_time)}): it reads and "
        "writes the whole activation twice, and memory traffic is what that costs.",
    ]
