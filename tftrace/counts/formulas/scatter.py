"""Elements written or folded into places of a tensor or variable, which indices name."""

from __future__ import annotations

from tftrace.counts.registry import OpRecord, register_count
from tftrace.counts.work import Work


@register_count(
    "TensorScatterAdd TensorScatterSub TensorScatterMax TensorScatterMin",
    "ResourceScatterAdd ResourceScatterSub ResourceScatterMax ResourceScatterMin",
    "ResourceScatterNdAdd ResourceScatterNdSub ResourceScatterNdMax ResourceScatterNdMin",
    "ScatterNdNonAliasingAdd InplaceAdd InplaceSub",
)
def scatter_by_operation(record: OpRecord) -> Work:
    """Every scattered element meets its place once: ``flops = scattered elements``."""
    return Work(flops=record.in_size(2))


@register_count("ResourceScatterMul", "ResourceScatterDiv")
def scatter_by_multiplication(record: OpRecord) -> Work:
    """Every scattered element meets its place once: ``mults = scattered elements``."""
    return Work(mults=record.in_size(2), flops=record.in_size(2))


@register_count("AssignAddVariableOp", "AssignSubVariableOp")
def assign_by_operation(record: OpRecord) -> Work:
    """One operation per element of what is added to the variable."""
    return Work(flops=record.in_size(1))
