"""A fold as parts of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tftrace.report.comparison import comparison_parts
from tftrace.report.sheet import BLANK, EM, WARN, Line, Part

if TYPE_CHECKING:
    from tftrace.folding.check import FoldOutcome

_LISTED = 10


def fold_parts(outcome: FoldOutcome) -> Iterator[Part]:
    """What was folded where, what stays and why, the error, and the measured difference."""
    head, *rest = outline(outcome)
    yield head
    folded = outcome.result.folded
    for each in folded[:_LISTED]:
        yield Line(f"{each.path} -> {', '.join(each.into)} ({each.direction})", indent=2)
    if len(folded) > _LISTED:
        yield Line(f"and {len(folded) - _LISTED} more", indent=2)
    yield from rest
    if outcome.comparison is not None:
        yield BLANK
        yield from comparison_parts(outcome.comparison)


def outline(outcome: FoldOutcome) -> Iterator[Line]:
    """How many were folded, why the others stay, how far outputs differ, and the file."""
    result = outcome.result
    total = len(result.folded) + len(result.kept)
    yield Line(f"folded {len(result.folded)} of {total} batch norms", EM)
    for reason, count in Counter(k.reason for k in result.kept).most_common():
        yield Line(f"{count} kept: {reason}", indent=2)
    if result.max_rel_error is None:
        yield Line("outputs were not compared; give --data to check them", WARN)
    else:
        yield Line(
            f"largest difference of outputs: {result.max_abs_error:.2e} absolute, "
            f"{result.max_rel_error:.2e} of the output's scale"
        )
    yield Line(f"saved: {outcome.saved}", whole=True)
