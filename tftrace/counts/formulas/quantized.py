"""Quantisation and integer kernels."""

from __future__ import annotations

from tftrace.counts.registry import OpRecord, register_count
from tftrace.counts.work import Work


@register_count(
    "QuantizeV2 QuantizeAndDequantize QuantizeAndDequantizeV2 QuantizeAndDequantizeV3",
    "QuantizeAndDequantizeV4",
)
def quantize(record: OpRecord) -> Work:
    """``round(x * scale)`` clipped: one multiplication of four operations per element.

    There and back again is a second multiplication.
    """
    back = 1 if "Dequantize" in record.type else 0
    return Work.elementwise(record.in_size(), mults=1 + back, ops=4 + back)


@register_count("Dequantize")
def dequantize(record: OpRecord) -> Work:
    """``q * scale + offset`` per element."""
    return Work.elementwise(record.in_size(), mults=1, ops=2)


@register_count("FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel")
def fake_quantize(record: OpRecord) -> Work:
    """Clip (2), shift, scale, add a half, floor, scale back, shift: 2 mults of 8 operations."""
    return Work.elementwise(record.in_size(), mults=2, ops=8)


@register_count("QuantizedMatMul")
def quantized_matmul(record: OpRecord) -> Work:
    """``(m, k) x (k, n)``: ``macs = m * n * k`` of integers."""
    inner = record.in_shape(0)[0 if record.attrs.get("transpose_a") else 1]
    return Work.contraction(record.out_size() * inner)
