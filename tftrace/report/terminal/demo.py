"""The demo's answer in words and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from tftrace.report.terminal.compare import print_comparison
from tftrace.report.terminal.run import print_report
from tftrace.text import bytes_text, count_text, ms_text, share_text

if TYPE_CHECKING:
    from tftrace.api.profile import Profile
    from tftrace.comparison.ratio import Ratio
    from tftrace.demo import Demo

_NAMED = 0.05  # of the layer's time: kernels below are not named


def print_demo(demo: Demo, console: Console) -> None:
    """The report of the network in question, the experiment, the remedy, and the conclusion."""
    normalized = demo.question.profiles[1]
    console.rule("a small CNN with batch norm", align="left", characters="=")
    print_report(normalized, console)
    console.print()
    console.rule("the question: what does batch norm cost?", align="left", characters="=")
    print_comparison(demo.question, console)
    console.print()
    for line in answer(*demo.question.profiles):
        console.print(Text(line))
    console.print()
    console.rule("the remedy: fold it away", align="left", characters="=")
    for line in _fold(demo):
        console.print(Text(line))
    console.print(Text(demo.answer.verdict))
    console.print()
    for line in conclusion(demo):
        console.print(Text(line, style="bold"))


def conclusion(demo: Demo) -> tuple[str, str, str]:
    """What it costs, why, and what to do: a line each, which 80 columns hold."""
    plain, normalized = demo.question.profiles
    layers = normalized.layers.set_index("name")
    norm, conv = layers.loc["batch_normalization"], layers.loc["conv2d"]
    before, after = plain.layers["mults"].sum(), normalized.layers["mults"].sum()
    bytes_per_mult = [layer["bytes_executed"] / layer["mults"] for layer in (norm, conv)]
    error = demo.fold.max_rel_error
    same = "" if error is None else f" (outputs within {error:.0e})"
    return (
        f"Batch norm: {share_text((after - before) / before)} more multiplications, "
        f"{_times(demo.question.ratio)}.",
        f"Why: {bytes_per_mult[0]:.0f} bytes moved per multiplication, the convolution "
        f"{bytes_per_mult[1]:.2g}: memory decides.",
        f"Do: tftrace fold{same}: {_times(demo.answer.ratio)}.",
    )


def _times(ratio: Ratio | None) -> str:
    """``1.19 times as long (95%: 1.15 to 1.20)``, or that nothing can be told."""
    if ratio is None:
        return "not measured often enough"
    interval = f"{ratio.low:.2f} to {ratio.high:.2f}"
    if not ratio.resolvable:
        return f"no difference shown ({interval})"
    return f"{ratio.ratio:.2f} times as long ({ratio.confidence:.0%}: {interval})"


def answer(plain: Profile, normalized: Profile) -> list[str]:
    """Why batch norm takes time, in sentences made of what both runs measured.

    Args:
        plain: the run without batch norm; normalized: that with it.
    """
    layers = normalized.layers.set_index("name")
    norm, conv = layers.loc["batch_normalization"], layers.loc["conv2d"]
    before, after = plain.layers["mults"].sum(), normalized.layers["mults"].sum()
    of_time = norm["wall_ms"] / normalized.layers["wall_ms"].sum()
    of_mults = norm["mults"] / after
    return [
        "Batch norm hardly multiplies, so why does it take time?",
        f"Multiplications per sample: {before:,} without, {after:,} with "
        f"(+{count_text(after - before)}, {share_text((after - before) / before)}).",
        f"Batch norm has {share_text(of_mults)} of the multiplications and takes "
        f"{ms_text(norm['wall_ms'])} ms, {share_text(of_time)} of the layers' time: "
        f"{of_time / of_mults:.1f} times that share. The convolution has "
        f"{conv['mults'] / norm['mults']:.0f} times its multiplications and takes "
        f"{conv['wall_ms'] / norm['wall_ms']:.1f} times as long.",
        f"It ran as {_kernels(normalized, norm['path'])} and moved "
        f"{bytes_text(norm['bytes_executed'])} per sample, "
        f"{norm['bytes_executed'] / norm['mults']:.0f} bytes for each multiplication; the "
        f"convolution moved {conv['bytes_executed'] / conv['mults']:.2g}. Batch norm waits for "
        "memory, not for arithmetic.",
        _setting(normalized),
    ]


def _kernels(profile: Profile, path: str) -> str:
    """The kernels that take most of a layer's time, longest first."""
    ops = profile.ops[(profile.ops["layer"] == path) & profile.ops["wall_ms"].notna()]
    shown = ops[ops["wall_ms"] >= _NAMED * ops["wall_ms"].sum()]
    kinds = " and ".join(shown["op_type"])
    return f"{len(shown)} kernels ({kinds})" if len(shown) > 1 else f"one kernel ({kinds})"


def _setting(profile: Profile) -> str:
    """What the answer holds for."""
    onednn = profile.machine.get("onednn")
    if onednn is None:
        return "Another machine runs other kernels: the shares hold for this one."
    here, other = ("on", "0") if onednn else ("off", "1")
    return (
        f"This holds with oneDNN {here}. TF_ENABLE_ONEDNN_OPTS={other} switches it on x86: the "
        "convolution's time changes more than batch norm's, and the shares with it."
    )


def _fold(demo: Demo) -> list[str]:
    lines = [f"{f.layer} -> {', '.join(f.into)} ({f.direction})" for f in demo.fold.folded]
    lines += [f"{k.layer} stays: {k.reason}" for k in demo.fold.kept]
    error = demo.fold.max_rel_error
    return lines if error is None else [*lines, f"largest relative error: {error:.1e}"]
