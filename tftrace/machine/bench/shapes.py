"""What micro-benchmarks draw from: ranges that image networks use, not any network."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from tftrace.machine.kernels import KernelWork

CHANNELS = (3, 8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 256, 384, 512, 768, 1024, 2048)
SPACES = (1, 4, 7, 8, 14, 17, 28, 35, 56, 73, 112, 149)
BATCHES = (1, 2, 4, 8, 16, 32)

MMAP_BYTES = 32 * 1024 * 1024
"""Above it, malloc maps each block anew (glibc's DEFAULT_MMAP_THRESHOLD_MAX on 64 bits)."""

Shape: TypeAlias = tuple[int, int, int, int]
"""Batch, height, width, channels."""


@dataclass(frozen=True)
class Sample:
    """One kernel shape and its time undisturbed (the best of a few repetitions), in seconds."""

    work: KernelWork
    seconds: float


Benchmark: TypeAlias = tuple[KernelWork, Callable[[], Callable[[], object]]]
"""The work, and a function that allocates its inputs and answers with the call to time.

So inputs live no longer than they are needed.
"""

Draw: TypeAlias = Callable[[random.Random], Benchmark]


def draw_shape(draw: random.Random) -> Shape:
    """A float32 image batch of 40 KB to 40 MB."""
    while True:
        space, batch, channels = (draw.choice(c) for c in (SPACES, BATCHES, CHANNELS))
        shape = (batch, space, space, channels)
        if 4e4 < float_bytes(shape) < 40e6:
            return shape


def float_bytes(shape: tuple[int, ...]) -> int:
    """Bytes of a float32 array."""
    return 4 * math.prod(shape)
