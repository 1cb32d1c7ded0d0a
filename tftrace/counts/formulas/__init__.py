"""The built-in formulas; importing this package registers them."""

from tftrace.counts.formulas import (
    conv,
    data_movement,
    elementwise,
    linalg,
    matmul,
    normalization,
    pooling,
    quantized,
    reduction,
    resizing,
)

__all__ = [
    "conv",
    "data_movement",
    "elementwise",
    "linalg",
    "matmul",
    "normalization",
    "pooling",
    "quantized",
    "reduction",
    "resizing",
]
