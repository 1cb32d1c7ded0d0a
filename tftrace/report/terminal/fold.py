"""A fold on a terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console

from tftrace.report.terminal.compare import print_comparison

if TYPE_CHECKING:
    from tftrace.folding.check import FoldOutcome

_LISTED = 10


def print_fold(outcome: FoldOutcome, console: Console) -> None:
    """What was folded where, what stays and why, the error, and the measured difference."""
    result = outcome.result
    total = len(result.folded) + len(result.kept)
    console.print(f"folded {len(result.folded)} of {total} batch norms", style="bold")
    for folded in result.folded[:_LISTED]:
        console.print(f"  {folded.path} -> {', '.join(folded.into)} ({folded.direction})")
    if len(result.folded) > _LISTED:
        console.print(f"  and {len(result.folded) - _LISTED} more")
    for reason, count in Counter(k.reason for k in result.kept).most_common():
        console.print(f"  {count} kept: {reason}")
    if result.max_rel_error is not None:
        console.print(
            f"largest difference of outputs: {result.max_abs_error:.2e} absolute, "
            f"{result.max_rel_error:.2e} of the output's scale"
        )
    else:
        console.print("outputs were not compared; give --data to check them")
    console.print(f"saved: {outcome.saved}", soft_wrap=True)
    if outcome.comparison is not None:
        console.print()
        print_comparison(outcome.comparison, console)
