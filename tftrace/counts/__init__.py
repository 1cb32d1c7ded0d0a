"""Multiplications, MACs, FLOPs and bytes of a traced program, one formula per operation type."""

from tftrace.counts.count import OpCount, count_program
from tftrace.counts.layers import LayerCount, layer_counts
from tftrace.counts.registry import OpRecord, Uncountable, count_op, record_of, register_count
from tftrace.counts.rule import rule_text
from tftrace.counts.tables import Counts, Coverage
from tftrace.counts.work import Work

__all__ = [
    "Counts",
    "Coverage",
    "LayerCount",
    "OpCount",
    "OpRecord",
    "Uncountable",
    "Work",
    "count_op",
    "count_program",
    "layer_counts",
    "record_of",
    "register_count",
    "rule_text",
]
