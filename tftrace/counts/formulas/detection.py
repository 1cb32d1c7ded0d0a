"""Choosing boxes and labels: what competes is compared; how often depends on data."""

from __future__ import annotations

from tftrace.counts.formulas.data_movement import moved
from tftrace.counts.registry import OpRecord, Uncountable, register_count
from tftrace.counts.work import Work


@register_count(
    "NonMaxSuppression NonMaxSuppressionV2 NonMaxSuppressionV3 NonMaxSuppressionV4",
    "NonMaxSuppressionV5 NonMaxSuppressionWithOverlaps CombinedNonMaxSuppression",
)
def non_max_suppression(record: OpRecord) -> Work:
    """Boxes are sorted by score and compared until enough are left: no multiplication of elements.

    How far two boxes overlap is arithmetic on coordinates, which is not counted, as in resampling.
    """
    return Work(flops=None, reason=f"{record.type}: comparisons depend on data").with_bytes(
        moved(record)
    )


@register_count("CTCGreedyDecoder")
def greedy_decoder(record: OpRecord) -> Work:
    """Scores ``(T, N, C)``: per step and sample the best of C, added up, compared with the last.

    ``T N (C - 1)`` comparisons, ``T N`` additions and ``T N`` comparisons.
    """
    size, classes = record.in_size(), record.in_shape()[-1]
    steps = size // classes if classes else 0
    return Work(flops=size + steps)


@register_count("CTCBeamSearchDecoder")
def beam_search(record: OpRecord) -> Work:
    """How many beams are alive at a step depends on data."""
    raise Uncountable(f"{record.type}: how many beams are extended depends on data")
