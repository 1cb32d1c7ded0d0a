"""Sums over rows that bear the same label, and the sparse products that are made of them."""

from __future__ import annotations

from tftrace.counts.registry import OpRecord, Uncountable, register_count
from tftrace.counts.work import Work


@register_count(
    "SegmentSum SegmentSumV2 UnsortedSegmentSum SegmentMax SegmentMaxV2 SegmentMin",
    "SegmentMinV2 UnsortedSegmentMax UnsortedSegmentMin",
)
def segment_by_operation(record: OpRecord) -> Work:
    """Every element meets its segment once: ``flops = elements``."""
    return Work(flops=record.in_size())


@register_count("SegmentProd", "SegmentProdV2", "UnsortedSegmentProd")
def segment_by_multiplication(record: OpRecord) -> Work:
    """Every element meets its segment once: ``mults = elements``."""
    size = record.in_size()
    return Work(mults=size, flops=size)


@register_count("SegmentMean")
def segment_mean(record: OpRecord) -> Work:
    """n elements to m: n additions and m divisions."""
    return _divided(record, record.in_size())


@register_count("SparseSegmentSum", "SparseSegmentSumWithNumSegments")
def sparse_segment_sum(record: OpRecord) -> Work:
    """Data ``(r, *row)``, k indices of rows: every picked element is added: ``flops = k * row``."""
    return Work(flops=_picked(record))


@register_count("SparseSegmentMean", "SparseSegmentMeanWithNumSegments")
def sparse_segment_mean(record: OpRecord) -> Work:
    """As the sum, and a division per element of the result."""
    return _divided(record, _picked(record))


@register_count("SparseSegmentSqrtN", "SparseSegmentSqrtNWithNumSegments")
def sparse_segment_root(record: OpRecord) -> Work:
    """As the mean, divided by the root of how many; one root per segment."""
    work, segments = _divided(record, _picked(record)), record.out_shape()[0]
    return Work(mults=work.mults, flops=work.flops, transcendentals=segments)


@register_count("SparseTensorDenseMatMul")
def sparse_matmul(record: OpRecord) -> Work:
    """Indices ``(k, 2)``, k values, shape, dense ``(n, c)``: every value meets c: ``macs = k c``.

    Unknown where the number of values depends on data.
    """
    if record.inputs[1].size is None:
        raise Uncountable(f"{record.type}: the number of non-zero elements depends on data")
    columns = record.in_shape(3)[0 if record.attrs.get("adjoint_b") else 1]
    return Work.contraction(record.in_size(1) * columns)


@register_count("SparseTensorDenseAdd", "SparseDenseCwiseAdd")
def sparse_add(record: OpRecord) -> Work:
    """Every sparse value is added once."""
    return Work(flops=record.in_size(1))


@register_count("SparseDenseCwiseMul", "SparseDenseCwiseDiv")
def sparse_mul(record: OpRecord) -> Work:
    """Every sparse value is multiplied once."""
    return Work(mults=record.in_size(1), flops=record.in_size(1))


def _picked(record: OpRecord) -> int:
    """Elements of the rows that the indices pick."""
    rows = record.in_shape()[0]
    return record.in_size(1) * (record.in_size() // rows if rows else 0)


def _divided(record: OpRecord, added: int) -> Work:
    out = record.out_size()
    return Work(mults=out, flops=added + out)
