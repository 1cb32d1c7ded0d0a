"""Normalization kernels that TensorFlow has as one operation."""

from __future__ import annotations

from tftrace.counts.registry import OpRecord, register_count, register_needed
from tftrace.counts.work import Work

_FUSED = "FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3"


@register_count(_FUSED)
def fused_batch_norm(record: OpRecord) -> Work:
    """n elements in C channels; inputs x, scale, offset, mean, variance (C each).

    Inference: ``x * s + b`` is one multiplication and one addition per element, after
    ``s = scale * rsqrt(variance + epsilon)`` and ``b = offset - mean * s`` per channel. In
    training mean and variance are computed first: 2 n additions, n subtractions, n squares and
    2 C divisions more.
    """
    size, channels = record.in_size(), record.in_size(1)
    mults, flops = size + 2 * channels, 2 * size + 4 * channels
    if record.attrs.get("is_training", True):
        mults, flops = mults + size + 2 * channels, flops + 4 * size
    return Work(mults=mults, flops=flops, transcendentals=channels)


@register_needed(_FUSED)
def fused_batch_norm_needed(record: OpRecord) -> Work:
    """At inference scale and shift are known once: one multiplication, one addition per element."""
    if record.attrs.get("is_training", True):
        return fused_batch_norm(record)
    return Work.elementwise(record.in_size(), mults=1, ops=2)


@register_count("LRN")
def local_response(record: OpRecord) -> Work:
    """``x / (bias + alpha * sum over 2 r + 1 channels of x^2) ^ beta``, n elements.

    Per element a square, a scaling and a division; 2 r additions of squares and one of the bias;
    one power.
    """
    radius = int(record.attrs.get("depth_radius", 5))
    return Work.elementwise(record.in_size(), mults=3, ops=4 + 2 * radius, transc=1)
