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
    from tftrace.demo import Demo

_NAMED = 0.05  # of the layer's time: kernels below are not named


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
    for line in answer(*demo.question.profiles):
        console.print(Text(line))
    console.print()
    console.rule("the remedy: fold it away", align="left", characters="=")
    for line in _fold(demo):
        console.print(Text(line))
    print_comparison(demo.answer, console)


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
