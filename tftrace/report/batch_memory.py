"""What a batch takes of memory, computed, as a part of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tftrace.estimation.fitting_batch import MOST_SAMPLES
from tftrace.report.sheet import BLANK, EM, WARN, Column, Line, Part, Row, Sheet
from tftrace.text import bytes_text

if TYPE_CHECKING:
    from tftrace.counts.memory import Memory
    from tftrace.counts.training import Training
    from tftrace.estimation.fitting_batch import FittingBatch

_HOLDERS = 3


def batch_memory_parts(memories: Sequence[Memory]) -> Iterator[Part]:
    """One row per batch size, and who holds the activations at the peak of the largest."""
    yield BLANK
    columns = ("samples", "weights", "inputs", "activations", "together")
    rows = [Row((f"{m.batch:,}", *map(bytes_text, _parts(m)))) for m in memories]
    title = "memory of one batch of predict, computed: activations at their peak"
    yield Sheet(title, tuple(map(Column, columns)), tuple(rows))
    largest = max(memories, key=lambda m: m.batch)
    if largest.at_peak:
        holders = (f"{path or 'others'} {bytes_text(n)}" for path, n in largest.at_peak[:_HOLDERS])
        samples = f"{largest.batch:,} sample{'' if largest.batch == 1 else 's'}"
        yield Line(f"at the peak of {samples}: {', '.join(holders)}", indent=2)
    for note in dict.fromkeys(m.note for m in memories if m.note):
        yield Line(f"memory: {note}", WARN)


def training_part(training: Training) -> Part:
    """What fit takes besides."""
    return Line(
        f"fit takes besides: gradients {bytes_text(training.gradients_bytes)} at most, "
        f"{training.optimizer} {bytes_text(training.optimizer_bytes)}, and the activations that "
        "gradients read, which are not computed: run --phase fit --memory measures them"
    )


def fitting_parts(fitting: FittingBatch, asked: str, title: str) -> Iterator[Part]:
    """The largest batch that fits, and what it and the next one take.

    Args:
        asked: the limit as the user wrote it, beside which its bytes stand in the table's units.
    """
    here = bytes_text(fitting.limit)
    limit = asked if asked.replace(" ", "") == here.replace(" ", "") else f"{asked} ({here})"
    if fitting.batch is None:
        found = "how large a batch may be is not known"
    elif fitting.batch == 0:
        found = f"no batch fits in {limit}"
    elif fitting.batch == MOST_SAMPLES:
        found = f"all batches fit in {limit}, up to the {MOST_SAMPLES:,} samples that were tried"
    else:
        found = f"batches of up to {fitting.batch:,} samples fit in {limit}"
    yield Line(f"{title}: {found}", EM)
    yield from batch_memory_parts(fitting.memories)


def _parts(memory: Memory) -> tuple[int | None, ...]:
    return (
        memory.weights_bytes,
        memory.inputs_bytes,
        memory.activations_bytes,
        memory.total_bytes,
    )
