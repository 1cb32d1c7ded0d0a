"""Colors of images ``(…, 3)``: per PIXEL, by the textbook's hexcone (Smith, 1978)."""

from __future__ import annotations

from tftrace.counts.registry import OpRecord, register_count
from tftrace.counts.work import Work

# (multiplications, operations) per pixel, see below.
_TO_HSV = (4, 15)
_TO_RGB = (7, 26)


@register_count("RGBToHSV")
def to_hsv(record: OpRecord) -> Work:
    """Maximum and minimum (4 comparisons), range (1), ``s = range / max`` (1 division).

    ``h = (difference of two) * (1 / range) * (1 / 6) + offset`` (1 division, 2 products, 1
    difference, 1 addition), which two (2 comparisons), wrapped (comparison, addition): 4 mults of
    15 operations.
    """
    return _pixels(record, *_TO_HSV)


@register_count("HSVToRGB")
def to_rgb(record: OpRecord) -> Work:
    """``6 h`` (1 product) and ``1 - s`` (1); then for each of three channels.

    ``v * ((1 - s) + s * clip(|6 h - a| - b))``: 2 products, 3 additions, a magnitude, 2 comparisons
    of the clip: 7 mults of 26 operations.
    """
    return _pixels(record, *_TO_RGB)


@register_count("AdjustSaturation")
def saturation(record: OpRecord) -> Work:
    """To HSV, ``clip(s * scale)`` (a product, 2 comparisons), and back."""
    return _pixels(record, _TO_HSV[0] + 1 + _TO_RGB[0], _TO_HSV[1] + 3 + _TO_RGB[1])


@register_count("AdjustHue")
def hue(record: OpRecord) -> Work:
    """To HSV, ``h + delta`` wrapped (an addition, a floor, a difference), and back."""
    return _pixels(record, _TO_HSV[0] + _TO_RGB[0], _TO_HSV[1] + 3 + _TO_RGB[1])


@register_count("AdjustContrastv2")
def contrast(record: OpRecord) -> Work:
    """``(x - mean) * factor + mean``, a mean per image and channel of ``(…, h, w, C)``.

    n elements, m means: n - m additions and m divisions; then 3 operations per element, one a
    product.
    """
    size, means = record.in_size(), _means(record)
    return Work(mults=size + means, flops=4 * size)


@register_count("AdjustContrast")
def contrast_clipped(record: OpRecord) -> Work:
    """As AdjustContrastv2, then clipped: two comparisons more per element."""
    size, means = record.in_size(), _means(record)
    return Work(mults=size + means, flops=6 * size)


@register_count("HistogramFixedWidth")
def histogram(record: OpRecord) -> Work:
    """Per value ``(x - low) / step``, two comparisons, one added to its bin: 1 mult of 5."""
    return Work.elementwise(record.in_size(), mults=1, ops=5)


def _pixels(record: OpRecord, mults: int, ops: int) -> Work:
    return Work.elementwise(record.in_size() // 3, mults=mults, ops=ops)


def _means(record: OpRecord) -> int:
    height, width = record.in_shape()[-3:-1]
    return record.in_size() // (height * width) if height * width else 0
