"""Convolutions: output positions times the full window, padding included, bias excluded."""

from __future__ import annotations

from math import prod

from tftrace.counts.registry import OpRecord, register_count
from tftrace.counts.work import Work


@register_count("Conv2D", "Conv3D", "Conv")
def convolution(record: OpRecord) -> Work:
    """Input, kernel ``(*window, C / groups, filters)`` -> output ``(N, *positions, filters)``.

    ``macs = N * positions * filters * window * C / groups``; strides, dilation and padding
    only show in the number of positions. The kernel's own channel axis is C / groups.
    """
    return Work.contraction(record.out_size() * prod(record.in_shape(1)[:-1]))


@register_count("DepthwiseConv2dNative")
def depthwise(record: OpRecord) -> Work:
    """Input, kernel ``(kh, kw, C, multiplier)`` -> output ``(N, h, w, C * multiplier)``.

    ``macs = N * h * w * C * multiplier * kh * kw``: each output sees one channel.
    """
    return Work.contraction(record.out_size() * prod(record.in_shape(1)[:2]))


@register_count(
    "Conv2DBackpropInput Conv2DBackpropInputV2 Conv3DBackpropInput Conv3DBackpropInputV2",
)
def transposed(record: OpRecord) -> Work:
    """Sizes, kernel ``(*window, filters / groups, C)``, input ``(N, *positions, C)`` -> output.

    ``macs = N * positions * C * window * filters / groups``: every INPUT element meets every
    kernel element of its channel, cropped or not.
    """
    return Work.contraction(record.in_size(2) * prod(record.in_shape(1)[:-1]))


@register_count("DepthwiseConv2dNativeBackpropInput")
def depthwise_transposed(record: OpRecord) -> Work:
    """Sizes, kernel ``(kh, kw, C, multiplier)``, input: ``macs = input elements * kh * kw``."""
    return Work.contraction(record.in_size(2) * prod(record.in_shape(1)[:2]))


@register_count("Dilation2D")
def morphological_dilation(record: OpRecord) -> Work:
    """Max-plus convolution: per output, a window of additions and one maximum fewer."""
    window = prod(record.in_shape(1)[:2])
    return Work.elementwise(record.out_size(), ops=2 * window - 1)
