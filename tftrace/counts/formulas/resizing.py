"""Resampling of images ``(N, h, w, C)``: taps per output element, coordinates not counted."""

from __future__ import annotations

from tftrace.counts.registry import OpRecord, Uncountable, register_count
from tftrace.counts.work import Work


@register_count("ResizeNearestNeighbor")
def nearest(record: OpRecord) -> Work:
    """Copies: no arithmetic on elements."""
    return Work()


@register_count("ResizeBilinear")
def bilinear(record: OpRecord) -> Work:
    """Three interpolations ``a + (b - a) * t`` per output element: 3 mults of 9 operations."""
    return Work.elementwise(record.out_size(), mults=3, ops=9)


@register_count("ResizeBicubic")
def bicubic(record: OpRecord) -> Work:
    """Four rows of four taps, then a column of four: 20 mults and 15 additions per output."""
    return Work.elementwise(record.out_size(), mults=20, ops=35)


@register_count("CropAndResize")
def crop_and_resize(record: OpRecord) -> Work:
    """Three interpolations per output element, none for the nearest neighbor."""
    if record.attrs.get("method", "bilinear") == "nearest":
        return Work()
    return Work.elementwise(record.out_size(), mults=3, ops=9)


@register_count("ImageProjectiveTransformV2", "ImageProjectiveTransformV3")
def projective(record: OpRecord) -> Work:
    """Output ``(N, h, w, C)``, eight numbers per image.

    Per output PIXEL the coordinates: 6 mults, 6 additions, 2 divisions. Per element, bilinear:
    ``(1 - t) * a + t * b`` three times, 6 mults, 3 additions and 3 subtractions.
    """
    size, channels = record.out_size(), record.out_shape()[-1]
    pixels = size // channels if channels else 0
    taps = size if str(record.attrs.get("interpolation")).upper() == "BILINEAR" else 0
    return Work(mults=8 * pixels + 6 * taps, flops=14 * pixels + 12 * taps)


@register_count("ResizeArea", "ScaleAndTranslate")
def variable_span(record: OpRecord) -> Work:
    """Every output has a span of its own, which shapes alone do not tell."""
    raise Uncountable(f"{record.type}: the number of taps differs from output to output")
