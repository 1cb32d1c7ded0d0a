"""Reductions, scans and softmax."""

from __future__ import annotations

from tftrace.counts.registry import OpRecord, register_count
from tftrace.counts.work import Work


@register_count("Sum", "Max", "Min", "All", "Any", "ArgMax", "ArgMin")
def reduce_by_operation(record: OpRecord) -> Work:
    """n elements to m: ``flops = n - m`` additions or comparisons."""
    return Work(flops=_folded(record))


@register_count("Mean")
def mean(record: OpRecord) -> Work:
    """n elements to m: n - m additions and m divisions, so ``mults = m`` and ``flops = n``."""
    return Work(mults=record.out_size(), flops=_folded(record) + record.out_size())


@register_count("Prod")
def product(record: OpRecord) -> Work:
    """n elements to m: ``mults = flops = n - m``."""
    return Work(mults=_folded(record), flops=_folded(record))


@register_count("EuclideanNorm")
def euclidean_norm(record: OpRecord) -> Work:
    """n elements to m: n squares, n - m additions, m square roots."""
    size, out = record.in_size(), record.out_size()
    return Work(mults=size, flops=size + _folded(record), transcendentals=out)


@register_count("L2Loss")
def l2_loss(record: OpRecord) -> Work:
    """``sum(x^2) / 2``: n squares, n - 1 additions, one halving."""
    size = record.in_size()
    return Work(mults=size + 1, flops=2 * size)


@register_count("Cumsum", "Cumprod", "CumulativeLogsumexp")
def scan(record: OpRecord) -> Work:
    """Axis of length k over n elements: ``n - n / k`` additions or multiplications.

    A cumulative log-sum-exp adds an exponential and a logarithm to each of them.
    """
    size = record.in_size()
    length = record.in_shape()[int(record.value(1))]
    steps = size - size // length if length else 0
    if record.type == "CumulativeLogsumexp":
        return Work(flops=3 * steps, transcendentals=2 * steps)
    return Work(mults=steps if record.type == "Cumprod" else 0, flops=steps)


@register_count("Softmax")
def softmax(record: OpRecord) -> Work:
    """n elements in rows of k, r = n / k: ``exp(x - max) / sum``.

    n - r comparisons, n subtractions, n exponentials (apart), n - r additions, n divisions:
    ``mults = n`` and ``flops = 4 n - 2 r``.
    """
    size, rows = record.in_size(), _rows(record)
    return Work(mults=size, flops=4 * size - 2 * rows, transcendentals=size)


@register_count("LogSoftmax")
def log_softmax(record: OpRecord) -> Work:
    """n elements in r rows: ``x - max - log(sum(exp(x - max)))``, no division."""
    size, rows = record.in_size(), _rows(record)
    return Work(flops=4 * size - 2 * rows, transcendentals=size + rows)


@register_count("Bincount", "DenseBincount", "RaggedBincount")
def bincount(record: OpRecord) -> Work:
    """One addition per counted value."""
    return Work(flops=record.in_size(1 if record.type == "RaggedBincount" else 0))


def _folded(record: OpRecord) -> int:
    """Operations that fold the input into the output; an empty input folds nothing."""
    return max(0, record.in_size() - record.out_size())


def _rows(record: OpRecord) -> int:
    last = record.in_shape()[-1]
    return record.in_size() // last if last else 0
