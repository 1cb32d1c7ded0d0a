"""Matrix products and Einstein sums."""

from __future__ import annotations

from math import prod

from tftrace.counts.registry import OpRecord, Uncountable, register_count
from tftrace.counts.work import Work


@register_count("MatMul")
def matmul(record: OpRecord) -> Work:
    """``(m, k) x (k, n) -> (m, n)``: ``macs = m * n * k``, either side possibly transposed."""
    inner = record.in_shape(0)[0 if record.attrs.get("transpose_a") else 1]
    return Work.contraction(record.out_size() * inner)


@register_count("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
def batch_matmul(record: OpRecord) -> Work:
    """``(*B, m, k) x (*B, k, n) -> (*B, m, n)``: ``macs = B * m * n * k``, B broadcast."""
    inner = record.in_shape(0)[-2 if record.attrs.get("adj_x") else -1]
    return Work.contraction(record.out_size() * inner)


@register_count("Einsum", "XlaEinsum")
def einsum(record: OpRecord) -> Work:
    """One or two operands with labels, such as ``abc,cde->abde``.

    Two operands that share a summed label: ``macs = product of the sizes of all labels``.
    Two operands and no sum over both: an element-wise product, ``mults = output elements``
    after labels that only one operand has are summed out of it first. One operand: additions,
    ``input - output`` elements; none when labels are only permuted.
    """
    operands, result = _labels(record)
    sizes = _label_sizes(record, operands)
    volume = {side: prod(sizes[x] for x in set(labels)) for side, labels in enumerate(operands)}
    if len(operands) == 1:
        return Work(flops=volume[0] - prod(sizes[x] for x in result))
    if len(operands) != 2:
        raise Uncountable(f"Einsum of {len(operands)} operands")
    left, right = (set(labels) for labels in operands)
    kept = set(result)
    alone = [(left - right) - kept, (right - left) - kept]
    adds = 0
    for side, summed in enumerate(alone):
        adds += volume[side] - volume[side] // prod(sizes[x] for x in summed)
    product = prod(sizes[x] for x in (left | right) - alone[0] - alone[1])
    if (left & right) - kept:
        return Work(mults=product, macs=product, flops=2 * product + adds)
    return Work(mults=product, flops=product + adds)


def _labels(record: OpRecord) -> tuple[list[list[str]], list[str]]:
    """Labels of each operand and of the result, an ellipsis as one label per axis."""
    equation = str(record.attrs["equation"]).replace(" ", "")
    left, _, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(record.inputs):
        raise Uncountable(f"Einsum {equation} has {len(record.inputs)} inputs")
    ranks = [len(record.in_shape(i)) for i in range(len(terms))]
    spare = [rank - len(term.replace("...", "")) for rank, term in zip(ranks, terms, strict=True)]
    operands = [_expand(term, count) for term, count in zip(terms, spare, strict=True)]
    dots = [count for term, count in zip(terms, spare, strict=True) if "..." in term]
    return operands, _expand(right, max(dots, default=0))


def _expand(term: str, dots: int) -> list[str]:
    before, found, after = term.partition("...")
    # Ellipses align on the right, so their axes are numbered from the end.
    middle = [f".{i}" for i in range(dots, 0, -1)] if found else []
    return [*before, *middle, *after]


def _label_sizes(record: OpRecord, operands: list[list[str]]) -> dict[str, int]:
    """Size of every label; an axis of size 1 is broadcast."""
    sizes: dict[str, int] = {}
    for index, labels in enumerate(operands):
        for label, size in zip(labels, record.in_shape(index), strict=True):
            sizes[label] = max(size, sizes.get(label, 1)) if size else 0
    return sizes
