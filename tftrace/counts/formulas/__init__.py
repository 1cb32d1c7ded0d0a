"""The built-in formulas; importing this package registers them."""

from tftrace.counts.formulas import (
    color,
    conv,
    data_movement,
    detection,
    elementwise,
    gradients,
    linalg,
    matmul,
    normalization,
    pooling,
    quantized,
    random,
    reduction,
    resizing,
    scatter,
    segments,
)
from tftrace.counts.registry import for_real_numbers

# What is registered so far; a formula that a user registers holds as it is.
for_real_numbers(but=("ComplexAbs", "Angle"))

__all__ = [
    "color",
    "conv",
    "data_movement",
    "detection",
    "elementwise",
    "gradients",
    "linalg",
    "matmul",
    "normalization",
    "pooling",
    "quantized",
    "random",
    "reduction",
    "resizing",
    "scatter",
    "segments",
]
