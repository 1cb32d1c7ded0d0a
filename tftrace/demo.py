"""The experiment that tftrace exists for: one small CNN, with and without batch norm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tftrace.profiling import Profile, profile

SHAPE = (32, 32, 3)
CLASSES = 43


@dataclass(frozen=True)
class Demo:
    """The profiles of both networks."""

    plain: Profile
    normalised: Profile


def build(batch_norm: bool) -> Any:
    """Conv2D 32 3x3 relu same on 32x32x3, optionally batch norm, Flatten, Dense 43 softmax."""
    import keras

    layers = keras.layers
    model = keras.Sequential(name="with_bn" if batch_norm else "without_bn")
    model.add(keras.Input(SHAPE))
    model.add(layers.Conv2D(32, 3, padding="same", activation="relu", name="conv2d"))
    if batch_norm:
        model.add(layers.BatchNormalization(name="batch_normalization"))
    model.add(layers.Flatten(name="flatten"))
    model.add(layers.Dense(CLASSES, activation="softmax", name="dense"))
    return model


def run_demo(out: Path, samples: int, progress: Callable[[str], None]) -> Demo:
    """Measure both networks on random images; the runs go to ``out``."""
    data = np.random.default_rng(0).random((samples, *SHAPE), dtype=np.float32)
    found = []
    for batch_norm in (False, True):
        model = build(batch_norm)
        name = "with" if batch_norm else "without"

        def say(stage: str, name: str = name) -> None:
            progress(f"{name} batch norm: {stage}")

        found.append(profile(model, data, out=out, progress=say))
    return Demo(*found)
